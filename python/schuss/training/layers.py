"""The layers of a network, each with its way forward and its way back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Layer:
    """One layer: a function of its input and of its parameters.

    Attributes:
        params: The parameters by name.
        grads: The gradients of the loss by the same names, from the latest `backward`.
    """

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}

    def forward(self, x: Array) -> Array:
        """The layer's output for a minibatch `x`, one example a row. Keeps what `backward` needs."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """From the gradient for the latest output to `grads` and, returned, the gradient for the input."""
        raise NotImplementedError


class Dense(Layer):
    """A dense layer, y = xW + b, with He's initialization: W normal with variance 2/inputs, b = 0.

    Source: He et al. 2015, section 2.2: the variance of the signal survives a ReLU.

    Args:
        inputs: The number of inputs.
        outputs: The number of outputs.
        rng: Draws the initial weights.
        dtype: The dtype of the parameters.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, dtype: str) -> None:
        super().__init__()
        weight = rng.normal(0.0, np.sqrt(2 / inputs), (inputs, outputs))
        self.params = {"weight": weight.astype(dtype), "bias": np.zeros(outputs, dtype)}

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.x = x
        y: Array = x @ self.params["weight"] + self.params["bias"]
        return y

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        self.grads = {"weight": self.x.T @ dy, "bias": dy.sum(axis=0)}
        dx: Array = dy @ self.params["weight"].T
        return dx


class ReLU(Layer):
    """The rectifier, y = max(0, x)."""

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.active = x > 0
        return x * self.active

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        return dy * self.active
