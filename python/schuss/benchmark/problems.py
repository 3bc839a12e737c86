"""Problems for minimisers, with gradients: Moré, Garbow and Hillstrom 1981, Toint 1978, and logistic regression."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """An objective with its gradient, where to start, and its least value."""

    name: str
    fun: Callable[[Array], tuple[Any, Array]]
    x0: tuple[float, ...]
    least: float = 0.0

    def start(self, scale: float = 1.0, dtype: str = "float64") -> Array:
        """The standard start, or a multiple of it."""
        return np.array([scale * x for x in self.x0], dtype)


def rosenbrock(x: Array) -> tuple[Any, Array]:
    """Rosenbrock's valley, once for each pair of unknowns."""
    u, v = x[::2], x[1::2]
    a, b = v - u * u, 1 - u
    g = np.empty_like(x)
    g[::2], g[1::2] = -400 * a * u - 2 * b, 200 * a
    return 100 * (a @ a) + b @ b, g


def chained_rosenbrock(x: Array) -> tuple[Any, Array]:
    """Rosenbrock's valley between neighbours."""
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    g = np.zeros_like(x)
    g[:-1] = -400 * a * x[:-1] - 2 * b
    g[1:] += 200 * a
    return 100 * (a @ a) + b @ b, g


def beale(x: Array) -> tuple[Any, Array]:
    """Beale's function."""
    u, v = x
    r = np.array([1.5 - u * (1 - v), 2.25 - u * (1 - v**2), 2.625 - u * (1 - v**3)], x.dtype)
    jacobian = np.array([[v - 1, v**2 - 1, v**3 - 1], [u, 2 * u * v, 3 * u * v**2]], x.dtype)
    return r @ r, 2 * (jacobian @ r)


def wood(x: Array) -> tuple[Any, Array]:
    """Wood's function."""
    a, b, c, d = x
    p, q, r, s = b - a * a, 1 - a, d - c * c, 1 - c
    t, w = b + d - 2, b - d
    f = 100 * p * p + q * q + 90 * r * r + s * s + 10 * t * t + 0.1 * w * w
    g = [-400 * a * p - 2 * q, 200 * p + 20 * t + 0.2 * w, -360 * c * r - 2 * s, 180 * r + 20 * t - 0.2 * w]
    return f, np.array(g, x.dtype)


def powell(x: Array) -> tuple[Any, Array]:
    """Powell's singular function, once for each four unknowns."""
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    p, q, r, s = a + 10 * b, c - d, b - 2 * c, a - d
    g = np.empty_like(x)
    g[::4], g[1::4] = 2 * p + 40 * s**3, 20 * p + 4 * r**3
    g[2::4], g[3::4] = 10 * q - 8 * r**3, -10 * q - 40 * s**3
    return p @ p + 5 * (q @ q) + np.sum(r**4) + 10 * np.sum(s**4), g


def helical_valley(x: Array) -> tuple[Any, Array]:
    """Fletcher and Powell's helical valley."""
    a, b, c = x
    square = a * a + b * b
    root = np.sqrt(square)
    angle = np.arctan2(b, a) / (2 * np.pi)
    angle = angle + 1 if angle < -0.25 else angle
    p, q = 10 * (c - 10 * angle), 10 * (root - 1)
    slope = 100 * p / (2 * np.pi * square)
    g = [2 * (slope * b + 10 * q * a / root), 2 * (-slope * a + 10 * q * b / root), 20 * p + 2 * c]
    return p * p + q * q + c * c, np.array(g, x.dtype)


def logistic_regression(examples: int = 500, features: int = 30) -> Callable[[Array], tuple[Any, Array]]:
    """Binary logistic regression with a quadratic penalty, on data drawn from a fixed seed."""
    rng = np.random.default_rng(8)
    inputs = rng.normal(size=(examples, features)) @ rng.normal(size=(features, features)) / np.sqrt(features)
    signs = np.sign(inputs @ rng.normal(size=features) + rng.normal(size=examples))
    signed = inputs * signs[:, None]

    def fun(w: Array) -> tuple[Any, Array]:
        rows = signed.astype(w.dtype, copy=False)
        margins = rows @ w
        return np.sum(np.logaddexp(0, -margins)) + w @ w / 2, w - rows.T @ (1 / (1 + np.exp(np.minimum(margins, 80))))

    return fun


PROBLEMS = (
    Problem("rosenbrock", rosenbrock, (-1.2, 1.0)),
    Problem("beale", beale, (1.0, 1.0)),
    Problem("wood", wood, (-3.0, -1.0, -3.0, -1.0)),
    Problem("powell", powell, (3.0, -1.0, 0.0, 1.0)),
    Problem("helical valley", helical_valley, (-1.0, 0.0, 0.0)),
    Problem("extended rosenbrock 100", rosenbrock, (-1.2, 1.0) * 50),
    Problem("extended powell 100", powell, (3.0, -1.0, 0.0, 1.0) * 25),
    Problem("chained rosenbrock 100", chained_rosenbrock, (-1.2, 1.0) * 50),
    Problem("logistic regression", logistic_regression(), (0.0,) * 30, 161.29),
)
