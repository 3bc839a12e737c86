"""The minimisers' kernels by themselves; `schuss.reference` has each of them in NumPy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss import _core
from schuss.minimizers import arguments
from schuss.options import POSITIVE_OR_ZERO, number
from schuss.threads import check_num_threads

Array = NDArray[Any]


class LinearResult(NamedTuple):
    """The solution of Ax = b as far as it was found.

    Attributes:
        x: The solution.
        iterations: How many it took.
        residual: ‖b - Ax‖, as the recursion has it.
        success: Whether the residual is as small as was asked for.
    """

    x: Array
    iterations: int
    residual: float
    success: bool


def bfgs_update(H: Array, s: Array, y: Array, *, num_threads: int | None = None) -> Array:
    """Update an inverse Hessian by BFGS, in place.

    Formula: w = s - Hy; ρ = 1/sᵀy; u = ρw - ½ρ²(wᵀy)s; H ← H + usᵀ + suᵀ. Then Hy = s, and H stays symmetric.

    Source: Broyden, Fletcher, Goldfarb and Shanno 1970; Deep Learning, section 8.6.3.

    Args:
        H: A symmetric array of shape (n, n), of float32 or float64. Updated in place.
        s: The step, of shape (n,) and H's dtype.
        y: The change of the gradient over it, likewise; sᵀy must be positive.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

    Returns:
        H itself.

    Raises:
        TypeError: An array has another dtype.
        ValueError: An array has another shape, H is read-only, not contiguous or overlaps s or y, or sᵀy is not
            positive, or the update is not finite. H is as it was then.

    Example:
        >>> import numpy as np, schuss
        >>> H = schuss.linalg.bfgs_update(np.eye(2), np.array([1.0, 0.0]), np.array([2.0, 1.0]))
        >>> H @ np.array([2.0, 1.0])
        array([1., 0.])
    """
    _core.bfgs_update(H, s, y, 0 if num_threads is None else check_num_threads(num_threads))
    return H


def newton_direction(
    H: Array, g: Array, *, alpha: float = 0.0, curvature: str = "regularized", floor: float = 0.0
) -> Array:
    """Newton's direction, a direction of descent even where H is not positive definite.

    Formula: p = -(H + αI)⁻¹g, with α grown until H + αI is positive definite; or p = -|H|⁻¹g.

    Source: Deep Learning, equation 8.28; Dauphin et al. 2014 (saddle-free).

    Args:
        H: A symmetric array of shape (n, n), of float32 or float64; the half that is read is the upper one.
        g: The gradient, of shape (n,) and H's dtype.
        alpha: α to begin with, in [0, ∞), default 0.
        curvature: "regularized" (default), or "saddle_free" for |H|, by the magnitudes of H's eigenvalues.
        floor: With "saddle_free": no eigenvalue counts for less than this part of the largest, in [0, 1); default 0
            stands for √ε.

    Returns:
        p, of shape (n,).

    Raises:
        TypeError: An array has another dtype.
        ValueError: An array has another shape, H or g is not finite, or a number is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> schuss.linalg.newton_direction(np.diag([2.0, 4.0]), np.array([2.0, 2.0]))
        array([-1. , -0.5])
        >>> schuss.linalg.newton_direction(np.diag([2.0, -4.0]), np.array([2.0, 2.0]), curvature="saddle_free")
        array([-1. , -0.5])
    """
    shift = number("alpha", alpha, POSITIVE_OR_ZERO)
    kind, least = arguments.plain("curvature", curvature), arguments.plain("floor", floor)
    return _core.newton_direction(H, g, shift, kind, least)[0]


def cg(
    A: Array | Callable[[Array], Any],
    b: Array,
    x0: Array | None = None,
    *,
    rtol: float = 1e-5,
    maxiter: int | None = None,
    num_threads: int | None = None,
) -> LinearResult:
    """Solve Ax = b, that is minimise ½xᵀAx - bᵀx, by conjugate gradients with the exact step.

    Formula: α = rᵀr/pᵀAp; x ← x + αp; r' = r - αAp; p ← r' + (r'ᵀr'/rᵀr)p.

    Source: Hestenes and Stiefel 1952; Deep Learning, section 8.6.2.

    Args:
        A: A symmetric positive definite array of shape (n, n), of b's dtype; or a function that returns Ap for an array
            p of shape (n,).
        b: The right-hand side, of shape (n,), of float32 or float64.
        x0: Where to begin, of shape (n,) and b's dtype, default zero.
        rtol: Done when ‖b - Ax‖ ≤ rtol·‖b‖, in [0, ∞), default 1e-5.
        maxiter: Iterations at most, at least 0, default 10n.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

    Returns:
        `x`, `iterations`, `residual` and `success`; see `LinearResult`. Where A is not positive definite it is the best
        that was found before.

    Raises:
        TypeError: An array has another dtype.
        ValueError: An array has another shape, b or x0 is not finite, or a number is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> schuss.linalg.cg(np.diag([1.0, 2.0]), np.array([1.0, 4.0])).x.round(6)
        array([1., 2.])
    """
    tolerance = number("rtol", rtol, POSITIVE_OR_ZERO)
    most = 10 * np.size(b) if maxiter is None else arguments.plain("maxiter", maxiter)
    wanted = 0 if num_threads is None else check_num_threads(num_threads)
    return LinearResult(*_core.cg(A, b, x0, tolerance, most, wanted))
