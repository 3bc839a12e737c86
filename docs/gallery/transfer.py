"""Transfer

A network with two hidden layers of {width} units learns to tell the digits 5 to 9 apart from {examples} examples,
{runs} times: once from random weights, and once with the hidden layers that it has learned on all examples of the
digits 0 to 4 before. After {epochs} epochs the mean validation accuracy is {scratch:.1%} from scratch and
{transferred:.1%} with the layers transferred: strokes of one task are strokes of the other.

`schuss train --transfer`; Deep Learning, sections 8.7.4 and 15.2; Yosinski et al. 2014.
"""

from functools import partial

import numpy as np
from study import Facts, Figure, digits, label, lessons, panels, part, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.data import Split, of_classes
from schuss.training.network import multi_layer_perceptron
from schuss.training.strategies import transfer

SMALL = {"width": 64, "examples": 25, "runs": 5, "lessons": 8, "epochs": 20}
FULL = {"width": 128, "examples": 25, "runs": 20, "lessons": 15, "epochs": 30}
MOMENTUM = partial(schuss.Momentum, lr=0.01)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation accuracy by epoch, mean of the runs."""
    facts: Facts = dict(SMALL if small else FULL)
    figure, (accuracies,) = panels()
    for name in ("scratch", "transferred"):
        curves = np.array([_curve(name == "transferred", seed, facts) for seed in range(int(facts["runs"]))])
        accuracies.plot(range(1, curves.shape[1] + 1), curves.mean(axis=0), label=name)
        facts[name] = float(curves[:, -1].mean())
    label(accuracies, "epoch", "validation accuracy on 5 to 9")
    return figure, facts


def _curve(transferred: bool, seed: int, facts: Facts) -> list[float]:
    everything, width = digits(seed), int(facts["width"])
    task = Split(*(of_classes(one, 5, 9) for one in everything))
    few = part(task.training, int(facts["examples"]))
    network = multi_layer_perceptron((64, width, width, 5), stream(seed, Purpose.INITIALIZATION), "float32")
    if transferred:
        plan, others = lessons(int(facts["lessons"]), MOMENTUM, seed), of_classes(everything.training, 0, 4)
        transfer(network, others, 5, plan, stream(seed, Purpose.PREPARATION))
    trainer = train(network, task._replace(training=few), int(facts["epochs"]), MOMENTUM, seed=seed)
    return trainer.history["validation_accuracy"]


def holds(facts: Facts) -> bool:
    """The transferred layers are ahead."""
    return facts["transferred"] > facts["scratch"] + 0.01
