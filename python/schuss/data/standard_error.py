"""What the size of a minibatch does to the gradient: the standard error falls with its square root."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss.options import count, function
from schuss.streams import Purpose, check_seed, stream

Array = NDArray[Any]


class StandardErrors(NamedTuple):
    """What `gradient_standard_error` found.

    Attributes:
        batch_sizes: The sizes of minibatches m, of shape (sizes,).
        errors: The standard error of the gradient for each.
        sigma: σ, the error of a single example's gradient, estimated from all sizes.
        exponent: The power of m that suits the errors best; the law has -½.
    """

    batch_sizes: Array
    errors: Array
    sigma: float
    exponent: float

    @property
    def law(self) -> Array:
        """σ/√m for each size."""
        law: Array = self.sigma / np.sqrt(self.batch_sizes)
        return law


def gradient_standard_error(
    gradient: Callable[[Array], Any],
    n: int,
    *,
    batch_sizes: Sequence[int] = (1, 4, 16, 64),
    repeats: int = 100,
    seed: int,
    callback: Callable[[int, float], None] | None = None,
) -> StandardErrors:
    """Measure how the error of a minibatch's gradient falls with the size of the minibatch.

    Formula: SE(ĝ_m) = √(Σ‖ĝ - mean(ĝ)‖²/(repeats - 1)) over gradients ĝ of minibatches of m independent examples;
    in theory it is σ/√m: a hundred times the examples for a tenth of the error.

    Source: Deep Learning, equation 8.9 and section 8.1.3.

    Args:
        gradient: gradient(indices) gives the mean gradient of the examples with these indices, which may repeat, as an
            array of any shape or as a list or a dict of arrays.
        n: The number of examples, at least 1.
        batch_sizes: The sizes m, integers of at least 1, default (1, 4, 16, 64).
        repeats: How many minibatches of each size, at least 2, default 100.
        seed: An integer in [0, 2¹²⁸).
        callback: callback(m, error) after each size.

    Returns:
        A `StandardErrors`: errors by size, σ, and the exponent of m.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or a gradient is not finite.

    Example:
        >>> import numpy as np, schuss
        >>> x = np.random.default_rng(0).normal(size=1000)
        >>> found = schuss.data.gradient_standard_error(lambda i: x[i].mean(), 1000, repeats=500, seed=0)
        >>> round(found.exponent, 1), round(found.sigma, 1)
        (-0.5, 1.0)
    """
    function("gradient", gradient)
    n, repeats = count("n", n, 1), count("repeats", repeats, 2)
    if not isinstance(batch_sizes, (list, tuple, np.ndarray)) or len(batch_sizes) == 0:
        raise TypeError(f"batch_sizes must be a list of at least one integer, got {batch_sizes!r}")
    sizes = [count(f"batch_sizes[{i}]", m, 1) for i, m in enumerate(batch_sizes)]
    check_seed(seed)
    errors = []
    for m in sizes:
        rng = stream(seed, Purpose.STANDARD_ERROR, m)
        errors.append(_standard_error((_flat(gradient(rng.integers(n, size=m))) for _ in range(repeats)), m))
        if callback is not None:
            callback(m, errors[-1])
    m_all, se = np.array(sizes), np.array(errors)
    return StandardErrors(m_all, se, float(np.sqrt(np.mean(m_all * se**2))), _slope(m_all, se))


def _standard_error(gradients: Iterable[Array], m: int) -> float:
    """The deviation of gradients from their mean, by Welford's recursion (1962), which keeps one of them only."""
    mean, squares, k = np.zeros(()), 0.0, 0
    for k, g in enumerate(gradients, 1):
        if k > 1 and g.shape != mean.shape:
            raise ValueError(f"gradient has {g.size} elements, expected {mean.size} as before")
        delta = g - mean
        mean = mean + delta / k
        squares += float(delta @ (g - mean))
    if not np.isfinite(squares):
        raise ValueError(f"gradient is not finite for a minibatch of {m}")
    return float(np.sqrt(squares / (k - 1)))


def _slope(sizes: Array, errors: Array) -> float:
    """The slope of log(error) over log(size); NaN where there are not two sizes or an error is 0."""
    if len(np.unique(sizes)) < 2 or not errors.all():
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def parts(gradient: Any) -> list[Any]:
    """The arrays of a gradient, which is an array or a list or a dict of them."""
    if isinstance(gradient, Mapping):
        return list(gradient.values())
    return list(gradient) if isinstance(gradient, (list, tuple)) else [gradient]


def _flat(gradient: Any) -> Array:
    return np.concatenate([np.ravel(part) for part in parts(gradient)])
