"""Diagnostics: the range test

A network of {width} units makes up to {steps} steps of gradient descent on the digits, each with a greater learning
rate than the one before. Where the loss falls most steeply, at {suggestion:.2g}, a training may begin; at
{diverged:.2g} it has diverged. Trained with the suggested rate for {epochs} epochs the network reads {accuracy:.0%} of
the validation set.

`schuss.diagnostics.range_test`; Smith 2017; Deep Learning, section 11.4.1.
"""

from itertools import cycle

from study import Facts, Figure, digits, label, panels, train

import schuss
from schuss import diagnostics
from schuss.data import Minibatches
from schuss.streams import Purpose, stream
from schuss.training.loss import softmax_cross_entropy
from schuss.training.network import Network, multi_layer_perceptron

SMALL = {"width": 32, "steps": 60, "epochs": 3}
FULL = {"width": 128, "steps": 200, "epochs": 10}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The loss by learning rate."""
    facts: Facts = dict(SMALL if small else FULL)
    split, network = digits(), _network(int(facts["width"]))
    optimizer = schuss.SGD(network.params, lr=1.0, num_threads=1)
    batches = cycle(Minibatches(split.training, 64, seed=0))

    def step(rate: float) -> float:
        x, y = next(batches)
        loss, dy = softmax_cross_entropy(network.forward(x), y)
        network.backward(dy)
        optimizer.groups[0]["lr"] = rate
        optimizer.step(network.grads)
        return loss

    found = diagnostics.range_test(step, low=1e-4, high=100.0, steps=int(facts["steps"]))
    facts |= {"suggestion": found.suggestion, "diverged": found.diverged_at}
    trained = train(_network(int(facts["width"])), split, int(facts["epochs"]), schuss.SGD, lr=found.suggestion)
    facts["accuracy"] = trained.history["validation_accuracy"][-1]
    figure, (losses,) = panels()
    diagnostics.plot_range_test(found, losses)
    label(losses, "learning rate ε", "loss", yscale="log")
    return figure, facts


def _network(width: int) -> Network:
    return multi_layer_perceptron((64, width, 10), stream(0, Purpose.INITIALIZATION), "float32")


def holds(facts: Facts) -> bool:
    """The suggestion lies below where it diverges, and suits a training."""
    return 1e-3 < facts["suggestion"] < facts["diverged"] and facts["accuracy"] > 0.85
