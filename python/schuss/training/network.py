"""A network: layers one after another."""

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from schuss.training.layers import Array, Dense, Layer, ReLU


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

    def forward(self, x: Array) -> Array:
        """The logits for a minibatch `x`, one example a row."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> None:
        """Back-propagate `dy`, the gradient for the latest logits: afterwards `grads` holds all gradients."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)

    def at(self, params: Mapping[str, Array]) -> "Network":
        """A copy of this network with other parameters, given with the keys of `params`."""
        network = copy.deepcopy(self)
        for name, array in network.params.items():
            array[...] = params[name]
        return network


def multi_layer_perceptron(sizes: Sequence[int], rng: np.random.Generator, dtype: str) -> Network:
    """Dense layers with ReLUs between them.

    Args:
        sizes: The number of inputs, the widths of the hidden layers, the number of classes.
        rng: Draws the initial weights.
        dtype: `"float32"` or `"float64"`.
    """
    layers: list[Layer] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Dense(inputs, outputs, rng, dtype), ReLU()]
    return Network(layers[:-1])
