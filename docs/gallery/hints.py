"""Hints from a teacher

A thin deep student of {layers} dense layers, {width} wide, learns the digits with Adam, {runs} times. For {lessons}
epochs it learns both the labels and what a wide shallow teacher, with two hidden layers of {teacher} units, has in the
first of these: a linear regressor on the student's middle layer then tells {told:.0%} of the variance of the teacher's
units on the validation set. It learns the labels alone for {epochs} epochs more, and its mean validation loss is
{hinted:.2f}. A student without hints has {early:.2f} after its first {epochs} epochs, and {plain:.2f} after as many as
the other one has had, {together}. The hints are learned, then, but on digits this easy they are no help to a student
who can learn the labels by itself.

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

SMALL = {"layers": 20, "width": 32, "runs": 1, "lessons": 10, "epochs": 10, "together": 20}
FULL = {"layers": 20, "width": 32, "runs": 8, "lessons": 10, "epochs": 10, "together": 20}
ADAM = partial(schuss.Adam, lr=0.001)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation loss by epoch of the student, mean of the runs."""
    facts: Facts = {**(SMALL if small else FULL), "teacher": TEACHER[0]}
    figure, (losses,) = panels()
    for name in ("plain", "hinted"):
        curves = np.array([_curve(name, seed, facts) for seed in range(int(facts["runs"]))])
        first = facts["together"] - curves.shape[1] + 1
        losses.plot(np.arange(first, facts["together"] + 1), curves.mean(axis=0), label=name)
        facts[name] = float(curves[:, -1].mean())
        if name == "plain":
            facts["early"] = float(curves[:, int(facts["epochs"]) - 1].mean())
    facts["told"] /= facts["runs"]
    label(losses, "epoch of the student, those with hints counted in", "validation loss", yscale="log")
    return figure, facts


def _curve(name: str, seed: int, facts: Facts) -> list[float]:
    split, sizes = digits(seed), (64, *[int(facts["width"])] * (int(facts["layers"]) - 1), 10)
    network = multi_layer_perceptron(sizes, stream(seed, Purpose.INITIALIZATION), "float32")
    facts["layers"] = sum(isinstance(layer, Dense) for layer in network.layers)
    epochs = facts["together"]
    if name == "hinted":
        epochs = facts["epochs"]
        plan = lessons(int(facts["lessons"]), ADAM, seed)
        student = give_hints(network, split.training, plan, stream(seed, Purpose.PREPARATION))
        student.forward(split.validation.x)
        variance = float(student.hint.target.var(axis=0).mean())
        facts["told"] = facts.get("told", 0.0) + 1 - 2 * student.hint.loss / variance
    return train(network, split, int(epochs), ADAM, seed=seed).history["validation_loss"]


def holds(facts: Facts) -> bool:
    """The student has learned what the teacher knows, and is not the better for it."""
    return facts["told"] > 0.1 and facts["plain"] < facts["hinted"] < 1.0
