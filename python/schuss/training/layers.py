"""The layers of a network, each with its way forward and its way back."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss import init

Array = NDArray[Any]

Scheme = Callable[..., Array]  # one of schuss.init


class Layer:
    """One layer: a function of its input and of its parameters.

    Attributes:
        params: The parameters by name.
        grads: The gradients of the loss by the same names, from the latest `backward`.
        statistics: What it measures in training, rather than learns, for use in inference; arrays by name.
        training: Whether it is being trained.
    """

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        self.statistics: dict[str, Array] = {}
        self.training = True

    def forward(self, x: Array) -> Array:
        """The layer's output for a minibatch `x`, one example a row. Keeps what `backward` needs."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """From the gradient for the latest output to `grads` and, returned, the gradient for the input."""
        raise NotImplementedError


class Dense(Layer):
    """A dense layer, y = xW + b, or y = xW; at the beginning b = 0.

    Args:
        inputs: The number of inputs.
        outputs: The number of outputs.
        rng: Draws the initial weights.
        dtype: The dtype of the parameters.
        bias: Whether there is a b.
        scheme: How the weights are drawn; by default as suits a ReLU (He et al. 2015).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        dtype: str,
        bias: bool = True,
        scheme: Scheme = init.he_normal,
    ) -> None:
        super().__init__()
        self.params = {"weight": scheme((inputs, outputs), rng=rng, dtype=dtype)}
        if bias:
            self.params["bias"] = np.zeros(outputs, dtype)

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.x = x
        y: Array = x @ self.params["weight"]
        return y + self.params["bias"] if "bias" in self.params else y

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        self.grads = {"weight": self.x.T @ dy}
        if "bias" in self.params:
            self.grads["bias"] = dy.sum(axis=0)
        dx: Array = dy @ self.params["weight"].T
        return dx


class ReLU(Layer):
    """The rectifier, y = max(0, x)."""

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.active = x > 0
        return x * self.active

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        return dy * self.active


class NormalizedReLU(Layer):
    """Batch normalization and a ReLU in one: y = max(0, γ·(x − μ)/σ + β).

    In training μ and σ are the minibatch's, else running averages of these.

    Args:
        width: The number of inputs, and of outputs.
        dtype: The dtype of data and parameters.
    """

    def __init__(self, width: int, dtype: str) -> None:
        super().__init__()
        self.layer = schuss.BatchNorm(width, dtype=dtype, activation="relu", num_threads=1)
        self.params, self.grads = self.layer.params, self.layer.grads
        self.statistics = {"running_mean": self.layer.running_mean, "running_var": self.layer.running_var}

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.layer.training = self.training
        y: Array = self.layer.forward(x)
        return y

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        dx: Array = self.layer.backward(dy)
        return dx


class Fork(Layer):
    """Where a skip connection leaves: passes its input on, and keeps it for the `Join` at the other end."""

    skipped: Array  # the gradient that comes back along the connection

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.x = x
        return x

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        dx: Array = dy + self.skipped
        return dx


class Join(Layer):
    """Where a skip connection arrives: y = x + branch·scale, x being what the `Fork` has kept.

    The path from layer to layer along the skip connections is linear: the gradient comes down it undiminished.

    Source: He et al. 2016; Deep Learning, section 8.7.5.

    Args:
        fork: Where the connection leaves.
        scale: The weight of the branch. With one by the root of the number of branches, the variance of the sum of all
            of them does not grow with their number.
    """

    def __init__(self, fork: Fork, scale: float) -> None:
        super().__init__()
        self.fork, self.scale = fork, scale

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        y: Array = self.fork.x + self.scale * x
        return y

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        self.fork.skipped = dy
        return self.scale * dy
