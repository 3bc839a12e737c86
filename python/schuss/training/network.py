"""A network: layers one after another."""

import copy
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from schuss import init
from schuss.training.layers import Array, Dense, Fork, Join, Layer, NormalizedReLU, ReLU, Scheme


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
    sizes: Sequence[int],
    rng: np.random.Generator,
    dtype: str,
    *,
    batch_norm: bool = False,
    scheme: Scheme = init.he_normal,
) -> Network:
    """Dense layers with ReLUs between them.

    With batch normalization the hidden layers have no bias: what it would add the normalization takes away.

    Args:
        sizes: The number of inputs, the widths of the hidden layers, the number of classes.
        rng: Draws the initial weights.
        dtype: `"float32"` or `"float64"`.
        batch_norm: Whether the inputs of the ReLUs are normalized over the minibatch.
        scheme: How the weights are drawn.
    """
    layers: list[Layer] = []
    *hidden, last = pairwise(sizes)
    for inputs, outputs in hidden:
        layers.append(Dense(inputs, outputs, rng, dtype, not batch_norm, scheme))
        layers.append(_rectifier(outputs, dtype, batch_norm))
    return Network([*layers, Dense(*last, rng, dtype, scheme=scheme)])


def residual_network(
    sizes: Sequence[int],
    rng: np.random.Generator,
    dtype: str,
    *,
    batch_norm: bool = False,
    scheme: Scheme = init.he_normal,
) -> Network:
    """As many dense layers as a perceptron of these sizes, with a skip connection around every two hidden ones.

    The first layer and the last stand outside of the connections. A ReLU comes before each layer but the first, so that
    nothing lies on the path along the connections (He et al. 2016, full pre-activation). If the hidden layers between
    are odd in number, one of the connections spans a single layer.

    Args:
        sizes: As in `multi_layer_perceptron`; the hidden layers, of which there are at least two, have one width.
        rng: Draws the initial weights.
        dtype: `"float32"` or `"float64"`.
        batch_norm: Whether the inputs of the ReLUs are normalized over the minibatch.
        scheme: How the weights are drawn.
    """
    first, *between, last = pairwise(sizes)
    blocks = [between[i : i + 2] for i in range(0, len(between), 2)]
    layers: list[Layer] = [Dense(*first, rng, dtype, scheme=scheme)]
    for block in blocks:
        layers.append(fork := Fork())
        for inputs, outputs in block:
            layers.append(_rectifier(inputs, dtype, batch_norm))
            layers.append(Dense(inputs, outputs, rng, dtype, scheme=scheme))
        layers.append(Join(fork, 1 / math.sqrt(len(blocks))))
    return Network([*layers, _rectifier(last[0], dtype, batch_norm), Dense(*last, rng, dtype, scheme=scheme)])


def _rectifier(width: int, dtype: str, batch_norm: bool) -> Layer:
    return NormalizedReLU(width, dtype) if batch_norm else ReLU()
