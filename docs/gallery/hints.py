"""Hints from a teacher

A thin deep student of {layers} dense layers, {width} wide, learns the digits with momentum, {runs} times. Once it has
the labels alone for {together} epochs. Once it learns for {lessons} epochs both the labels and, by a regressor on its
middle layer, what a teacher with two hidden layers of {teacher} units has in its own, and then the labels alone for
{epochs}. The mean validation loss at the end is {plain:.2f} without and {hinted:.2f} with hints.

`schuss train --hints`; Deep Learning, section 8.7.4; Romero et al. 2015.
"""

from functools import partial

import numpy as np
from study import Facts, Figure, digits, label, lessons, panels, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.layers import Dense
from schuss.training.network import multi_layer_perceptron
from schuss.training.strategies import TEACHER, give_hints

SMALL = {"layers": 20, "width": 32, "runs": 2, "lessons": 4, "epochs": 4, "together": 8}
FULL = {"layers": 20, "width": 32, "runs": 8, "lessons": 10, "epochs": 10, "together": 20}
MOMENTUM = partial(schuss.Momentum, lr=0.003)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation loss by epoch of the student, mean of the runs."""
    facts: Facts = {**(SMALL if small else FULL), "teacher": TEACHER[0]}
    figure, (losses,) = panels()
    for name in ("plain", "hinted"):
        curves = np.array([_curve(name, seed, facts) for seed in range(int(facts["runs"]))])
        first = facts["together"] - curves.shape[1] + 1
        losses.plot(np.arange(first, facts["together"] + 1), curves.mean(axis=0), label=name)
        facts[name] = float(curves[:, -1].mean())
    label(losses, "epoch of the student, those with hints counted in", "validation loss", yscale="log")
    return figure, facts


def _curve(name: str, seed: int, facts: Facts) -> list[float]:
    split, sizes = digits(seed), (64, *[int(facts["width"])] * (int(facts["layers"]) - 1), 10)
    network = multi_layer_perceptron(sizes, stream(seed, Purpose.INITIALIZATION), "float32")
    facts["layers"] = sum(isinstance(layer, Dense) for layer in network.layers)
    epochs = facts["together"]
    if name == "hinted":
        epochs = facts["epochs"]
        plan = lessons(int(facts["lessons"]), MOMENTUM, seed)
        give_hints(network, split.training, plan, stream(seed, Purpose.PREPARATION))
    return train(network, split, int(epochs), MOMENTUM, seed=seed).history["validation_loss"]


def holds(facts: Facts) -> bool:
    """The student with hints ends lower."""
    return facts["hinted"] < facts["plain"]
