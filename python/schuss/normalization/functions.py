"""Batch normalization as functions: forward, inference and backward. `schuss.BatchNorm` keeps their state."""

import math
import operator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from schuss import _core, threads
from schuss.options import count

Array = NDArray[Any]

Activation = Literal["relu"] | None


@dataclass(slots=True, eq=False)
class Saved:
    """What `batch_norm_backward` needs of a call of `batch_norm`: references to its arrays, which must not change.

    Attributes:
        x: The input.
        y: The output, where a residual and an activation make it needed.
        gamma: The scale, or None.
        beta: The shift, or None.
        mean: The mean of each channel that was subtracted, in float64.
        var: The variance of each channel that was divided by, biased and in float64.
        training: Whether these are the statistics of `x` itself.
        eps: As it was given.
        channel_axis: As it was given.
        activation: As it was given.
        residual: Whether there was one.
    """

    x: Any = field(repr=False)
    y: Any = field(repr=False)
    gamma: Any
    beta: Any
    mean: Array
    var: Array
    training: bool
    eps: float
    channel_axis: int
    activation: Activation
    residual: bool


def batch_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    running_mean: Any = None,
    running_var: Any = None,
    *,
    training: bool,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    channel_axis: int = -1,
    activation: Activation = None,
    residual: Any = None,
    out: Any = None,
    num_batches: int | None = None,
    num_threads: int | None = None,
) -> tuple[Any, Saved]:
    """Normalize each channel over the minibatch, or by running statistics.

    Formula, with the mean μ and the biased variance σ² of each channel::

        y = γ·(x − μ) / √(σ² + δ) + β
        y = max(0, y + residual)                                        with an activation and a residual
        running_mean ← (1 − momentum)·running_mean + momentum·μ         in training
        running_var ← (1 − momentum)·running_var + momentum·σ²·m/(m − 1)

    μ and σ² are those of `x` in training, and the running statistics in inference. Sums, and what follows from them for
    each channel, are computed in float64, elements in the dtype of `x`; the result has the same bits for every number
    of threads, instruction set, and for both layouts of the same data (channels first and last). As in torch, the
    running variance is the unbiased one; `BatchNorm` also has the book's convention, the statistics of a whole training
    set.

    Source: Ioffe and Szegedy 2015; Deep Learning, section 8.7.1, equations 8.35 to 8.37.

    Args:
        x: The minibatch: a C-contiguous float32 or float64 array, NumPy's or any other with `__dlpack__`.
        gamma: The scale γ, one number for each channel, of x's dtype; None: 1.
        beta: The shift β, likewise; None: 0.
        running_mean: The running mean, likewise; updated in place in training, read in inference. None in training:
            none is kept.
        running_var: The running variance, likewise; present whenever `running_mean` is.
        training: Whether to normalize by the minibatch's statistics.
        momentum: The weight of the minibatch in the running statistics, in [0, 1]; None: 1/(num_batches + 1), with
            which they are the average over all minibatches.
        eps: δ > 0, which keeps a channel without variance from being divided by zero.
        channel_axis: The axis of the channels: -1 for a design matrix (m, d) and for N H W C, 1 for N C H W.
        activation: "relu" or None.
        residual: An array like `x`, added before the activation.
        out: An array like `x` for the result, which may share no memory with another argument. By default a new one.
        num_batches: How many minibatches the running statistics have seen, at least 0; only for `momentum=None`, and
            needed when they are updated.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says.

    Returns:
        The result, and what `batch_norm_backward` needs. It refers to `x`, `gamma` and `beta` and, where there is an
        activation and a residual, to the result: leave these as they are until the gradients are taken.

    Raises:
        TypeError: An array has another dtype, or an argument another type.
        ValueError: A number is out of its range; `x` is empty or, in training, has one value for each channel; an
            array has a wrong shape, is not contiguous, or is to be written and is read-only or overlaps another one.
            Nothing has been modified then.

    Example:
        >>> import numpy as np, schuss
        >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
        >>> y, saved = schuss.batch_norm(x, training=True, eps=1e-12)
        >>> y.round(6)
        array([[-1., -1.],
               [ 1.,  1.]])
        >>> saved.mean
        array([ 2., 20.])
    """
    updates = training is True and running_mean is not None
    weight = _weight(momentum, num_batches, needed=updates)
    check_eps(eps)
    check_activation(activation)
    check_switch("training", training)
    if (running_mean is None) != (running_var is None):
        missing, present = ("mean", "var") if running_mean is None else ("var", "mean")
        raise ValueError(f"running_{missing} is None, expected an array like running_{present}")
    if not training and running_mean is None:
        raise ValueError("running_mean and running_var are None, expected the statistics that inference needs")
    y, mean, var = _core.batch_norm(
        x,
        gamma,
        beta,
        running_mean,
        running_var,
        residual,
        out,
        training,
        weight,
        float(eps),
        check_axis(channel_axis),
        activation == "relu",
        0 if num_threads is None else threads.check_num_threads(num_threads),
    )
    kept = y if activation is not None and residual is not None else None
    has_residual = residual is not None
    return y, Saved(x, kept, gamma, beta, mean, var, training, eps, channel_axis, activation, has_residual)


def batch_norm_backward(
    dy: Any, saved: Saved, *, out: Any = None, num_threads: int | None = None
) -> tuple[Any, Array | None, Array | None] | tuple[Any, Array | None, Array | None, Any]:
    """The gradients for the arguments of a call of `batch_norm`, from the gradient for its result.

    Formula, with g = dy where the activation's result is above 0 (or there is none) and 0 elsewhere, and averages
    over the minibatch::

        dx = γ/σ · (g − mean(g) − x̂·mean(g·x̂)),    x̂ = (x − μ)/σ,    σ = √(σ² + δ)
        dγ = Σ g·x̂,    dβ = Σ g,    dresidual = g

    In inference μ and σ are constants, and dx = γ/σ · g. Sums are computed in float64, elements in the dtype of `x`,
    with the same bits for every number of threads, instruction set and layout.

    Source: Ioffe and Szegedy 2015, section 3; Deep Learning, section 8.7.1.

    Args:
        dy: The gradient for the result: an array like `x`.
        saved: What `batch_norm` returned; it is only read, and may be used again.
        out: An array like `x` for dx, which may share no memory with another argument. By default a new one.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says.

    Returns:
        dx, dgamma, dbeta, where dgamma and dbeta are None if gamma and beta were; and, if there was a residual, the
        gradient for it, which without an activation is `dy` itself.

    Raises:
        TypeError: An array has another dtype, or `saved` comes from elsewhere.
        ValueError: An array has another shape than `x`, is not contiguous, or `out` is read-only or overlaps another
            array. Nothing has been modified then.

    Example:
        >>> import numpy as np, schuss
        >>> x = np.array([[1.0], [2.0], [6.0]])
        >>> y, saved = schuss.batch_norm(x, np.ones(1), np.zeros(1), training=True)
        >>> dx, dgamma, dbeta = schuss.batch_norm_backward(np.ones((3, 1)), saved)
        >>> bool(abs(dx).max() < 1e-15), dbeta
        (True, array([3.]))
    """
    if not isinstance(saved, Saved):
        raise TypeError(f"saved must be what batch_norm returned, got {type(saved).__name__}")
    gradients: tuple[Any, Array | None, Array | None] = _core.batch_norm_backward(
        dy,
        saved.x,
        saved.y,
        saved.gamma,
        saved.beta,
        saved.mean,
        saved.var,
        out,
        saved.training,
        saved.eps,
        saved.channel_axis,
        saved.activation == "relu",
        saved.residual,
        0 if num_threads is None else threads.check_num_threads(num_threads),
    )
    return gradients


def _weight(momentum: float | None, num_batches: int | None, needed: bool) -> float:
    """The weight of a minibatch in the running statistics, if there is a need for it."""
    check_momentum(momentum)
    if momentum is not None:
        if num_batches is not None:
            raise ValueError(f"num_batches={num_batches!r} is for momentum=None, got momentum={momentum!r}")
        return float(momentum)
    if num_batches is None and not needed:
        return 1.0
    return 1 / (count("num_batches", num_batches, least=0) + 1)


def check_momentum(momentum: Any) -> None:
    """Raise unless it is None or a number in [0, 1]."""
    if momentum is not None and not 0 <= _number("momentum", momentum, "None or a number in [0, 1]") <= 1:
        raise ValueError(f"momentum must be None or in [0, 1], got {momentum!r}")


def check_eps(eps: Any) -> None:
    """Raise unless it is a positive, finite number."""
    if not 0 < _number("eps", eps, "a positive number") < math.inf:
        raise ValueError(f"eps must be in (0, inf), got {eps!r}")


def check_activation(activation: Any) -> None:
    """Raise unless it is "relu" or None."""
    if activation is not None and not (isinstance(activation, str) and activation == "relu"):
        raise ValueError(f"activation must be 'relu' or None, got {activation!r}")


def check_axis(channel_axis: Any) -> int:
    """The axis as an integer; whether `x` has it is another question."""
    if isinstance(channel_axis, bool) or not hasattr(channel_axis, "__index__"):
        raise TypeError(f"channel_axis must be an integer, got {channel_axis!r}")
    if abs(operator.index(channel_axis)) >= 2**31:
        raise ValueError(f"channel_axis must be an axis of x, got {channel_axis!r}")
    return operator.index(channel_axis)


def check_switch(name: str, value: Any) -> None:
    """Raise unless it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def _number(name: str, value: Any, expected: str) -> float:
    odd = isinstance(value, (bool, np.bool_, str, np.complexfloating)) or getattr(value, "ndim", None)
    if odd or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(f"{name} must be {expected}, got {value!r}") from None
