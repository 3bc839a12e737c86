"""Gradients and Hessians by finite differences, for objectives that come without."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from schuss.minimizers.arguments import real_array
from schuss.minimizers.result import Array

SCHEMES = ("2-point", "3-point", "cs")

COMPLEX_STEP = 1e-20


class OutOfBudgetError(Exception):
    """The next evaluations would be more than are allowed."""


class Budget:
    """Counts the evaluations of a function.

    Args:
        most: There may be so many.
    """

    def __init__(self, most: float = math.inf) -> None:
        self._most = most
        self.spent = 0

    def require(self, calls: int) -> None:
        """Raise OutOfBudgetError unless there may be so many more."""
        if self.spent + calls > self._most:
            raise OutOfBudgetError

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, each call of which is counted and may be one too many."""

        def call(*args: Any) -> Any:
            self.require(1)
            self.spent += 1
            return function(*args)

        return call


class FiniteDifferences:
    """f and its gradient by differences, from f alone.

    The steps are ε^½ max(1, |xᵢ|) for "2-point" and ε^⅓ max(1, |xᵢ|) for "3-point", ε being that of x's dtype, or as
    `step` (absolute) or `relative_step` (times |xᵢ|) say, where that is enough to change xᵢ. A function that returns a
    pair (f, g) is taken at its word.

    Attributes:
        first: f at the first point, as soon as it is known.
    """

    def __init__(
        self, fun: Callable[..., Any], scheme: str, budget: Budget, step: Any = None, relative_step: Any = None
    ) -> None:
        self._fun, self._scheme, self._budget = budget.counted(fun), scheme, budget
        self._step, self._relative = step, relative_step
        self._pairs: bool | None = None  # whether fun returns pairs, which the first call tells
        self.first: float | None = None

    def __call__(self, x: Array, *args: Any) -> Any:
        """(f, g)."""
        for_gradient = (2 if self._scheme == "3-point" else 1) * x.size
        self._budget.require(1 + for_gradient if self._pairs is False else 1)
        value = self._fun(x.copy(), *args)
        self._pairs = isinstance(value, tuple) and len(value) == 2
        if self._pairs:
            return value
        f = _real(value)
        self.first = f if self.first is None else self.first
        self._budget.require(for_gradient)
        return f, self._by_complex_steps(x, args) if self._scheme == "cs" else self._gradient(x, args, f)

    def _gradient(self, x: Array, args: Any, f: float) -> Array:
        central = self._scheme == "3-point"
        g = []
        for i, h in enumerate(self._steps(x, 1 / 3 if central else 1 / 2)):
            above, below = x.copy(), x.copy()
            above[i] += h
            below[i] -= h if central else 0
            width = float(above[i]) - float(below[i])
            f_below = _real(self._fun(below, *args)) if central else f
            f_above = _real(self._fun(above, *args))
            g.append((f_above - f_below) / width)
        with np.errstate(over="ignore"):
            return np.array(g, x.dtype)

    def _steps(self, x: Array, power: float) -> Array:
        size, toward = np.maximum(1, np.abs(x)), np.copysign(1, x) if self._scheme == "2-point" else 1
        own = np.finfo(x.dtype).eps ** power * size * toward
        if self._relative is not None:
            steps = self._relative * np.abs(x) * toward
        elif self._step is not None:
            steps = np.broadcast_to(self._step, x.shape)
        else:
            steps = own
        narrow: Array = np.asarray(steps, x.dtype)
        return np.where(x + narrow == x, own.astype(x.dtype), narrow)

    def _by_complex_steps(self, x: Array, args: Any) -> Array:
        g = np.empty_like(x)
        for i in range(x.size):
            z = x.astype(np.complex128)
            z[i] += COMPLEX_STEP * 1j
            g[i] = np.asarray(self._fun(z, *args)).imag.item() / COMPLEX_STEP
        return g


class HessianFromGradients:
    """What the Hessians that are made of gradients have in common.

    Args:
        gradient: gradient(x, *args), of shape (n,).

    Attributes:
        calls: How often the gradient was called.
    """

    def __init__(self, gradient: Callable[..., Any]) -> None:
        self._gradient = gradient
        self.calls = 0

    def _at(self, x: Array, args: Any) -> Array:
        self.calls += 1
        return np.array(self._gradient(x.copy(), *args), x.dtype).reshape(-1)


class HessianByDifferences(HessianFromGradients):
    """The Hessian by differences of the gradient, made symmetric.

    The steps are the default ones of `FiniteDifferences`; with "cs" the gradient is called with complex numbers.
    """

    def __init__(self, gradient: Callable[..., Any], scheme: str = "2-point") -> None:
        super().__init__(gradient)
        self._scheme = scheme

    def __call__(self, x: Array, *args: Any) -> Array:
        """The matrix, of shape (n, n)."""
        h = np.empty((x.size, x.size), x.dtype)
        g = self._at(x, args) if self._scheme == "2-point" else None
        for i in range(x.size):
            h[i] = self._by_complex_step(x, args, i) if self._scheme == "cs" else self._by_step(x, args, i, g)
        return (h + h.T) / 2

    def _by_step(self, x: Array, args: Any, i: int, g: Array | None) -> Array:
        step = np.finfo(x.dtype).eps ** (1 / 3 if g is None else 1 / 2) * max(1.0, abs(float(x[i])))
        above, below = x.copy(), x.copy()
        above[i] += step
        if g is None:
            below[i] -= step
            g = self._at(below, args)
        row: Array = (self._at(above, args) - g) / (above[i] - below[i])
        return row

    def _by_complex_step(self, x: Array, args: Any, i: int) -> Array:
        z = x.astype(np.complex128)
        z[i] += COMPLEX_STEP * 1j
        row: Array = self._at(z, args).imag / COMPLEX_STEP
        return row


class HessianByUpdates(HessianFromGradients):
    """The Hessian by a quasi-Newton formula, from the gradients at all points where it has been asked for.

    `strategy` has the methods of `scipy.optimize.HessianUpdateStrategy`.
    """

    def __init__(self, gradient: Callable[..., Any], strategy: Any) -> None:
        super().__init__(gradient)
        self._strategy = strategy
        self._last: tuple[Array, Array] | None = None

    def __call__(self, x: Array, *args: Any) -> Any:
        """The matrix, of shape (n, n)."""
        g = self._at(x, args)
        if self._last is None:
            self._strategy.initialize(x.size, "hess")
        else:
            self._strategy.update(x - self._last[0], g - self._last[1])
        self._last = x.copy(), g
        return self._strategy.get_matrix()


def is_strategy(hess: Any) -> bool:
    """Whether it has the methods of `scipy.optimize.HessianUpdateStrategy`."""
    return all(callable(getattr(hess, name, None)) for name in ("initialize", "update", "get_matrix"))


def _real(value: Any) -> float:
    """What fun returned, as a number; raises TypeError or ValueError if it is none."""
    if isinstance(value, float):
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"fun returned {value!r}, expected a number") from None
    if array.size != 1:
        raise ValueError(f"fun returned an array of shape {array.shape}, expected a number")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"fun returned {value!r}, expected a number")
    return float(array.item())


def check_step(name: str, value: Any, n: int) -> Array | None:
    """The steps of finite differences as an array of shape () or (n,), or None; raises TypeError or ValueError."""
    if value is None:
        return None
    steps = real_array(name, value)
    if steps.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {steps.shape}, expected one number or ({n},)")
    if not (np.isfinite(steps) & (steps > 0)).all():
        raise ValueError(f"{name} is {value!r}, expected positive numbers")
    return steps
