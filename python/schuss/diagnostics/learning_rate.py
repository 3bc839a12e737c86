"""A range test: which learning rates make the loss fall, and from which on it diverges."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss.options import POSITIVE, count, function, number

Array = NDArray[Any]


class RangeTest(NamedTuple):
    """What `range_test` found.

    Attributes:
        rates: The learning rates that were tried, rising.
        losses: The loss for each; the last one may not be finite.
        smoothed: The mean of the losses around each, over `window` of them; of the finite ones.
        suggestion: The rate at which the smoothed loss falls most steeply over log ε; None if it never falls.
        diverged_at: The rate at which the loss had diverged; None if it has not.
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None
    diverged_at: float | None


def range_test(
    step: Callable[[float], Any],
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 100,
    window: int = 5,
    factor: float = 1.0,
    callback: Callable[[int, float, float], None] | None = None,
) -> RangeTest:
    """Train for some steps, each with a greater learning rate than the one before, until the loss diverges.

    Formula: ε_k = low·(high/low)^(k/(steps - 1)). The loss has diverged when it is not finite, or when the mean of the
    last `window` losses is above all losses up to the lowest such mean, and the first 2·window, by more than `factor`
    times the range of these. Losses may thus be negative or cross 0.

    Source: Smith 2017, section 3.3.

    Args:
        step: step(lr) makes one step of training with that learning rate and returns the loss before it, a number. It
            changes what it trains: give it a copy.
        low: The first rate, in (0, ∞), default 1e-6.
        high: The last rate, in (low, ∞), default 10.
        steps: How many rates at most, at least 2, default 100.
        window: How many losses to take the mean of, at least 1, default 5.
        factor: In (0, ∞), default 1.
        callback: callback(k, lr, loss) after each step.

    Returns:
        A `RangeTest`: rates, losses, the suggested rate, and where the loss diverged.

    Raises:
        TypeError: An argument has another type, or step returns no number.
        ValueError: An argument is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> x = np.array([3.0])
        >>> def step(lr):  # for f = 10·x², which diverges for rates above 0.1
        ...     loss, x[:] = 10 * x[0] ** 2, x - lr * 20 * x
        ...     return loss
        >>> found = schuss.diagnostics.range_test(step, low=1e-4)
        >>> found.suggestion < 0.1 < found.diverged_at
        True
    """
    function("step", step)
    first = number("low", low, POSITIVE)
    last = number("high", high, POSITIVE)
    if last <= first:
        raise ValueError(f"high must be greater than low={low!r}, got {high!r}")
    most, width = count("steps", steps, 2), count("window", window, 1)
    excess = number("factor", factor, POSITIVE)
    rates = np.geomspace(first, last, most)
    losses: list[float] = []
    diverged = False
    for k, rate in enumerate(rates.tolist()):
        losses.append(_loss(step(rate)))
        if callback is not None:
            callback(k, rate, losses[-1])
        diverged = _has_diverged(losses, width, excess)
        if diverged:
            break
    tried, found = rates[: len(losses)], np.array(losses)
    smoothed = _centred_mean(found[np.isfinite(found)], width)
    end = float(tried[-1]) if diverged else None
    return RangeTest(tried, found, smoothed, _steepest(tried, smoothed), end)


def _loss(value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiu":
        raise TypeError(f"step returned {value!r}, expected a number")
    return float(array.item())


def _has_diverged(losses: list[float], window: int, factor: float) -> bool:
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) <= 2 * window:
        return False
    means = np.convolve(losses, np.full(window, 1 / window), "valid")
    before = losses[: max(2 * window, int(means.argmin()) + window)]
    return bool(means[-1] > max(before) + factor * (max(before) - min(before)))


def _centred_mean(losses: Array, window: int) -> Array:
    """The mean of the losses around each, of fewer towards both ends, the same number on both sides."""
    sides = np.minimum(window // 2, np.minimum(np.arange(len(losses)), np.arange(len(losses))[::-1]))
    return np.array([losses[i - side : i + side + 1].mean() for i, side in enumerate(sides)])


def _steepest(rates: Array, smoothed: Array) -> float | None:
    """The rate of the steepest descent over log ε, up to the lowest loss."""
    if len(smoothed) < 2:
        return None
    slopes = np.gradient(smoothed, np.log(rates[: len(smoothed)]))[: int(smoothed.argmin()) + 1]
    steepest = int(slopes.argmin())
    return float(rates[steepest]) if slopes[steepest] < 0 else None
