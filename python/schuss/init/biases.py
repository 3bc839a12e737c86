"""Rules for initial biases (Deep Learning, section 8.4)."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.options import POSITIVE_OR_ZERO, UNIT, Interval, count, floating, number

Array = NDArray[Any]

FINITE = Interval(-math.inf, math.inf, open=True)


def zeros(shape: Any, *, dtype: Any = np.float32) -> Array:
    """Biases of 0, which go with most schemes for weights.

    Args:
        shape: An integer or a tuple of integers of at least 1.
        dtype: float32 (default) or float64.

    Raises:
        TypeError: An argument has another type.
        ValueError: A size is less than 1.

    Example:
        >>> import schuss
        >>> schuss.init.zeros(2)
        array([0., 0.], dtype=float32)
    """
    return constant(shape, 0.0, dtype=dtype)


def constant(shape: Any, value: float = 0.1, *, dtype: Any = np.float32) -> Array:
    """Biases of one value; 0.1 keeps rectifiers from being silent for most inputs at the beginning.

    Args:
        shape: An integer or a tuple of integers of at least 1.
        value: A finite number, default 0.1.
        dtype: float32 (default) or float64.

    Raises:
        TypeError: An argument has another type.
        ValueError: A size is less than 1, or the value is not finite.

    Example:
        >>> import schuss
        >>> schuss.init.constant((2,), dtype="float64")
        array([0.1, 0.1])
    """
    sizes = shape if isinstance(shape, (tuple, list)) else (shape,)
    sizes = tuple(count("shape", size, 1) for size in sizes)
    return np.full(sizes, number("value", value, FINITE), floating(dtype))


def ones(shape: Any, *, dtype: Any = np.float32) -> Array:
    """Biases of 1 for gates that are to be open at the beginning, such as an LSTM's forget gate.

    Source: Gers et al. 2000; Jozefowicz et al. 2015.

    Args:
        shape: An integer or a tuple of integers of at least 1.
        dtype: float32 (default) or float64.

    Raises:
        TypeError: An argument has another type.
        ValueError: A size is less than 1.

    Example:
        >>> import schuss
        >>> schuss.init.ones(2)
        array([1., 1.], dtype=float32)
    """
    return constant(shape, 1.0, dtype=dtype)


def log_odds(y: Any, *, classes: int | None = None, smoothing: float = 0.0, dtype: Any = np.float32) -> Array:
    """Output biases with which a network begins by predicting the marginals of its targets.

    Formula: for sigmoid units b = log(p/(1 - p)), p being the mean of a unit's targets; for a softmax b = log p, p
    being the frequency of a class. Then sigmoid(b) = p, and softmax(b) = p.

    Args:
        y: Without `classes`: the targets of sigmoid units, in [0, 1], of shape (n,) for one unit or (n, units). With
            it: the labels of a softmax, integers in [0, classes), of shape (n,).
        classes: The number of classes of a softmax, at least 2; None (default) for sigmoid units.
        smoothing: How many examples to add to each class, in [0, ∞), default 0. A class without examples, or with all
            of them, needs some: its bias would not be finite.
        dtype: float32 (default) or float64.

    Returns:
        The biases, of shape (units,) or (classes,).

    Raises:
        TypeError: An argument has another type.
        ValueError: A target or label is out of its range, y is empty or has another shape, or a bias is not finite.

    Example:
        >>> import numpy as np, schuss
        >>> schuss.init.log_odds(np.array([1, 0, 0, 0]), dtype="float64").round(4)  # log 1/3
        array([-1.0986])
        >>> b = schuss.init.log_odds(np.array([0, 0, 1, 2]), classes=3, dtype="float64")
        >>> np.exp(b)
        array([0.5 , 0.25, 0.25])
    """
    kind, extra = floating(dtype), number("smoothing", smoothing, POSITIVE_OR_ZERO)
    targets = np.asarray(y)
    if targets.dtype.kind not in "fiub":
        raise TypeError(f"y has dtype {targets.dtype}, expected real numbers")
    if targets.size == 0:
        raise ValueError(f"y has shape {targets.shape}, expected at least one example")
    if classes is None:
        p = (_sums(targets) + extra) / (len(targets) + 2 * extra)
        against = 1 - p
    else:
        p = (_counts(targets, count("classes", classes, 2)) + extra) / (len(targets) + classes * extra)
        against = np.ones_like(p)
    for unit in np.flatnonzero((p == 0) | (against == 0)):
        raise ValueError(f"y has a marginal of {p[unit]:g} for unit {unit}, its bias is not finite without smoothing")
    return (np.log(p) - np.log(against)).astype(kind)


def _sums(targets: Array) -> Array:
    if targets.ndim > 2:
        raise ValueError(f"y has shape {targets.shape}, expected (n,) or (n, units)")
    if not ((targets >= 0) & (targets <= 1)).all():
        raise ValueError(f"y has targets out of {UNIT}; for labels of a softmax give classes")
    return np.atleast_1d(targets.sum(axis=0, dtype=np.float64))


def _counts(labels: Array, classes: int) -> Array:
    if labels.dtype.kind not in "iu":
        raise TypeError(f"y has dtype {labels.dtype}, expected integer labels")
    if labels.ndim != 1:
        raise ValueError(f"y has shape {labels.shape}, expected (n,) labels")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"y has labels from {labels.min()} to {labels.max()}, expected them in [0, {classes})")
    return np.bincount(labels, minlength=classes)


BIASES: dict[str, Callable[..., Array]] = {function.__name__: function for function in (zeros, constant, ones)}
