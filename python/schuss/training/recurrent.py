"""A recurrent layer, back-propagation through time, and tasks that need a long memory."""

import numpy as np

from schuss import init
from schuss.training.data import Examples
from schuss.training.layers import Array, Dense, Layer, Scheme
from schuss.training.loss import softmax_cross_entropy
from schuss.training.network import Network


class Elman(Layer):
    """A recurrent layer, h⁽ᵗ⁾ = tanh(h⁽ᵗ⁻¹⁾W + x⁽ᵗ⁾U + b) with h⁽⁰⁾ = 0; its output is the last h.

    On the way back the gradient is multiplied by Wᵀ once for each step: if W is an orthogonal matrix times λ, it grows
    or shrinks like λᵗ, but for what the tanh takes away (Deep Learning, equations 8.21 and 10.33).

    Source: Elman 1990; Deep Learning, section 10.2.

    Attributes:
        gradient_norms: ‖∂L/∂h⁽ᵗ⁾‖ for each step t, from the latest `backward`.

    Args:
        inputs: The number of inputs of a step. An example is a row with those of all steps, one step after another.
        width: The number of units.
        rng: Draws the initial weights.
        dtype: The dtype of the parameters.
        gain: λ at the beginning, W being orthogonal then but for this factor.
        scheme: How U is drawn.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        rng: np.random.Generator,
        dtype: str,
        gain: float = 1.0,
        scheme: Scheme = init.glorot_normal,
    ) -> None:
        super().__init__()
        self.params = {
            "recurrent": init.orthogonal((width, width), rng=rng, gain=gain, dtype=dtype),
            "input": scheme((inputs, width), rng=rng, dtype=dtype),
            "bias": np.zeros(width, dtype),
        }
        self.gradient_norms: list[float] = []

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        w, u, b = self.params["recurrent"], self.params["input"], self.params["bias"]
        self.x = x.reshape(len(x), -1, len(u)).swapaxes(0, 1)
        drive = self.x @ u + b
        self.h = np.zeros((len(drive) + 1, *drive.shape[1:]), drive.dtype)
        for t in range(len(drive)):
            self.h[t + 1] = np.tanh(self.h[t] @ w + drive[t])
        last: Array = self.h[-1]
        return last

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        w, u = self.params["recurrent"], self.params["input"]
        before = np.empty_like(self.h[1:])  # the gradients for what the tanh is taken of
        norms = []
        for t in reversed(range(len(before))):
            norms.append(float(np.linalg.norm(dy)))
            before[t] = dy * (1 - self.h[t + 1] ** 2)
            dy = before[t] @ w.T
        self.gradient_norms = norms[::-1]
        self.grads = {
            "recurrent": np.tensordot(self.h[:-1], before, ((0, 1), (0, 1))),
            "input": np.tensordot(self.x, before, ((0, 1), (0, 1))),
            "bias": before.sum(axis=(0, 1)),
        }
        dx: Array = (before @ u.T).swapaxes(0, 1)
        return dx.reshape(dx.shape[0], -1)


def recurrent_network(
    inputs: int,
    width: int,
    outputs: int,
    rng: np.random.Generator,
    dtype: str,
    *,
    gain: float = 1.0,
    scheme: Scheme = init.glorot_normal,
) -> Network:
    """A recurrent layer, and a dense one on what it remembers at the end; arguments as in `Elman`."""
    return Network([Elman(inputs, width, rng, dtype, gain, scheme), Dense(width, outputs, rng, dtype, scheme=scheme)])


def gradients_by_step(network: Network, examples: Examples) -> list[float] | None:
    """‖∂L/∂h⁽ᵗ⁾‖ for each step t that a network's recurrent layer takes on these examples; None if it has none."""
    if not isinstance(network.layers[0], Elman):
        return None
    network.backward(softmax_cross_entropy(network.forward(examples.x), examples.y)[1])
    return network.layers[0].gradient_norms


def adding_problem(examples: int, steps: int, rng: np.random.Generator, dtype: str = "float64") -> Examples:
    """Sequences of pairs (value, mark) and the sum of the two values that are marked.

    The values are uniform in [0, 1). One mark is in the first half of a sequence and one in the second, so that what
    comes early has to be remembered. Guessing 1 has a mean squared error of 1/6.

    Source: Hochreiter and Schmidhuber 1997, section 5.4; in the form of Martens and Sutskever 2011.

    Args:
        examples: The number of sequences.
        steps: Their length.
        rng: Draws them.
        dtype: The dtype of inputs and sums.
    """
    rows, half = np.arange(examples), steps // 2
    marked = rng.integers(0, half, examples), rng.integers(half, steps, examples)
    x = np.zeros((examples, steps, 2))
    x[..., 0] = rng.random((examples, steps))
    for places in marked:
        x[rows, places, 1] = 1
    sums = (x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True)
    return Examples(x.reshape(examples, -1).astype(dtype), sums.astype(dtype))
