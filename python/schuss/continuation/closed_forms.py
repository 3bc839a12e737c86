"""Functions whose Gaussian blur is known in closed form: polynomials, sums of cosines, sums of Gaussians, and sums.

The blur of f is E f(x + σz) over z ~ N(0, I), the solution of the heat equation after the time σ²/2.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.options import POSITIVE_OR_ZERO, number

Array = NDArray[Any]

MOST = 1000  # of an exponent: the powers are worked out one after the other


class Blurrable:
    """A function that knows its Gaussian blur. `f + g` is one, too.

    Called with x, of shape (n,), it gives the value and the gradient.
    """

    def __call__(self, x: Any) -> tuple[float, Array]:
        """The value and the gradient at x."""
        raise NotImplementedError

    def blurred(self, sigma: float) -> "Blurrable":
        """Its blur, E f(x + σz) over z ~ N(0, I), for σ in [0, ∞)."""
        raise NotImplementedError

    def __add__(self, other: "Blurrable") -> "Blurrable":
        return _Sum(self, other) if isinstance(other, Blurrable) else NotImplemented


class _Sum(Blurrable):
    def __init__(self, *parts: Blurrable) -> None:
        self.parts = parts

    def __call__(self, x: Any) -> tuple[float, Array]:
        values, gradients = zip(*(part(x) for part in self.parts), strict=True)
        return sum(values), np.sum(gradients, axis=0)

    def blurred(self, sigma: float) -> Blurrable:
        return _Sum(*(part.blurred(sigma) for part in self.parts))


class Polynomial(Blurrable):
    """A polynomial in n unknowns.

    Formula: f(x) = Σⱼ cⱼ Πᵢ xᵢ^aⱼᵢ. Blurred, x^a becomes Σₖ a!/(k!(a - 2k)!)·(σ²/2)ᵏ·x^(a - 2k).

    Source: Hermite polynomials as solutions of the heat equation; Mobahi and Fisher 2015.

    State: `coefficients`, `exponents`, `sigma`.

    Args:
        coefficients: c, finite, of shape (terms,).
        exponents: a, integers from 0 to 1000, of shape (terms, n); of shape (terms,) for one unknown.
        sigma: σ in [0, ∞), by how much it is blurred, default 0.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or the shapes do not go together.

    Example:
        >>> import numpy as np, schuss
        >>> f = schuss.continuation.Polynomial([1.0, -2.0], [4, 2])  # x⁴ - 2x²
        >>> f([1.0]), f.blurred(1.0)([1.0])  # blurred: x⁴ + 6x² + 3 - 2x² - 2
        ((-1.0, array([0.])), (6.0, array([12.])))
    """

    def __init__(self, coefficients: Any, exponents: Any, sigma: float = 0.0) -> None:
        self.coefficients = _array("coefficients", coefficients, 1)
        powers = np.asarray(exponents)
        if powers.dtype.kind not in "iu":
            raise TypeError(f"exponents has dtype {powers.dtype}, expected integers")
        self.exponents = _array("exponents", powers[:, None] if powers.ndim == 1 else powers, 2).astype(int)
        for power in (self.exponents.min(), self.exponents.max()):
            if not 0 <= power <= MOST:
                raise ValueError(f"exponents has {power}, expected integers from 0 to {MOST}")
        _same_length("exponents", self.exponents, "coefficients", self.coefficients)
        self.sigma = number("sigma", sigma, POSITIVE_OR_ZERO)

    def __call__(self, x: Any) -> tuple[float, Array]:  # noqa: D102, inherits its docstring
        x = _point(x, self.exponents.shape[1])
        factors = self._powers(x, self.exponents)
        slopes = self.exponents * self._powers(x, np.maximum(self.exponents - 1, 0))
        gradient = np.empty_like(x)
        for i in range(x.size):
            gradient[i] = self.coefficients @ (slopes[:, i] * np.delete(factors, i, axis=1).prod(axis=1))
        return float(self.coefficients @ factors.prod(axis=1)), gradient

    def _powers(self, x: Array, exponents: Array) -> Array:
        """The blurred powers Bₐ of x, by B₀ = 1, B₁ = x, Bₐ = x·Bₐ₋₁ + σ²(a - 1)·Bₐ₋₂."""
        table = [np.ones_like(x), x]
        for a in range(2, int(exponents.max(initial=0)) + 1):
            table.append(x * table[-1] + self.sigma**2 * (a - 1) * table[-2])
        return np.array(table)[exponents, np.arange(x.size)]

    def blurred(self, sigma: float) -> "Polynomial":  # noqa: D102, inherits its docstring
        return Polynomial(self.coefficients, self.exponents, math.hypot(self.sigma, _sigma(sigma)))


class Cosines(Blurrable):
    """A sum of cosines of linear functions of the unknowns.

    Formula: f(x) = Σⱼ aⱼ cos(wⱼᵀx + φⱼ). Blurred, aⱼ becomes aⱼ·exp(-½σ²‖wⱼ‖²).

    Source: the Fourier transform of a Gaussian; Mobahi and Fisher 2015.

    State: `amplitudes`, `frequencies`, `phases`.

    Args:
        amplitudes: a, finite, of shape (terms,).
        frequencies: w, finite, of shape (terms, n); of shape (terms,) for one unknown.
        phases: φ, finite, of shape (terms,), default 0.

    Raises:
        TypeError: An argument has another type.
        ValueError: An array is not finite, or the shapes do not go together.

    Example:
        >>> import numpy as np, schuss
        >>> f = schuss.continuation.Cosines([1.0], [10.0])
        >>> f([0.0])[0], round(f.blurred(0.5)([0.0])[0], 6)
        (1.0, 4e-06)
    """

    def __init__(self, amplitudes: Any, frequencies: Any, phases: Any = None) -> None:
        self.amplitudes = _array("amplitudes", amplitudes, 1)
        self.frequencies = _rows("frequencies", frequencies)
        self.phases = np.zeros_like(self.amplitudes) if phases is None else _array("phases", phases, 1)
        _same_length("frequencies", self.frequencies, "amplitudes", self.amplitudes)
        _same_length("phases", self.phases, "amplitudes", self.amplitudes)

    def __call__(self, x: Any) -> tuple[float, Array]:  # noqa: D102, inherits its docstring
        angles = self.frequencies @ _point(x, self.frequencies.shape[1]) + self.phases
        return float(self.amplitudes @ np.cos(angles)), -(self.amplitudes * np.sin(angles)) @ self.frequencies

    def blurred(self, sigma: float) -> "Cosines":  # noqa: D102, inherits its docstring
        damping = np.exp(-(_sigma(sigma) ** 2) / 2 * np.sum(self.frequencies**2, axis=1))
        return Cosines(self.amplitudes * damping, self.frequencies, self.phases)


class Gaussians(Blurrable):
    """A sum of Gaussian bumps, upwards or downwards.

    Formula: f(x) = Σⱼ aⱼ exp(-‖x - cⱼ‖²/2sⱼ²). Blurred, sⱼ² becomes sⱼ² + σ², and aⱼ becomes aⱼ·(sⱼ²/(sⱼ² + σ²))^(n/2).

    Source: the convolution of two Gaussians; Mobahi and Fisher 2015.

    State: `amplitudes`, `centres`, `widths`.

    Args:
        amplitudes: a, finite, of shape (terms,).
        centres: c, finite, of shape (terms, n); of shape (terms,) for one unknown.
        widths: s, finite and positive, of shape (terms,).

    Raises:
        TypeError: An argument has another type.
        ValueError: An array is not finite, a width is not positive, or the shapes do not go together.

    Example:
        >>> import numpy as np, schuss
        >>> f = schuss.continuation.Gaussians([-1.0], [2.0], [3.0])
        >>> f([2.0])[0], round(f.blurred(4.0)([2.0])[0], 6)
        (-1.0, -0.6)
    """

    def __init__(self, amplitudes: Any, centres: Any, widths: Any) -> None:
        self.amplitudes = _array("amplitudes", amplitudes, 1)
        self.centres, self.widths = _rows("centres", centres), _array("widths", widths, 1)
        _same_length("centres", self.centres, "amplitudes", self.amplitudes)
        _same_length("widths", self.widths, "amplitudes", self.amplitudes)
        if (self.widths <= 0).any():
            raise ValueError(f"widths has {self.widths.min():g}, expected positive numbers")

    def __call__(self, x: Any) -> tuple[float, Array]:  # noqa: D102, inherits its docstring
        away = _point(x, self.centres.shape[1]) - self.centres
        bumps = self.amplitudes * np.exp(-np.sum(away**2, axis=1) / 2 / self.widths**2)
        return float(bumps.sum()), -(bumps / self.widths**2) @ away

    def blurred(self, sigma: float) -> "Gaussians":  # noqa: D102, inherits its docstring
        widths = np.hypot(self.widths, _sigma(sigma))
        return Gaussians(self.amplitudes * (self.widths / widths) ** self.centres.shape[1], self.centres, widths)


def _array(name: str, value: Any, dimensions: int) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.ndim != dimensions or array.size == 0:
        expected = "(terms,)" if dimensions == 1 else "(terms, n)"
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array.astype(np.float64)


def _rows(name: str, value: Any) -> Array:
    array = np.asarray(value)
    return _array(name, array[:, None] if array.ndim == 1 else array, 2)


def _same_length(name: str, array: Array, other: str, like: Array) -> None:
    if len(array) != len(like):
        raise ValueError(f"{name} has {len(array)} terms, {other} has {len(like)}")


def _sigma(sigma: Any) -> float:
    return number("sigma", sigma, POSITIVE_OR_ZERO)


def _point(x: Any, n: int) -> Array:
    point = np.asarray(x, np.float64)
    if point.shape != (n,):
        raise ValueError(f"x has shape {point.shape}, expected {(n,)}")
    return point
