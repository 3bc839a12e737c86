"""`schuss.coordinate.sparse_encode` and `sparse_code`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from schuss import _core
from schuss.coordinate import arguments
from schuss.coordinate.arguments import Array
from schuss.coordinate.linear import MAXITER, TOL
from schuss.coordinate.result import CONVERGED, ITERATION_LIMIT, PRECISION_LIMIT, CoordinateResult, ended, run, watch
from schuss.minimizers.arguments import count
from schuss.minimizers.result import STOPPED
from schuss.threads import check_count

PASSES = 100  # over the dictionary in one iteration, at most


def sparse_encode(
    X: Any,
    dictionary: Any,
    alpha: float = 1.0,
    *,
    code0: Any = None,
    tol: float = TOL,
    maxiter: int = MAXITER,
    num_threads: int | None = None,
) -> CoordinateResult:
    """Encode samples by few atoms each of a dictionary.

    Formula: minimise ½‖x - Dᵀh‖² + α‖h‖₁ over h for each sample x; scikit-learn's `sparse_encode` has the same for
    "lasso_cd" and "lasso_lars".

    Source: Olshausen and Field 1996; Deep Learning, section 8.7.2; the others of `lasso`.

    Args:
        X: The samples, of shape (m, n), n at least 1, in any memory order; of float32 if the dictionary is, too,
            everything else becomes float64.
        dictionary: The atoms, of shape (k, n), k at least 1, of any length.
        alpha: α, in [0, ∞), default 1.
        code0: Where to begin, of shape (m, k), default zero. A sample's start that is no better than zero is not used.
        tol: A sample has converged when its duality gap is at most `tol` times ½‖x‖², in [0, ∞), default 1e-8. With
            α = 0 that can be shown only where the sample is met exactly.
        maxiter: Sweeps for a sample at most, at least 0, default 10000.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

    Returns:
        `x` or `code` are the codes, of shape (m, k) and X's dtype; `objective` and `gap`, of shape (m,), each sample's
        objective and a bound on it above its minimum, rounding errors included; `relative_gap` the same over ½‖x‖²;
        `fun` the sum of the objectives; `n_iter`, of shape (m,), sweeps; `success` says whether all have converged;
        `status` and `message` are as in `CoordinateResult`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range or not finite.

    An interrupt comes through; the exception then has the result so far as its attribute `result`.

    Example:
        >>> import numpy as np, schuss
        >>> schuss.coordinate.sparse_encode([[3.0, 0.5, -2.0]], np.eye(3), alpha=1.0).code
        array([[ 2.,  0., -1.]])
    """
    samples, atoms = arguments.arrays(X=X, dictionary=dictionary)
    _require_samples(samples)
    arguments.require_shape("dictionary", atoms, "k", samples.shape[1])
    code = arguments.initial("code0", code0, samples.dtype, len(samples), len(atoms))
    settings = (
        arguments.positive_or_zero("alpha", alpha),
        arguments.positive_or_zero("tol", tol),
        count("maxiter", maxiter, 0),
        arguments.thread_count(num_threads),
    )
    return _encode(samples, atoms, code, *settings)


def _require_samples(samples: Array) -> None:
    arguments.require_shape("X", samples, *(samples.shape[:1] if samples.ndim == 2 else ("m",)), "n")


def _encode(
    samples: Array, atoms: Array, code: Array, alpha: float, tol: float, maxiter: int, threads: int
) -> CoordinateResult:
    """Improve `code` in place."""
    objective, gap, relative = np.full((3, len(samples)), np.inf)
    n_iter = np.zeros(len(samples), np.int64)

    def result(status: int) -> CoordinateResult:
        known = {"code": code, "objective": objective, "fun": float(objective.sum()), "gap": gap}
        return ended(status, x=code, **known, relative_gap=relative, n_iter=n_iter)

    def work() -> int:
        _core.sparse_encode(samples, atoms, code, objective, gap, relative, n_iter, alpha, tol, maxiter, threads)
        short = ~(relative <= tol)
        if not short.any():
            return CONVERGED
        return ITERATION_LIMIT if (n_iter[short] >= maxiter).any() else PRECISION_LIMIT

    return run(work, result)


def sparse_code(
    X: Any,
    n_components: int,
    alpha: float = 0.5,
    *,
    dictionary0: Any = None,
    seed: int = 0,
    tol: float = 1e-8,
    maxiter: int = 1000,
    callback: Callable[..., Any] | None = None,
    num_threads: int | None = None,
) -> CoordinateResult:
    """Learn a dictionary by which samples have sparse codes: sparse coding.

    Formula: minimise J(H, W) = 2α·Σ|H| + Σ(X - HW)² subject to ‖w_k‖ ≤ 1 for each row of W. With α = ½, the default,
    that is equation 8.38 of Deep Learning, J = Σ|H| + Σ(X - WᵀH)², for samples in rows; scikit-learn's
    `DictionaryLearning` minimises J/2 with the same α. Without the constraint on W, J would sink to zero with H → 0 and
    W → ∞.

    H and W take turns, and each gets the minimum over it with the other one fixed: H by `sparse_encode`, W by block
    coordinate descent over its rows. J never rises. It is not convex in both: the minimum that is found is a local one.

    Source: Olshausen and Field 1996; Mairal et al. 2010, algorithm 2 (the dictionary); Deep Learning, section 8.7.2.

    Args:
        X: The samples, of shape (m, n), both at least 1. float32 stays float32, everything else becomes float64.
        n_components: The number k of atoms, at least 1.
        alpha: α, in [0, ∞), default 0.5. It is that of `sparse_encode`.
        dictionary0: W to begin with, of shape (k, n); rows longer than 1 are shortened. By default samples drawn by
            the seed, of length 1.
        seed: An integer of at least 0, default 0, for the dictionary to begin with.
        tol: Converged when an iteration lowers J by at most `tol` times J, in [0, ∞), default 1e-8.
        maxiter: Iterations at most, at least 0, default 1000; H is computed for the last W, too.
        callback: callback(x) or callback(intermediate_result), the latter by that name, after the first H and after
            each iteration. It ends the run by raising StopIteration.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

    Returns:
        `code`, H of shape (m, k), and `dictionary`, W of shape (k, n), of X's dtype; `x`, the pair of them; `fun`, J;
        `history`, J after the first H and then after each W and each H; `gap`, how far J may be above its minimum over
        H; `n_iter`; and `success`, `status` and `message`, as in `CoordinateResult`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range or not finite.

    What callback raises comes through, an interrupt too; the exception then has the result so far as its attribute
    `result`.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.coordinate.sparse_code(np.eye(4) * 3, 4, alpha=0.5)
        >>> found.code.sum(), found.fun  # three of four atoms' worth: each sample is 3 and its code 2.5
        (np.float64(10.0), 11.0)
    """
    (samples,) = arguments.arrays(X=X)
    _require_samples(samples)
    arguments.require_shape("X", samples, "m", "n")
    arguments.require_finite("X", samples)
    k = check_count("n_components", n_components)
    if dictionary0 is None:
        atoms = _drawn(samples, k, count("seed", seed, 0))
    else:
        atoms = arguments.initial("dictionary0", dictionary0, samples.dtype, k, samples.shape[1])
    weight, allowed = arguments.positive_or_zero("alpha", alpha), arguments.positive_or_zero("tol", tol)
    learner = Learner(samples, _within_ball(atoms), weight, arguments.thread_count(num_threads))
    most = count("maxiter", maxiter, 0)
    return run(lambda: learner.run(allowed, most, watch(callback, learner.result)), learner.result)


class Learner:
    """The state of sparse coding, in units of a power of two near X's largest magnitude."""

    def __init__(self, samples: Array, atoms: Array, alpha: float, threads: int) -> None:
        self.unit = arguments.exponent(samples)
        self.samples = np.ascontiguousarray(np.ldexp(samples, -self.unit))
        self.alpha, self.threads = arguments.scaled(alpha, -self.unit), threads
        self.atoms, self.code = atoms, np.zeros((len(samples), len(atoms)), samples.dtype)
        self.squares = float((self.samples.astype(np.float64) ** 2).sum())
        self.history: list[float] = []
        self.gap, self.n_iter = np.inf, 0

    def run(self, tol: float, maxiter: int, seen: Callable[[], bool] | None) -> int:
        """Alternate. Returns how it ended."""
        self.encode()
        while True:
            if seen is not None and seen():
                return STOPPED
            if self.n_iter > 0 and self.history[-3] - self.history[-1] <= tol * self.history[-1]:
                return CONVERGED
            if self.n_iter >= maxiter:
                return ITERATION_LIMIT
            self.learn()
            self.encode()
            self.n_iter += 1

    def encode(self) -> None:
        """Set H to the minimiser for W."""
        code = self.code.copy()
        found = _encode(self.samples, self.atoms, code, self.alpha, TOL, MAXITER, self.threads)
        self._accept(2 * found.fun, code=code)
        self.gap = 2 * float(found.gap.sum())

    def learn(self) -> None:
        """Set W to the minimiser for H, and atoms that nobody uses to what is least well encoded."""
        atoms = self.atoms.copy()
        enough = 1e-9 * self.squares
        _core.update_dictionary(self.samples, self.code, atoms, enough, PASSES, self.threads)
        atoms = _within_ball(atoms)
        left = self._squares(atoms)
        unused = np.flatnonzero(~self.code.any(axis=0))
        worst = np.argsort(-left, kind="stable")[: len(unused)]
        residual = self.samples[worst] - self.code[worst] @ atoms
        atoms[unused[: len(worst)]] = _unit(residual, atoms[unused[: len(worst)]])
        self._accept(float(left.sum()) + 2 * self.alpha * self._length(), atoms=atoms)

    def _accept(self, objective: float, **new: Array) -> None:
        """Take H or W, unless rounding has made J larger."""
        if not self.history or objective <= self.history[-1]:
            vars(self).update(new)
        else:
            objective = self.history[-1]
        self.history.append(objective)

    def _squares(self, atoms: Array) -> Array:
        return _core.residual_squares(self.samples, self.code, atoms, self.threads)

    def _length(self) -> float:
        return float(np.abs(self.code).sum(dtype=np.float64))

    def result(self, status: int) -> CoordinateResult:
        """The result in X's units."""
        code = np.ldexp(self.code, self.unit)
        history = np.array([arguments.scaled(value, 2 * self.unit) for value in self.history])
        fun = history[-1] if self.history else np.nan
        known = {"x": (code, self.atoms), "code": code, "dictionary": self.atoms, "fun": float(fun)}
        gap = arguments.scaled(self.gap, 2 * self.unit)
        return ended(status, **known, history=history, gap=gap, n_iter=self.n_iter)


def _drawn(samples: Array, k: int, seed: int) -> Array:
    """Different samples, k of them or as many as there are, of length 1; atoms beyond that are random."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(samples))[:k]
    random = rng.standard_normal((k, samples.shape[1])).astype(samples.dtype)
    random[: len(chosen)] = _unit(samples[chosen], random[: len(chosen)])
    return _unit(random, random)


def _norms(rows: Array) -> tuple[Array, Array, Array]:
    """The rows in units of powers of two of their own, their norms in these units, and the exponents."""
    exponents = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1]
    scaled = np.ldexp(rows, -exponents)
    return scaled, np.sqrt((scaled.astype(np.float64) ** 2).sum(axis=1, keepdims=True)), exponents


def _unit(rows: Array, otherwise: Array) -> Array:
    """The rows at length 1; rows of zeros are replaced."""
    scaled, norms, _ = _norms(rows)
    made: Array = np.where(norms > 0, scaled / np.where(norms > 0, norms, 1), otherwise).astype(rows.dtype)
    return made


def _within_ball(atoms: Array) -> Array:
    """The atoms, those longer than 1, beyond rounding, shortened to that."""
    _, norms, exponents = _norms(atoms)
    with np.errstate(over="ignore"):
        is_long = np.ldexp(norms, exponents) > 1 + 4 * np.finfo(atoms.dtype).eps
    return np.where(is_long, _unit(atoms, atoms), atoms)
