"""The solvers, for trainers that own the loop: `ask` where to evaluate, `tell` what came out."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from schuss import _core
from schuss.minimizers import arguments
from schuss.minimizers.objective import Compiled
from schuss.minimizers.result import MESSAGES, LbfgsInverse, MinimizeResult

Array = NDArray[Any]

COMMON = """
Args of every solver:
    x0: Where to begin: n numbers. float32 stays float32, everything else becomes float64.
    gtol: Converged when the norm of the gradient is at most this, in [0, ∞), default 1e-5.
    norm: The order of that norm, default inf: the largest magnitude.
    xrtol: Converged, too, when a step is at most xrtol·(xrtol + ‖x‖), in [0, ∞), default 0.
    ftol: Converged, too, when an iteration lowers f by at most ftol·|f|, in [0, ∞), default 0.
    maxiter: Iterations at most, at least 0, default max(1000, 200n).
    maxfun: Evaluations at most, at least 1, default any number.
    maxtime: Seconds at most, in [0, ∞], default ∞.
    line_search: "wolfe" (default; Moré and Thuente 1994, with Hager and Zhang's approximate conditions where f cannot
        resolve the decrease), "backtracking", or "exact" for quadratics.
    c1, c2: The constants of the Wolfe conditions, 0 ≤ c1 < c2 < 1, default 1e-4 and a value that suits the method.
    first_step: The first step over the first direction, in (0, ∞); by default from the scales of x, f and g.
    num_threads: At least 1; by default what `schuss.get_num_threads()` says. Results do not depend on it.

Raises:
    TypeError: An argument has another type.
    ValueError: An argument is out of its range.
"""


class Minimizer:
    """The base of all solvers: asks where the objective is to be evaluated, and is told f and its gradient there.

    A solver is a coroutine in the compiled core. `state_dict` holds its state at the beginning of the current
    iteration; a solver that loads it evaluates the same points from there on and finds the same iterates, bit for bit.
    """

    method: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.__doc__ = inspect.cleandoc(cls.__doc__ or "") + "\n" + COMMON

    def __init__(self, x0: Any, **options: Any) -> None:
        x = arguments.start(x0)
        self._options = {"maxiter": max(1000, 200 * x.size), **arguments.check(self.method, options)}
        self._x0 = x
        self._core = _core.Solver(self.method, x, self._options)

    # ---- the loop ----

    @property
    def done(self) -> bool:
        """Whether it has ended; `result()` then says how."""
        return not self._core.wants

    def ask(self) -> Array:
        """The point at which f and its gradient are wanted: an array of its own."""
        x: Array = self._core.ask()
        return x

    def tell(self, f: float, g: Any) -> None:
        """Say what the objective is at the point of `ask`.

        Args:
            f: The value. One that is not finite tells the solver to stay nearer.
            g: The gradient: n numbers.

        Raises:
            TypeError: `f` is no number.
            ValueError: `g` has another number of elements, or nothing was asked for.
        """
        self._core.tell(f, g)

    def stop(self) -> None:
        """End with status 99, as after a callback that has raised StopIteration."""
        self._core.stop(99)

    def run(
        self,
        fun: Callable[..., Any],
        jac: Callable[..., Any] | None = None,
        hess: Callable[..., Any] | None = None,
        args: tuple[Any, ...] = (),
        after: Callable[[Array, float], bool] | None = None,
    ) -> None:
        """Ask and tell to the end.

        Args:
            fun: fun(x, *args) returns (f, g), or f where there is a `jac`.
            jac: jac(x, *args) returns g.
            hess: hess(x, *args) returns the Hessian, which Newton's method wants.
            args: Passed on.
            after: Called with x and f after each iteration; ends the run if it returns True.
        """
        self._core.drive(fun, jac, hess, args, after)

    def run_compiled(self, objective: Compiled) -> None:
        """Ask and tell to the end, without the GIL."""
        self._core.run_compiled(objective.address, objective.user)

    # ---- what there is to know ----

    @property
    def nit(self) -> int:
        """The number of iterations."""
        return int(self._core.nit)

    def result(self) -> MinimizeResult:
        """What has been found so far; see `MinimizeResult`."""
        x, f, g, _ = self._core.best()
        status = self._core.status
        found = MinimizeResult(
            x=x,
            fun=f,
            jac=g,
            nit=self._core.nit,
            nfev=self._core.nfev,
            njev=self._core.nfev,
            status=status,
            success=status == 0,
            message=MESSAGES[status],
        )
        self._add_to(found)
        return found

    def _add_to(self, found: MinimizeResult) -> None:
        """Adds what only this method knows."""

    # ---- saving and loading ----

    def state_dict(self) -> dict[str, Any]:
        """The state at the beginning of the current iteration: arrays and plain numbers, all copies."""
        return {"solver": type(self).__name__, "state": self._core.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict` of the same class, n and dtype.

        Raises:
            TypeError: An array has another dtype.
            ValueError: It is the state of another class or size. Nothing has changed then.
        """
        if state.get("solver") != type(self).__name__:
            raise ValueError(f"state['solver'] is {state.get('solver')!r}, expected {type(self).__name__!r}")
        if "state" not in state:
            raise ValueError("state lacks 'state', expected what state_dict() gives")
        core = _core.Solver(self.method, self._x0, self._options)
        core.load(state["state"])
        self._core = core

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy."""
        own = {name: value for name, value in self.__dict__.items() if name != "_core"}
        return {"own": own, "state": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """For pickle and copy."""
        self.__dict__.update(state["own"])
        self.load_state_dict(state["state"])

    def warm_start(self, result: Mapping[str, Any]) -> None:
        """Take over what a former result knows of the curvature; call it before the first `ask`."""


class GradientDescent(Minimizer):
    """Gradient descent with a line search.

    Formula: p = -g; x ← x + αp.

    Source: Cauchy 1847; Deep Learning, section 4.3.

    Example:
        >>> import schuss
        >>> solver = schuss.GradientDescent([3.0, 1.0])
        >>> while not solver.done:
        ...     x = solver.ask()
        ...     solver.tell(x @ x, 2 * x)
        >>> solver.result().success
        True
    """

    method = "gd"


class ConjugateGradient(Minimizer):
    """Nonlinear conjugate gradients.

    Formula (y = g - g₀, g₀ and p₀ those of the last iteration): p = -g + βp₀; x ← x + αp, with β by `beta`:
        "pr" Polak and Ribière, max(0, gᵀy/g₀ᵀg₀); "fr" Fletcher and Reeves, gᵀg/g₀ᵀg₀; "hs" Hestenes and Stiefel,
        gᵀy/p₀ᵀy; "dy" Dai and Yuan, gᵀg/p₀ᵀy; "hz" Hager and Zhang, (y - 2p₀ yᵀy/p₀ᵀy)ᵀg/p₀ᵀy

    Source: Deep Learning, section 8.6.2; Hager and Zhang 2006.

    Args:
        beta: Which β, default "pr".
        restart: Go back to -g after so many iterations, at least 1, default max(n, 10).
        powell: Go back to -g when |gᵀg₀| ≥ powell·gᵀg (Powell 1977), in [0, ∞], default ∞: never; Powell's own is 0.2.

    Example:
        >>> import schuss
        >>> solver = schuss.ConjugateGradient([3.0, 1.0], beta="pr")
        >>> while not solver.done:
        ...     x = solver.ask()
        ...     solver.tell(x @ x, 2 * x)
        >>> solver.result().success
        True
    """

    method = "cg"


class BFGS(Minimizer):
    """BFGS: an inverse Hessian H from the gradients of all steps. Takes n²/2 numbers of memory.

    Formula (s the step, y the change of g): p = -Hg; x ← x + αp; w = s - Hy; ρ = 1/sᵀy; u = ρw - ½ρ²(wᵀy)s;
    H ← H + usᵀ + suᵀ. A step with sᵀy ≤ ε‖s‖‖y‖ teaches nothing.

    Source: Broyden, Fletcher, Goldfarb and Shanno 1970; Deep Learning, section 8.6.3.

    Args:
        scaling: "first": before the first update H is multiplied by sᵀy/yᵀy. "always" (default): and before every other
            one by max(1, sᵀy/yᵀHy) (self-scaling, Al-Baali 1998). "none": neither.
        hess_inv0: H to begin with: a symmetric positive definite array of shape (n, n). By default the identity.

    Example:
        >>> import schuss
        >>> solver = schuss.BFGS([3.0, 1.0])
        >>> while not solver.done:
        ...     x = solver.ask()
        ...     solver.tell(x @ x, 2 * x)
        >>> solver.result().success
        True
    """

    method = "bfgs"

    def __init__(self, x0: Any, *, hess_inv0: Any = None, **options: Any) -> None:
        super().__init__(x0, **options)
        if hess_inv0 is not None:
            self._set_inverse(hess_inv0)

    def _set_inverse(self, given: Any) -> None:
        h, n = np.array(given, self._x0.dtype, order="C", ndmin=2), self._x0.size
        if h.shape != (n, n):
            raise ValueError(f"hess_inv0 has shape {h.shape}, expected ({n}, {n})")
        if not np.isfinite(h).all() or not np.allclose(h, h.T):
            raise ValueError("hess_inv0 is not symmetric and finite")
        if n and np.linalg.eigvalsh(h)[0] <= 0:
            raise ValueError("hess_inv0 is not positive definite")
        self._core.set_inverse_hessian(h)

    def warm_start(self, result: Mapping[str, Any]) -> None:
        """Begin with the inverse Hessian of a former result."""
        self._set_inverse(result["hess_inv"])

    def _add_to(self, found: MinimizeResult) -> None:
        found["hess_inv"] = self._core.inverse_hessian()


class LBFGS(Minimizer):
    """L-BFGS: BFGS from the last `memory` steps. Takes 2·memory·n numbers of memory.

    Formula: p = -Hg, where H is γ times the identity, γ = sᵀy/yᵀy, updated as in `BFGS` by the pairs (s, y) in memory.
    The recursion runs on the Gram matrix of the pairs, in float64.

    Source: Nocedal 1980; Deep Learning, section 8.6.3.1.

    Args:
        memory: The number of pairs, at least 0, default 10. 0 is memoryless BFGS: the last pair updates the identity.

    Example:
        >>> import schuss
        >>> solver = schuss.LBFGS([3.0, 1.0], memory=5)
        >>> while not solver.done:
        ...     x = solver.ask()
        ...     solver.tell(x @ x, 2 * x)
        >>> solver.result().success
        True
    """

    method = "lbfgs"

    def warm_start(self, result: Mapping[str, Any]) -> None:
        """Begin with the pairs of a former result."""
        known = result["hess_inv"]
        memory = max(self._options.get("memory", 10), 1)
        s, y = (np.asarray(pairs, self._x0.dtype)[-memory:] for pairs in (known.s, known.y))
        if len(s) == 0:
            return
        if s.shape[1] != self._x0.size:
            raise ValueError(f"warm_start has {s.shape[1]} unknowns, expected {self._x0.size} like x0")
        state = self._core.state()
        sy, yy = np.zeros((2, memory, memory))
        wide_s, wide_y = s.astype(np.float64), y.astype(np.float64)
        sy[: len(s), : len(s)], yy[: len(s), : len(s)] = wide_s @ wide_y.T, wide_y @ wide_y.T
        state.update(kept=len(s), oldest=0, gamma=float(known.gamma), sy=sy.reshape(-1), yy=yy.reshape(-1))
        for i in range(len(s)):
            state[f"s{i}"], state[f"y{i}"] = s[i].copy(), y[i].copy()
        self._core.load(state)

    def _add_to(self, found: MinimizeResult) -> None:
        state = self._core.state()
        kept, oldest = state["kept"], state["oldest"]
        order = [(oldest + k) % kept for k in range(kept)]
        empty = np.empty((0, self._x0.size), self._x0.dtype)
        s, y = (np.stack([state[f"{name}{i}"] for i in order]) if kept else empty for name in "sy")
        found["hess_inv"] = LbfgsInverse(s, y, state["gamma"])


class Newton(Minimizer):
    """Newton's method, for which the Hessian H must be known.

    Formula: p = -(H + αI)⁻¹g; x ← x + tp with t = 1 tried first. α is 0 where H is positive definite and else grows
    until H + αI is; or with `curvature="saddle_free"` p = -|H|⁻¹g, by the magnitudes of H's eigenvalues.

    Source: Deep Learning, section 8.6.1; Dauphin et al. 2014 (saddle-free).

    Args:
        hess: hess(x) returns H, an array of shape (n, n). It is called by `ask`.
        curvature: What to do about negative curvature: "regularized" (default) or "saddle_free".
        floor: With "saddle_free": no eigenvalue counts for less than this part of the largest, in [0, 1), default √ε.

    Example:
        >>> import numpy as np, schuss
        >>> solver = schuss.Newton([3.0, 1.0], hess=lambda x: 2 * np.eye(2))
        >>> while not solver.done:
        ...     x = solver.ask()
        ...     solver.tell(x @ x, 2 * x)
        >>> solver.result().nit
        1
    """

    method = "newton"

    def __init__(self, x0: Any, hess: Callable[[Array], Any] | None = None, **options: Any) -> None:
        super().__init__(x0, **options)
        if hess is not None and not callable(hess):
            raise TypeError(f"hess is {type(hess).__name__}, expected a function of x")
        self._hess = hess

    def ask(self) -> Array:
        """The point at which f and its gradient are wanted; calls `hess` before, where the Hessian is wanted."""
        while self._core.wants == "hessian":
            if self._hess is None:
                raise ValueError("hess is None, expected a function of x: Newton's method wants the Hessian")
            self._core.tell_hessian(self._hess(self._core.ask()))
        return super().ask()

    def _add_to(self, found: MinimizeResult) -> None:
        found["nhev"] = self._core.nhev


SOLVERS: dict[str, type[Minimizer]] = {
    solver.method: solver for solver in (GradientDescent, ConjugateGradient, BFGS, LBFGS, Newton)
}
