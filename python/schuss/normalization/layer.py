"""Batch normalization as a layer: parameters, gradients, running statistics, and the book's statistics of a set."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import _core, threads
from schuss.normalization.functions import (
    Activation,
    Saved,
    batch_norm,
    batch_norm_backward,
    check_activation,
    check_axis,
    check_eps,
    check_momentum,
    check_switch,
)
from schuss.options import count, floating

Array = NDArray[Any]


class BatchNorm:
    """A batch-normalization layer for trainers.

    Formula: that of `schuss.batch_norm`. In training (`layer.training`, True at first) a minibatch is normalized by
    its own statistics, else by the running statistics. Those come from either of

    - torch's convention: every `forward` in training moves them by `momentum` towards the minibatch's;
    - the book's: `accumulate(x)` for every minibatch of the training set, then `finalize()`: the mean and the
      variance of all of it, exactly.

    Source: Ioffe and Szegedy 2015; Deep Learning, section 8.7.1.

    State: `params` and `grads` with the keys "gamma" and "beta" (empty if not `affine`), `running_mean`,
    `running_var`, `num_batches`. An optimizer may update `params` in place; `backward` writes into the arrays of
    `grads`.

    Args:
        num_channels: The number of channels, at least 1.
        dtype: "float32" or "float64", for data, parameters and running statistics.
        affine: Whether there are γ, starting at 1, and β, starting at 0.
        momentum: The weight of a minibatch in the running statistics, in [0, 1]; None: they are the average over all
            minibatches so far.
        eps: δ > 0, added to the variance.
        channel_axis: The axis of the channels: -1 for (m, d) and N H W C, 1 for N C H W.
        activation: "relu" or None.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says at each call.

    Raises:
        TypeError: An argument has another type.
        ValueError: A number is out of its range; and what `schuss.batch_norm` raises, at `forward`.

    Example:
        >>> import numpy as np, schuss
        >>> layer = schuss.BatchNorm(2, dtype="float64")
        >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
        >>> layer.forward(x).round(3)
        array([[-1., -1.],
               [ 1.,  1.]])
        >>> dx = layer.backward(np.ones_like(x))
        >>> layer.grads["beta"]
        array([2., 2.])
    """

    def __init__(
        self,
        num_channels: int,
        *,
        dtype: Any = "float32",
        affine: bool = True,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
        channel_axis: int = -1,
        activation: Activation = None,
        num_threads: int | None = None,
    ) -> None:
        shape = (count("num_channels", num_channels, least=1),)
        dtype = floating(dtype)
        check_switch("affine", affine)
        check_momentum(momentum)
        check_eps(eps)
        check_activation(activation)
        self.momentum, self.eps, self.channel_axis = momentum, eps, check_axis(channel_axis)
        self.activation: Activation = activation
        self.num_threads = None if num_threads is None else threads.check_num_threads(num_threads)
        self.training = True

        parameters = {"gamma": np.ones(shape, dtype), "beta": np.zeros(shape, dtype)}
        self.params: dict[str, Array] = parameters if affine else {}
        self.grads: dict[str, Array] = {name: np.zeros(shape, dtype) for name in self.params}
        self.running_mean: Array = np.zeros(shape, dtype)
        self.running_var: Array = np.ones(shape, dtype)
        self.num_batches = 0
        self._saved: Saved | None = None
        self._set = _SetStatistics(shape[0])

    def forward(self, x: Any, residual: Any = None, *, out: Any = None) -> Any:
        """The layer's output for a minibatch. Keeps what `backward` needs, references to the arrays included.

        Args:
            x: The minibatch, of the layer's dtype, with the channels on `channel_axis`.
            residual: An array like `x`, added before the activation.
            out: An array like `x` for the result; by default a new one.
        """
        y, self._saved = batch_norm(
            x,
            self.params.get("gamma"),
            self.params.get("beta"),
            self.running_mean,
            self.running_var,
            training=self.training,
            momentum=self.momentum,
            num_batches=self.num_batches if self.momentum is None else None,
            eps=self.eps,
            channel_axis=self.channel_axis,
            activation=self.activation,
            residual=residual,
            out=out,
            num_threads=self.num_threads,
        )
        self.num_batches += self.training
        return y

    def backward(self, dy: Any, *, out: Any = None) -> Any:
        """From the gradient for the latest output to `grads` and, returned, the gradient for its input.

        If the latest `forward` had a residual, the result is a pair: the gradients for the input and the residual.

        Raises:
            RuntimeError: There has been no `forward`.
        """
        if self._saved is None:
            raise RuntimeError("backward needs a forward before it")
        dx, dgamma, dbeta, *dresidual = batch_norm_backward(dy, self._saved, out=out, num_threads=self.num_threads)
        for name, gradient in (("gamma", dgamma), ("beta", dbeta)):
            if gradient is not None:
                self.grads[name][...] = gradient
        return (dx, *dresidual) if dresidual else dx

    def accumulate(self, x: Any) -> None:
        """Take a minibatch into the statistics of the set that `finalize` uses; `x` as for `forward`."""
        self._set.add(*_core.batch_moments(x, self.running_mean, self.channel_axis, self.num_threads or 0))

    def finalize(self) -> None:
        """Let the running statistics be the mean and the biased variance of all that was accumulated; start anew.

        They are meant for inference: a `forward` in training moves them on by `momentum`, as ever.

        Raises:
            RuntimeError: Nothing has been accumulated.
        """
        if self._set.count == 0:
            raise RuntimeError("finalize needs an accumulate before it")
        self.running_mean[...] = self._set.mean
        self.running_var[...] = self._set.m2 / self._set.count
        self._set = _SetStatistics(len(self.running_mean))

    def state_dict(self) -> dict[str, Any]:
        """Copies of the parameters and the running statistics, by name, and the number of minibatches.

        What `accumulate` has gathered for the next `finalize` is not among them.
        """
        return {**{name: array.copy() for name, array in self._arrays().items()}, "num_batches": self.num_batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave, into the arrays that there are.

        Raises:
            TypeError: An array has another dtype.
            ValueError: A name is missing or unknown, or an array has another shape. Nothing has been modified then.
        """
        arrays = self._arrays()
        names = {*arrays, "num_batches"}
        if set(state) != names:
            raise ValueError(f"state has the names {sorted(map(str, state))}, expected {sorted(names)}")
        for name, array in arrays.items():
            value = np.asarray(state[name])
            if value.dtype != array.dtype:
                raise TypeError(f"state[{name!r}] has dtype {value.dtype}, expected {array.dtype}")
            if value.shape != array.shape:
                raise ValueError(f"state[{name!r}] has shape {value.shape}, expected {array.shape}")
        num_batches = count("state['num_batches']", state["num_batches"], least=0)
        for name, array in arrays.items():
            array[...] = state[name]
        self.num_batches = num_batches

    def _arrays(self) -> dict[str, Array]:
        return {**self.params, "running_mean": self.running_mean, "running_var": self.running_var}


class _SetStatistics:
    """The mean and the sum of squares around it of a growing set: Chan, Golub and LeVeque 1979."""

    def __init__(self, num_channels: int) -> None:
        self.count = 0
        self.mean = np.zeros(num_channels)
        self.m2 = np.zeros(num_channels)

    def add(self, count: int, mean: Array, var: Array) -> None:
        """Let a minibatch join."""
        both = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / both)
        self.m2 = self.m2 + (var * count + delta * delta * (self.count * count / both))
        self.count = both
