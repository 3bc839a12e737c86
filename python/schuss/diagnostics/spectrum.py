"""The kind of a critical point, and the condition number, from the spectrum of the Hessian."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss.diagnostics.curvature import Gradient, Product, product_at, vector
from schuss.diagnostics.lanczos import lanczos
from schuss.diagnostics.norms import length
from schuss.options import POSITIVE_OR_ZERO, function, number

Array = NDArray[Any]

Kind = Literal["minimum", "maximum", "saddle", "degenerate", "undecided"]


class CriticalPoint(NamedTuple):
    """What `critical_point` found.

    Attributes:
        kind: "minimum", "maximum", "saddle"; "degenerate" where an eigenvalue is 0 to rounding and the others do not
            make a saddle; "undecided" where the residuals of Lanczos' method are too large to tell.
        eigenvalues: All of the Hessian's, or the Ritz values, rising.
        residuals: Their bounds, 0 for eigenvalues.
        zero: The magnitude up to which an eigenvalue counts as 0.
    """

    kind: Kind
    eigenvalues: Array
    residuals: Array
    zero: float


class ConditionNumber(NamedTuple):
    """What `condition_number` found.

    Attributes:
        value: κ, ∞ where the least magnitude is 0 to rounding.
        eigenvalues: All of the Hessian's, or the Ritz values, rising.
        residuals: Their bounds, 0 for eigenvalues.
        bounds: The least and the greatest κ that the residuals of the extreme values allow.
    """

    value: float
    eigenvalues: Array
    residuals: Array
    bounds: tuple[float, float]


def critical_point(
    x: Any,
    *,
    gradient: Gradient | None = None,
    hvp: Product | None = None,
    hessian: Callable[[Array], Any] | None = None,
    gtol: float = 1e-4,
    rtol: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    callback: Callable[[int, float, float], None] | None = None,
) -> CriticalPoint:
    """Tell a minimum, a maximum and a saddle point apart by the signs of the Hessian's eigenvalues.

    Formula: minimum: all λ > 0; maximum: all λ < 0; saddle: both signs. λ counts as 0 where |λ| ≤ rtol·max|λ|.

    Source: Deep Learning, sections 4.3.1 and 8.2.3; Dauphin et al. 2014.

    Args:
        x: The point, of shape (n,), float32 or float64.
        gradient: gradient(x) gives an array of shape (n,). With it x is checked to be a critical point.
        hvp: hvp(x, v) gives Hv; by default differences of the gradient. The extreme eigenvalues then come from
            `lanczos`.
        hessian: hessian(x) gives the Hessian, a symmetric array of shape (n, n), all of whose eigenvalues are computed;
            in the place of hvp.
        gtol: The norm of the gradient may be at most this, in [0, ∞), default 1e-4.
        rtol: In [0, ∞). Default: nε for a hessian, √ε for an hvp or differences, ε being that of x's dtype.
        iterations: Products at most, as for `lanczos`.
        seed: As for `lanczos`.
        callback: As for `lanczos`.

    Returns:
        A `CriticalPoint`: the kind and the eigenvalues.

    Raises:
        TypeError: An argument has another type, or there is neither gradient, hvp nor hessian.
        ValueError: An argument is out of its range, an array has another shape or is not finite, or the gradient at x
            is longer than gtol.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.diagnostics.critical_point(np.zeros(2), gradient=lambda x: np.array([2 * x[0], -x[1]]))
        >>> found.kind, found.eigenvalues.round(6)
        ('saddle', array([-1.,  2.]))
    """
    x, allowed = vector("x", x), number("gtol", gtol, POSITIVE_OR_ZERO)
    if gradient is not None:
        size = length(vector("gradient(x)", function("gradient", gradient)(x), x))
        if size > allowed:
            raise ValueError(f"x is no critical point: its gradient has a norm of {size:g}, more than gtol={gtol!r}")
    least = _tolerance(x, rtol, hessian is not None)
    values, residuals = _spectrum(x, gradient, hvp, hessian, least, iterations, seed, callback)
    zero = least * float(np.abs(values).max())
    return CriticalPoint(_kind(values, residuals, zero), values, residuals, zero)


def condition_number(
    x: Any,
    *,
    gradient: Gradient | None = None,
    hvp: Product | None = None,
    hessian: Callable[[Array], Any] | None = None,
    rtol: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    callback: Callable[[int, float, float], None] | None = None,
) -> ConditionNumber:
    """The condition number of the Hessian: by how much its curvatures differ.

    Formula: κ = max|λ|/min|λ|. By Lanczos' method it is max λ/min λ of a Hessian whose eigenvalues have one sign: of
    both signs, the least magnitude would lie within the spectrum, where it finds nothing.

    Source: Deep Learning, equation 4.2 and section 8.2.1.

    Args:
        x: The point, of shape (n,), float32 or float64.
        gradient: gradient(x) gives an array of shape (n,), of which differences are taken where there is no hvp.
        hvp: hvp(x, v) gives Hv, of shape (n,).
        hessian: hessian(x) gives the Hessian, a symmetric array of shape (n, n), all of whose eigenvalues are computed;
            in the place of hvp.
        rtol: |λ| ≤ rtol·max|λ| counts as 0, in [0, ∞). Default as for `critical_point`.
        iterations: Products at most, as for `lanczos`.
        seed: As for `lanczos`.
        callback: As for `lanczos`.

    Returns:
        A `ConditionNumber`: κ, and the bounds that the residuals set.

    Raises:
        TypeError: An argument has another type, or there is neither gradient, hvp nor hessian.
        ValueError: An argument is out of its range, an array has another shape or is not finite, or there is no hessian
            and the eigenvalues have both signs.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.diagnostics.condition_number(np.ones(2), gradient=lambda x: np.array([1.0, 50.0]) * x)
        >>> round(found.value, 4)
        50.0
    """
    x = vector("x", x)
    least = _tolerance(x, rtol, hessian is not None)
    values, residuals = _spectrum(x, gradient, hvp, hessian, least, iterations, seed, callback)
    zero = least * float(np.abs(values).max())
    if hessian is None and values[0] < -zero and values[-1] > zero:
        raise ValueError(f"the eigenvalues reach from {values[0]:g} to {values[-1]:g}: both signs need a hessian")
    sizes = np.abs(values)
    small, great = int(sizes.argmin()), int(sizes.argmax())
    if sizes[small] <= zero:
        return ConditionNumber(math.inf, values, residuals, (math.inf, math.inf))
    low, high = sizes - residuals, sizes + residuals
    upper = high[great] / low[small] if low[small] > 0 else math.inf
    bounds = (float(max(1, low[great] / high[small])), float(upper))
    return ConditionNumber(float(sizes[great] / sizes[small]), values, residuals, bounds)


def _spectrum(
    x: Array,
    gradient: Gradient | None,
    hvp: Product | None,
    hessian: Callable[[Array], Any] | None,
    rtol: float,
    iterations: int | None,
    seed: int,
    callback: Callable[[int, float, float], None] | None,
) -> tuple[Array, Array]:
    """All eigenvalues of the Hessian, or Ritz values, and their residuals."""
    if x.size == 0:
        raise ValueError("x has shape (0,), expected at least one parameter")
    if hessian is None:
        product = product_at(gradient, hvp)
        found = lanczos(
            lambda v: product(x, v),
            x.size,
            iterations=iterations,
            rtol=rtol / 2,  # to tell a 0 from a sign
            seed=seed,
            dtype=x.dtype,
            callback=callback,
        )
        return found.values, found.residuals
    if hvp is not None:
        raise TypeError("hvp and hessian are given, expected one of them")
    matrix = np.asarray(function("hessian", hessian)(x))
    if matrix.shape != (x.size, x.size):
        raise ValueError(f"hessian(x) has shape {matrix.shape}, expected {(x.size, x.size)}")
    matrix = vector("hessian(x)", matrix, matrix)
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-3 * np.abs(matrix).max()):
        raise ValueError("hessian(x) is not symmetric")
    return np.linalg.eigvalsh((matrix + matrix.T) / 2), np.zeros(x.size)


def _tolerance(x: Array, rtol: float | None, dense: bool) -> float:
    """The part of the greatest magnitude up to which an eigenvalue counts as 0."""
    eps = float(np.finfo(x.dtype).eps)
    default = x.size * eps if dense else math.sqrt(eps)
    return default if rtol is None else number("rtol", rtol, POSITIVE_OR_ZERO)


def _kind(values: Array, residuals: Array, zero: float) -> Kind:
    """The kind, from the extreme values: the others lie between them."""
    (least, below), (greatest, above) = (values[0], residuals[0]), (values[-1], residuals[-1])
    if least + below < -zero and greatest - above > zero:
        return "saddle"
    if least - below > zero:
        return "minimum"
    if greatest + above < -zero:
        return "maximum"
    return "undecided" if max(below, above) > zero else "degenerate"
