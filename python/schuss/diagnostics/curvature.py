"""Curvature along a direction, and what it says of a gradient step."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss.diagnostics.norms import length
from schuss.options import POSITIVE, POSITIVE_OR_ZERO, function, number

Array = NDArray[Any]

Gradient = Callable[[Array], Any]
Product = Callable[[Array, Array], Any]


def hessian_vector_product(gradient: Gradient, x: Any, v: Any, *, scale: float | None = None) -> Array:
    """The product of the Hessian with a vector, by central differences of the gradient.

    Formula: Hv ≈ (g(x + hv) - g(x - hv))/2h with h = ε^⅓·s/‖v‖, ε being that of x's dtype and s the scale of x. The
    error is of the order of ε^⅔ relative to ‖H‖‖v‖ where the Hessian changes over distances of about s.

    Source: Pearlmutter 1994, equation 1.

    Args:
        gradient: gradient(x) gives an array of shape (n,).
        x: The point, of shape (n,), float32 or float64.
        v: The vector, likewise.
        scale: s in (0, ∞), over which the Hessian may change; default ‖x‖, or 1 where x is 0. Give it where x is close
            to 0 by chance, as `hvp=lambda x, v: hessian_vector_product(gradient, x, v, scale=1.0)` to other functions.

    Returns:
        Hv, of shape (n,) and x's dtype.

    Raises:
        TypeError: An argument has another type.
        ValueError: An array has another shape or is not finite, or scale is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> H = np.array([[2.0, 1.0], [1.0, 3.0]])
        >>> schuss.diagnostics.hessian_vector_product(lambda x: H @ x, [1.0, 1.0], [1.0, 0.0]).round(6)
        array([2., 1.])
    """
    function("gradient", gradient)
    x = vector("x", x)
    v = vector("v", v, x)
    longest = float(np.abs(v).max(initial=0))
    if longest == 0:
        return np.zeros_like(x)
    unit = v / longest
    size = length(x) or 1.0 if scale is None else number("scale", scale, POSITIVE)
    step = (float(np.finfo(x.dtype).eps) ** (1 / 3) * size / length(unit)) * unit
    above, below = (vector("gradient(x)", gradient(x + h), x) for h in (step, -step))
    # The distance that rounding left, along v: it may differ from 2h where x is much longer than s.
    width = float(((x + step) - (x - step)) @ unit) / float(unit @ unit)
    if width == 0:
        raise ValueError(f"scale={size:g} is too small to change x, whose length is {length(x):g}")
    return (above - below) / width * longest


class Conditioning(NamedTuple):
    """What a step -εg does to f, to second order: -εgᵀg + ½ε²gᵀHg.

    Attributes:
        lr: ε.
        gg: gᵀg.
        ghg: gᵀHg.
    """

    lr: float
    gg: float
    ghg: float

    @property
    def curvature_term(self) -> float:
        """½ε·gᵀHg, to be compared with gᵀg."""
        return 0.5 * self.lr * self.ghg

    @property
    def is_ill(self) -> bool:
        """Whether the curvature makes f rise along the step: ½ε·gᵀHg > gᵀg."""
        return self.curvature_term > self.gg

    @property
    def change(self) -> float:
        """The change of f, to second order."""
        return self.lr * (self.curvature_term - self.gg)

    @property
    def best_lr(self) -> float:
        """The ε for which f falls most, gᵀg/gᵀHg; ∞ where the curvature along g is not positive."""
        return self.gg / self.ghg if self.ghg > 0 else math.inf


def ill_conditioning(gradient: Gradient, x: Any, lr: float, *, hvp: Product | None = None) -> Conditioning:
    """Compare gᵀg with ½εgᵀHg, by which curvature makes a gradient step worse than the gradient promises.

    Formula: f(x - εg) ≈ f(x) - εgᵀg + ½ε²gᵀHg.

    Source: Deep Learning, equation 8.10.

    Args:
        gradient: gradient(x) gives an array of shape (n,).
        x: The point, of shape (n,), float32 or float64.
        lr: ε in [0, ∞).
        hvp: hvp(x, v) gives Hv, of shape (n,); by default `hessian_vector_product`.

    Returns:
        A `Conditioning`, with gᵀg, gᵀHg, whether the step makes f rise, and the ε that suits the curvature.

    Raises:
        TypeError: An argument has another type.
        ValueError: An array has another shape or is not finite, or lr is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.diagnostics.ill_conditioning(lambda x: np.array([1.0, 100.0]) * x, [0.0, 1.0], lr=0.03)
        >>> found.is_ill, round(found.best_lr, 6)
        (True, 0.01)
    """
    x, rate = vector("x", x), number("lr", lr, POSITIVE_OR_ZERO)
    function("gradient", gradient)
    g = vector("gradient(x)", gradient(x), x)
    product = vector("hvp(x, v)", product_at(gradient, hvp)(x, g), x)
    wide, curved = g.astype(np.float64), product.astype(np.float64)
    return Conditioning(rate, float(wide @ wide), float(wide @ curved))


def product_at(gradient: Gradient | None, hvp: Product | None) -> Product:
    """The function hvp(x, v) that is given, or the one by differences of the gradient."""
    if hvp is None:
        checked = function("gradient", gradient)
        return lambda x, v: hessian_vector_product(checked, x, v)
    checked_hvp: Product = function("hvp", hvp)
    return checked_hvp


def vector(name: str, value: Any, like: Array | None = None) -> Array:
    """`value` as a vector of float32 or float64, of `like`'s dtype and shape if there is one.

    Raises TypeError or ValueError, naming it, unless it can be one and is finite.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.ndim != 1 if like is None else array.shape != like.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {'(n,)' if like is None else like.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    kind = (np.float32 if array.dtype == np.float32 else np.float64) if like is None else like.dtype
    return array.astype(kind)
