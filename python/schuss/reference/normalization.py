"""Batch normalization in NumPy, as the book writes it: Ioffe and Szegedy 2015; Deep Learning, section 8.7.1.

Sums over the minibatch, and what follows from them for each channel, are computed in float64; each element then meets
its channel's numbers in the data's own dtype. The only part that is not plain NumPy is the order of the sums:
`chunk_sums` adds up in the order of the compiled kernels, whose results are then equal bit for bit.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CHUNK, LANES = 512, 8


class Saved(NamedTuple):
    """What the way back needs of the way forward."""

    x: Array
    y: Array
    gamma: Array | None
    beta: Array | None
    mean: Array
    var: Array
    training: bool
    eps: float
    channel_axis: int
    relu: bool
    residual: bool


def by_channel(x: Array, channel_axis: int) -> Array:
    """The values of each channel as a row, in the order in which they lie in memory."""
    return np.moveaxis(x, channel_axis, 0).reshape(x.shape[channel_axis], -1)


def like(x: Array, rows: Array, channel_axis: int) -> Array:
    """The inverse of `by_channel`: an array with the shape of `x`."""
    moved = np.moveaxis(x, channel_axis, 0)
    return np.ascontiguousarray(np.moveaxis(rows.reshape(moved.shape), 0, channel_axis))


def chunk_sums(values: Array) -> Array:
    """The sum of each chunk of a row's values: (rows, positions) to (rows, chunks).

    A chunk is 512 values, dealt out to 8 lanes in turn; each lane is summed from first to last, and the lanes then
    in pairs, halves upon halves. The last chunk is filled up with zeros.
    """
    rows, positions = values.shape
    chunks = -(-positions // CHUNK)
    padded = np.zeros((rows, chunks * CHUNK))
    padded[:, :positions] = values
    lanes = np.zeros((rows, chunks, LANES))
    for k in range(CHUNK // LANES):
        lanes += padded.reshape(rows, chunks, CHUNK // LANES, LANES)[:, :, k]
    while lanes.shape[2] > 1:
        half = lanes.shape[2] // 2
        lanes = lanes[:, :, :half] + lanes[:, :, half:]
    return lanes[:, :, 0]


def total(values: Array) -> Array:
    """The sum of each row: its chunks', from first to last."""
    sums = np.zeros(len(values))
    for chunk in chunk_sums(values).T:
        sums += chunk
    return sums


def moments(x: Array) -> tuple[Array, Array]:
    """The mean and the biased variance of each row of float64.

    Each chunk is summed around its first value, so that a large mean costs no digits, and joins the mean and the sum
    of squares of those before it: Chan, Golub and LeVeque 1979.
    """
    rows, m = x.shape
    first = x[:, ::CHUNK]
    d = x - np.repeat(first, CHUNK, axis=1)[:, :m]
    sums, squares = chunk_sums(d), chunk_sums(d * d)
    mean, m2 = np.zeros(rows), np.zeros(rows)
    for k in range(sums.shape[1]):
        before, n = k * CHUNK, min(CHUNK, m - k * CHUNK)
        chunk_mean = first[:, k] + sums[:, k] / n
        chunk_m2 = squares[:, k] - sums[:, k] * (sums[:, k] / n)
        if k == 0:
            mean, m2 = chunk_mean, chunk_m2
        else:
            delta = chunk_mean - mean
            mean = mean + delta * (n / (before + n))
            m2 = m2 + (chunk_m2 + delta * delta * (before * n / (before + n)))
    return mean, m2 / m


def batch_norm(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    channel_axis: int = -1,
    activation: str | None = None,
    residual: Array | None = None,
) -> tuple[Array, Saved]:
    """Normalize, y = γ·(x − μ)/σ + β with σ = √(var + ε), then add the residual, then rectify.

    In training, μ and var are the minibatch's, and the running statistics are updated in place; else they are the
    running statistics.
    """
    h = by_channel(x, channel_axis)
    m = h.shape[1]
    if training:
        mean, var = moments(h.astype(np.float64))
        if running_mean is not None and running_var is not None:
            running_mean[...] = (1 - momentum) * running_mean.astype(np.float64) + momentum * mean
            running_var[...] = (1 - momentum) * running_var.astype(np.float64) + momentum * (var * (m / (m - 1)))
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, var = running_mean.astype(np.float64), running_var.astype(np.float64)

    center, scale, shift = affine(mean, var, gamma, beta, eps, x.dtype)
    y = (h - center[:, None]) * scale[:, None] + shift[:, None]
    if residual is not None:
        y = y + by_channel(residual, channel_axis)
    if activation == "relu":
        y = np.where(y < 0, np.zeros_like(y), y)
    result = like(x, y, channel_axis)
    relu, has_residual = activation == "relu", residual is not None
    return result, Saved(x, result, gamma, beta, mean, var, training, eps, channel_axis, relu, has_residual)


def affine(
    mean: Array, var: Array, gamma: Array | None, beta: Array | None, eps: float, dtype: Any
) -> tuple[Array, Array, Array]:
    """The center, the scale γ/σ and the shift β with which y = (x − center) · scale + shift, rounded to the dtype.

    The center is the mean; what of it is lost in rounding, the shift makes up for.
    """
    factor = 1 / np.sqrt(var + eps)
    if gamma is not None:
        factor = gamma.astype(np.float64) * factor
    center = mean.astype(dtype)
    shift = (0.0 if beta is None else beta.astype(np.float64)) - (mean - center) * factor
    return center, factor.astype(dtype), shift.astype(dtype)


def batch_norm_backward(dy: Array, saved: Saved) -> tuple[Any, ...]:
    """The gradients (dx, dγ, dβ), and the residual's where there was one.

    In training μ and σ depend on x as well, which takes from the gradient its mean and what of it is along x − μ:
    dx = (g − mean(g) − (x − μ) · mean(g · (x − μ))/σ²) · γ/σ.
    """
    x, g = by_channel(saved.x, saved.channel_axis), by_channel(dy, saved.channel_axis)
    if saved.relu:
        g = np.where(by_channel(saved.y, saved.channel_axis) > 0, g, np.zeros_like(g))
    m = x.shape[1]
    inverse_sigma = 1 / np.sqrt(saved.var + saved.eps)
    center, scale, _ = affine(saved.mean, saved.var, saved.gamma, saved.beta, saved.eps, x.dtype)

    sum_g = total(g.astype(np.float64))
    if x.dtype == np.float64:
        sum_gx = total(g * (x - saved.mean[:, None]))
    else:  # products of float32 are exact in float64, whatever they are taken around
        sum_gx = total(g.astype(np.float64) * x) - saved.mean * sum_g

    dx = g
    if saved.training:
        slope = sum_gx / m * inverse_sigma * inverse_sigma
        offset = sum_g / m - (saved.mean - center) * slope
        slope, offset = slope.astype(x.dtype), offset.astype(x.dtype)
        dx = g - offset[:, None] - (x - center[:, None]) * slope[:, None]
    dx = dx * scale[:, None]

    dgamma = None if saved.gamma is None else (sum_gx * inverse_sigma).astype(dy.dtype)
    dbeta = None if saved.beta is None else sum_g.astype(dy.dtype)
    gradients = like(dy, dx, saved.channel_axis), dgamma, dbeta
    return (*gradients, like(dy, g, saved.channel_axis)) if saved.residual else gradients
