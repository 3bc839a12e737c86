"""Strategies: what a network learns before its task (Deep Learning, sections 8.7.4 and 15.2)."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

import schuss
from schuss.training.data import Examples
from schuss.training.layers import Array, Dense, Join, Layer, NormalizedReLU, ReLU
from schuss.training.loss import half_squared_error
from schuss.training.network import Network, multi_layer_perceptron
from schuss.training.trainer import DivergenceError, train_epoch

TEACHER = (256, 256)  # the hidden widths of the network that gives hints


@dataclass(frozen=True)
class Lessons:
    """How to train in preparation.

    Attributes:
        epochs: The number of epochs of every stage.
        optimizer: Makes the optimizer for the parameters of a stage.
        minibatches: Makes the minibatches of a stage from its examples and its number.
        after_epoch: Is told the name of the stage, the epochs completed, and the training loss.
    """

    epochs: int
    optimizer: Callable[[Mapping[str, Array]], schuss.Optimizer]
    minibatches: Callable[[Examples, int], Iterable[Examples]]
    after_epoch: Callable[[str, int, float], None]

    def teach(self, name: str, stage: int, network: Network, examples: Examples) -> None:
        """Train a network on some examples.

        Raises:
            DivergenceError: The loss or the gradient has ceased to be finite.
        """
        optimizer, minibatches = self.optimizer(network.params), self.minibatches(examples, stage)
        for epoch in range(1, self.epochs + 1):
            with np.errstate(over="ignore", invalid="ignore"):
                loss, gradient_norm = train_epoch(network, optimizer, minibatches)
            if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
                raise DivergenceError(f"diverged at epoch {epoch} of {name}")
            self.after_epoch(name, epoch, loss)
        params = network.params
        for key, theta in optimizer.theta().items():
            params[key][...] = theta


def pretrain(network: Network, examples: Examples, lessons: Lessons, rng: np.random.Generator) -> None:
    """Greedy supervised pretraining: each hidden layer learns the task with a shallow network of its own.

    The k-th network is the hidden layer k and a new output layer; its inputs are what the layers before it, which stay
    as they are, make of the examples. The last output layer becomes the whole network's.

    Source: Bengio et al. 2007; Deep Learning, section 8.7.4.

    Args:
        network: A multi-layer perceptron.
        examples: The training set.
        lessons: How to train.
        rng: Draws the output layers.
    """
    *hidden, output = network.layers
    x = examples.x
    for stage, start in enumerate(range(0, len(hidden), 2)):
        pair = hidden[start : start + 2]
        head = _head(pair[0].params["weight"].shape[1], output, rng)
        lessons.teach(f"layer {stage + 1}", stage, Network([*pair, head]), Examples(x, examples.y))
        x = Network(pair).at({}).forward(x)
    for name, array in output.params.items():
        array[...] = head.params[name]


def transfer(network: Network, other: Examples, classes: int, lessons: Lessons, rng: np.random.Generator) -> None:
    """Transfer learning: all layers but the last learn another task first, with an output layer of their own.

    Source: Yosinski et al. 2014; Deep Learning, sections 8.7.4 and 15.2.

    Args:
        network: The network.
        other: The training set of the other task.
        classes: How many classes that task has.
        lessons: How to train.
        rng: Draws the output layer of the other task.
    """
    *layers, output = network.layers
    weight = output.params["weight"]
    head = Dense(len(weight), classes, rng, weight.dtype.name)
    lessons.teach("the other task", 0, Network([*layers, head]), other)


def give_hints(network: Network, examples: Examples, lessons: Lessons, rng: np.random.Generator) -> "Student":
    """FitNets: a thin deep student learns the labels, and from its middle layer what a wide shallow teacher's holds.

    Source: Romero et al. 2015; Deep Learning, section 8.7.4.

    Args:
        network: The student, a perceptron or a residual network with two hidden layers or more.
        examples: The training set.
        lessons: How to train teacher and student.
        rng: Draws teacher and regressor.

    Returns:
        The network with its hint, which tells how well it knows what the teacher's middle layer holds.
    """
    output = network.layers[-1].params["weight"]
    dtype = output.dtype.name
    teacher = multi_layer_perceptron((examples.x.shape[1], *TEACHER, output.shape[1]), rng, dtype)
    lessons.teach("the teacher", 0, teacher, examples)
    student = Student(network, Network(teacher.layers[:2]).at({}), len(output), rng, dtype)
    lessons.teach("the hints", 1, student, examples)
    return student


class Hint(Layer):
    """Passes its input on, and pulls it to where a linear regressor reads the target from it.

    Args:
        inputs: The width of the layer that gets the hint.
        outputs: The width of the teacher's.
        rng: Draws the regressor.
        dtype: The dtype of the parameters.

    Attributes:
        target: What to read from the next minibatch.
        loss: Half the mean squared error of the latest one.
    """

    target: Array

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, dtype: str) -> None:
        super().__init__()
        self.regressor = Dense(inputs, outputs, rng, dtype)
        self.params = self.regressor.params

    def forward(self, x: Array) -> Array:  # noqa: D102, inherits its docstring
        self.loss, self.gradient = half_squared_error(self.regressor.forward(x), self.target)
        return x

    def backward(self, dy: Array) -> Array:  # noqa: D102, inherits its docstring
        dx = self.regressor.backward(self.gradient)
        self.grads = self.regressor.grads
        return dy + dx


class Student(Network):
    """A network with a hint at its middle layer, sharing all its own layers with the network it is made from.

    Args:
        network: The network.
        guide: The teacher's layers up to its middle, in inference.
        width: The width of the student's hidden layers.
        rng: Draws the regressor.
        dtype: The dtype of the parameters.
    """

    def __init__(self, network: Network, guide: Network, width: int, rng: np.random.Generator, dtype: str) -> None:
        joins = any(isinstance(layer, Join) for layer in network.layers)
        kinds = (Join,) if joins else (ReLU, NormalizedReLU)
        ends = [i for i, layer in enumerate(network.layers) if isinstance(layer, kinds)]
        self.middle = ends[(len(ends) - 1) // 2] + 1
        self.guide, self.hint = guide, Hint(width, TEACHER[0], rng, dtype)
        super().__init__([*network.layers[: self.middle], self.hint, *network.layers[self.middle :]])

    def forward(self, x: Array) -> Array:
        """The logits for a minibatch `x`, with a hint on the way."""
        self.hint.target = self.guide.forward(x)
        return super().forward(x)


def _head(width: int, output: Layer, rng: np.random.Generator) -> Dense:
    """A new output layer like `output` for a layer of some width."""
    weight = output.params["weight"]
    return Dense(width, weight.shape[1], rng, weight.dtype.name)
