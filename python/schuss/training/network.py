"""A network: layers one after another."""

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from schuss.training.layers import Array, Dense, Layer, NormalizedReLU, ReLU


class Network:
    """A feedforward network. Its parameters are named by layer, such as `"0.weight"`.

    Args:
        layers: The layers, from the input to the logits.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)

    @property
    def params(self) -> dict[str, Array]:
        """The parameters of all layers: the arrays themselves, for an optimizer to update in place."""
        return {f"{i}.{name}": array for i, layer in enumerate(self.layers) for name, array in layer.params.items()}

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients from the latest `backward`, with the keys of `params`."""
        return {f"{i}.{name}": array for i, layer in enumerate(self.layers) for name, array in layer.grads.items()}

    @property
    def state(self) -> dict[str, Array]:
        """The parameters, and what the layers have measured: all that the network is in inference."""
        measured = {f"{i}.{name}": a for i, layer in enumerate(self.layers) for name, a in layer.statistics.items()}
        return {**self.params, **measured}

    def forward(self, x: Array) -> Array:
        """The logits for a minibatch `x`, one example a row."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> None:
        """Back-propagate `dy`, the gradient for the latest logits: afterwards `grads` holds all gradients."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)

    def at(self, values: Mapping[str, Array]) -> "Network":
        """A copy of this network for inference, with other values for what `values` names of `state`."""
        network = copy.deepcopy(self)
        for layer in network.layers:
            layer.training = False
        state = network.state
        for name, value in values.items():
            state[name][...] = value
        return network


def multi_layer_perceptron(
    sizes: Sequence[int], rng: np.random.Generator, dtype: str, *, batch_norm: bool = False
) -> Network:
    """Dense layers with ReLUs between them.

    With batch normalization the hidden layers have no bias: what it would add the normalization takes away.

    Args:
        sizes: The number of inputs, the widths of the hidden layers, the number of classes.
        rng: Draws the initial weights.
        dtype: `"float32"` or `"float64"`.
        batch_norm: Whether the inputs of the ReLUs are normalized over the minibatch.
    """
    layers: list[Layer] = []
    *hidden, last = pairwise(sizes)
    for inputs, outputs in hidden:
        layers.append(Dense(inputs, outputs, rng, dtype, bias=not batch_norm))
        layers.append(NormalizedReLU(outputs, dtype) if batch_norm else ReLU())
    return Network([*layers, Dense(*last, rng, dtype)])
