"""Batch normalization

Two networks with {hidden} hidden layers of {width} units, their weights drawn by the simple heuristic U(-1/√m, 1/√m),
are trained on the digits by gradient descent with the learning rate {lr}; one of them has its hidden layers normalized
over the minibatch. After {epochs} epochs its validation loss is {normalized:.2f}. The plain one's is {plain:.2f}: under
these weights the signal fades from layer to layer, while normalization gives each layer inputs of the same scale,
whatever the layers before it do.

`schuss.BatchNorm`, `schuss.batch_norm`, `schuss train --batch-norm`; Deep Learning, section 8.7.1.
"""

from study import Facts, Figure, digits, label, panels, train

import schuss
from schuss import init
from schuss.streams import Purpose, stream
from schuss.training.network import multi_layer_perceptron

SMALL = {"hidden": 8, "width": 32, "lr": 0.05, "epochs": 5}
FULL = {"hidden": 12, "width": 48, "lr": 0.05, "epochs": 15}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation loss by epoch."""
    facts: Facts = dict(SMALL if small else FULL)
    split, sizes = digits(), (64, *[int(facts["width"])] * int(facts["hidden"]), 10)
    figure, (losses,) = panels()
    for name, batch_norm in (("plain", False), ("normalized", True)):
        rng = stream(0, Purpose.INITIALIZATION)
        network = multi_layer_perceptron(sizes, rng, "float32", batch_norm=batch_norm, scheme=init.uniform)
        history = train(network, split, int(facts["epochs"]), schuss.SGD, lr=facts["lr"]).history
        losses.plot(range(1, len(history["validation_loss"]) + 1), history["validation_loss"], label=name)
        facts[name] = history["validation_loss"][-1]
    label(losses, "epoch", "validation loss", yscale="log")
    return figure, facts


def holds(facts: Facts) -> bool:
    """The normalized network is ahead."""
    return facts["normalized"] < 0.7 * facts["plain"]
