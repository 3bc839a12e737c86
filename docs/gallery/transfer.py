"""Transfer

A network with {hidden} hidden layers of {width} units learns the digits 0 to 4 for {lessons} epochs. Are its hidden
layers of use for the digits 5 to 9? Left: they stay as they are, and only a new output layer learns, {runs} times; the
mean validation accuracy is {fixed_transferred:.1%}, and {fixed_scratch:.1%} on hidden layers with random weights.
Right: all layers learn. After {epochs} epochs it is {all_transferred:.1%} with the layers transferred and
{all_scratch:.1%} from scratch: there are examples enough of this easy task.

`schuss train --transfer`; Deep Learning, sections 8.7.4 and 15.2; Yosinski et al. 2014.
"""

from functools import partial

import numpy as np
from study import Facts, Figure, digits, label, lessons, panels, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.data import Examples, Split, of_classes
from schuss.training.network import Network, multi_layer_perceptron
from schuss.training.strategies import transfer

SMALL = {"hidden": 12, "width": 32, "runs": 6, "lessons": 8, "epochs": 4}
FULL = {"hidden": 12, "width": 32, "runs": 20, "lessons": 10, "epochs": 20}
MOMENTUM = partial(schuss.Momentum, lr=0.003)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation accuracy by epoch, mean of the runs."""
    facts: Facts = dict(SMALL if small else FULL)
    figure, axes = panels(2)
    for kind, one in zip(("fixed", "all"), axes, strict=True):
        for name in ("scratch", "transferred"):
            runs = range(int(facts["runs"]))
            curves = np.array([_curve(name == "transferred", kind == "fixed", seed, facts) for seed in runs])
            one.plot(range(1, curves.shape[1] + 1), curves.mean(axis=0), label=name)
            facts[f"{kind}_{name}"] = float(curves[:, -1].mean())
        title = "the output layer learns" if kind == "fixed" else "all layers learn"
        label(one, "epoch", "validation accuracy on 5 to 9", title=title)
    return figure, facts


def _curve(transferred: bool, fixed: bool, seed: int, facts: Facts) -> list[float]:
    everything, width = digits(seed), int(facts["width"])
    task = Split(*(of_classes(one, 5, 9) for one in everything))
    sizes = (64, *[width] * int(facts["hidden"]), 5)
    network = multi_layer_perceptron(sizes, stream(seed, Purpose.INITIALIZATION), "float32")
    if transferred:
        plan, others = lessons(int(facts["lessons"]), MOMENTUM, seed), of_classes(everything.training, 0, 4)
        transfer(network, others, 5, plan, stream(seed, Purpose.PREPARATION))
    if fixed:
        *hidden, output = network.layers
        task = Split(*(Examples(Network(hidden).forward(one.x), one.y) for one in task))
        network = Network([output])
    return train(network, task, int(facts["epochs"]), MOMENTUM, seed=seed).history["validation_accuracy"]


def holds(facts: Facts) -> bool:
    """The layers of the other task are of use: by far where they stay, and no hindrance where they learn."""
    ahead = facts["fixed_transferred"] > facts["fixed_scratch"] + 0.1
    return ahead and facts["all_transferred"] > facts["all_scratch"] - 0.05
