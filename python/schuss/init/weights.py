"""Schemes that draw initial weights."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.options import POSITIVE, count, floating, number
from schuss.streams import Purpose, either

Array = NDArray[Any]

Shape = tuple[int, ...]

COMMON = """
Args of every scheme:
    shape: (inputs, outputs), or (*kernel, inputs, outputs) for a convolution. With m = inputs·|kernel| and
        n = outputs·|kernel|, |kernel| being the number of the kernel's positions, 1 for a dense layer.
    seed: An integer in [0, 2¹²⁸). Two layers of one shape get the same weights from the same seed: use an rng then.
    rng: A `numpy.random.Generator`, in the place of a seed.
    dtype: float32 (default) or float64. Numbers are drawn in float64 and rounded.

Returns:
    A new array.

Raises:
    TypeError: An argument has another type, or not exactly one of seed and rng is given.
    ValueError: An argument is out of its range.
"""


def scheme(function: Callable[..., Array]) -> Callable[..., Array]:
    """Add to a scheme's docstring what all of them have in common."""
    function.__doc__ = (function.__doc__ or "").rstrip() + "\n" + COMMON.replace("\n", "\n    ").rstrip()
    return function


@scheme
def uniform(shape: Shape, *, seed: Any = None, rng: Any = None, dtype: Any = np.float32) -> Array:
    """Uniform weights, of variance 1/3m: the simple heuristic.

    Formula: W ~ U(-1/√m, 1/√m).

    Source: Deep Learning, section 8.4; LeCun et al. 1998.

    Example:
        >>> import schuss
        >>> W = schuss.init.uniform((100, 50), seed=0)
        >>> W.shape, bool(abs(W).max() <= 0.1)
        ((100, 50), True)
    """
    inputs, _ = fans(shape)
    return _uniform(shape, 1 / math.sqrt(inputs), seed, rng, dtype)


@scheme
def glorot_uniform(
    shape: Shape, *, seed: Any = None, rng: Any = None, gain: float = 1.0, dtype: Any = np.float32
) -> Array:
    """Normalized uniform weights: a compromise between equal variances forward and backward.

    Formula: W ~ U(-γ√(6/(m + n)), γ√(6/(m + n))), of variance 2γ²/(m + n).

    Source: Glorot and Bengio 2010, equation 16; Deep Learning, equation 8.23.

    Args of its own:
        gain: γ in (0, ∞), default 1.

    Example:
        >>> import schuss
        >>> W = schuss.init.glorot_uniform((100, 50), seed=0)
        >>> bool(abs(W).max() <= 0.2)
        True
    """
    return _uniform(shape, _gain(gain) * math.sqrt(6 / sum(fans(shape))), seed, rng, dtype)


@scheme
def glorot_normal(
    shape: Shape, *, seed: Any = None, rng: Any = None, gain: float = 1.0, dtype: Any = np.float32
) -> Array:
    """Normalized normal weights: as `glorot_uniform`, of the same variance.

    Formula: W ~ N(0, 2γ²/(m + n)).

    Source: Glorot and Bengio 2010, equation 12; Deep Learning, section 8.4.

    Args of its own:
        gain: γ in (0, ∞), default 1.

    Example:
        >>> import schuss
        >>> W = schuss.init.glorot_normal((1000, 600), seed=0, dtype="float64")
        >>> round(float(W.var()) * 800, 2)
        1.0
    """
    return _normal(shape, _gain(gain) * math.sqrt(2 / sum(fans(shape))), seed, rng, dtype)


@scheme
def he_uniform(shape: Shape, *, seed: Any = None, rng: Any = None, gain: float = 1.0, dtype: Any = np.float32) -> Array:
    """Uniform weights for rectifiers: as `he_normal`, of the same variance.

    Formula: W ~ U(-γ√(6/m), γ√(6/m)), of variance 2γ²/m.

    Source: He et al. 2015, equation 10.

    Args of its own:
        gain: γ in (0, ∞), default 1; 1/√(1 + a²) for a rectifier with the slope a below 0.

    Example:
        >>> import schuss
        >>> W = schuss.init.he_uniform((150, 50), seed=0)
        >>> bool(abs(W).max() <= 0.2)
        True
    """
    return _uniform(shape, _gain(gain) * math.sqrt(6 / fans(shape)[0]), seed, rng, dtype)


@scheme
def he_normal(shape: Shape, *, seed: Any = None, rng: Any = None, gain: float = 1.0, dtype: Any = np.float32) -> Array:
    """Normal weights for rectifiers: the signal's mean square survives a ReLU.

    Formula: W ~ N(0, 2γ²/m).

    Source: He et al. 2015, equation 10.

    Args of its own:
        gain: γ in (0, ∞), default 1; 1/√(1 + a²) for a rectifier with the slope a below 0.

    Example:
        >>> import schuss
        >>> W = schuss.init.he_normal((1000, 600), seed=0, dtype="float64")
        >>> round(float(W.var()) * 500, 2)
        1.0
    """
    return _normal(shape, _gain(gain) * math.sqrt(2 / fans(shape)[0]), seed, rng, dtype)


@scheme
def orthogonal(shape: Shape, *, seed: Any = None, rng: Any = None, gain: float = 1.0, dtype: Any = np.float32) -> Array:
    """A random orthogonal matrix: the product of many of these, with the right gain, neither explodes nor vanishes.

    Formula: W = γQ as a matrix of shape (m, outputs), Q uniform among the matrices with QᵀQ = I, or QQᵀ = I where there
    are more outputs than inputs: the QR decomposition of a normal matrix, R's diagonal made positive.

    Source: Saxe et al. 2013; Mezzadri 2007 (the signs); Deep Learning, section 8.4.

    Args of its own:
        gain: γ in (0, ∞), default 1.

    Example:
        >>> import numpy as np, schuss
        >>> W = schuss.init.orthogonal((3, 2), seed=0, dtype="float64")
        >>> np.allclose(W.T @ W, np.eye(2))
        True
    """
    inputs, _ = fans(shape)
    gain, kind = _gain(gain), floating(dtype)
    outputs = shape[-1]
    tall = either(seed, rng, Purpose.INITIALIZATION).normal(size=(max(inputs, outputs), min(inputs, outputs)))
    q, r = np.linalg.qr(tall)
    q = gain * q * np.copysign(1, np.diag(r))
    return np.ascontiguousarray(q if inputs >= outputs else q.T, kind).reshape(shape)


@scheme
def sparse(
    shape: Shape, *, k: int = 15, seed: Any = None, rng: Any = None, scale: float = 1.0, dtype: Any = np.float32
) -> Array:
    """Exactly k normal weights that are not zero for each unit, however many inputs it has.

    Formula: for each output, k of the m weights are σ·N(0, 1), the others 0.

    Source: Martens 2010, section 5; Deep Learning, section 8.4.

    Args of its own:
        k: How many weights of a unit are not zero, from 1 to m, default 15.
        scale: σ in (0, ∞), default 1.

    Example:
        >>> import schuss
        >>> W = schuss.init.sparse((100, 3), k=4, seed=0)
        >>> (W != 0).sum(axis=0)
        array([4, 4, 4])
    """
    inputs, _ = fans(shape)
    kind, scale, outputs = floating(dtype), number("scale", scale, POSITIVE), shape[-1]
    if count("k", k, 1) > inputs:
        raise ValueError(f"k must be at most {inputs}, the number of inputs of a unit of shape {shape}, got {k}")
    generator = either(seed, rng, Purpose.INITIALIZATION)
    chosen = generator.permuted(np.tile(np.arange(inputs), (outputs, 1)), axis=1)[:, :k]
    values = (scale * generator.normal(size=(outputs, k))).astype(kind)
    weights = np.zeros((inputs, outputs), kind)
    weights[chosen, np.arange(outputs)[:, None]] = np.where(values == 0, np.finfo(kind).tiny, values)
    return weights.reshape(shape)


def fans(shape: Any) -> tuple[int, int]:
    """The m and n of a shape: how many values an output sees, and how many an input reaches.

    Raises TypeError or ValueError, naming the shape, unless it has two or more dimensions, none of them empty.
    """
    if not isinstance(shape, (tuple, list)):
        raise TypeError(f"shape must be (inputs, outputs) or (*kernel, inputs, outputs), got {shape!r}")
    if len(shape) < 2:
        raise ValueError(f"shape must be (inputs, outputs) or (*kernel, inputs, outputs), got {shape!r}")
    *kernel, inputs, outputs = (count(f"shape[{i}]", size, 1) for i, size in enumerate(shape))
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _gain(gain: Any) -> float:
    return number("gain", gain, POSITIVE)


def _uniform(shape: Shape, bound: float, seed: Any, rng: Any, dtype: Any) -> Array:
    kind = floating(dtype)
    return either(seed, rng, Purpose.INITIALIZATION).uniform(-bound, bound, shape).astype(kind)


def _normal(shape: Shape, deviation: float, seed: Any, rng: Any, dtype: Any) -> Array:
    kind = floating(dtype)
    return either(seed, rng, Purpose.INITIALIZATION).normal(0, deviation, shape).astype(kind)


SCHEMES: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (uniform, glorot_uniform, glorot_normal, he_uniform, he_normal, orthogonal, sparse)
}
