"""The solvers, for trainers that own the loop."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from schuss.minimizers import arguments
from schuss.minimizers.base import Minimizer
from schuss.minimizers.result import Array, LbfgsInverse, MinimizeResult


def known_of(result: Mapping[str, Any]) -> Any:
    """The inverse Hessian of a result."""
    if "hess_inv" not in result:
        raise TypeError("warm_start has no hess_inv, expected a result of BFGS or L-BFGS")
    return result["hess_inv"]


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

    def _set_inverse(self, given: Any, name: str = "hess_inv0") -> None:
        h, n = np.array(arguments.real_array(name, given), self._x0.dtype, order="C", ndmin=2), self._x0.size
        if h.shape != (n, n):
            raise ValueError(f"{name} has shape {h.shape}, expected ({n}, {n})")
        if not np.isfinite(h).all() or not np.allclose(h, h.T, atol=1e-8 * np.abs(h).max(initial=0)):
            raise ValueError(f"{name} is not symmetric and finite")
        if n and np.linalg.eigvalsh(h)[0] <= 0:
            raise ValueError(f"{name} is not positive definite")
        self._core.set_inverse_hessian(h)

    def _take_over(self, result: Mapping[str, Any]) -> None:
        known = known_of(result)
        self._set_inverse(known.todense() if isinstance(known, LbfgsInverse) else known, "warm_start")

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

    def _take_over(self, result: Mapping[str, Any]) -> None:
        known = known_of(result)
        if not isinstance(known, LbfgsInverse):
            raise TypeError(f"warm_start has a hess_inv of {type(known).__name__}, expected the pairs of L-BFGS")
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

    Where H is not finite p = -g.

    Source: Deep Learning, section 8.6.1; Dauphin et al. 2014 (saddle-free).

    Args:
        hess: hess(x) returns H, a symmetric array of shape (n, n), of which the upper half is read. It is called by
            `ask`.
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
            self._core.tell_hessian(self._hessian(None)(self._core.ask()))
        return super().ask()

    def _hessian(self, given: Callable[..., Any] | None) -> Callable[..., Any]:
        own = self._hess
        if given is not None:
            return given
        if own is None:
            raise ValueError("hess is None, expected a function of x: Newton's method wants the Hessian")
        return lambda x, *_: own(x)

    def _add_to(self, found: MinimizeResult) -> None:
        found["nhev"] = self._core.nhev


SOLVERS: dict[str, type[Minimizer]] = {
    solver.method: solver for solver in (GradientDescent, ConjugateGradient, BFGS, LBFGS, Newton)
}
