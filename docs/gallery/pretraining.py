"""Supervised pretraining, layer by layer

A plain network of {layers} dense layers, {width} wide, is trained on the digits with momentum, {runs} times. Once all
layers learn together for {together} epochs. Once each hidden layer first learns the task for {lessons} epochs with an
output layer of its own, on what the layers before it give, and then all of them for {epochs}; training two layers at a
time is so cheap that in sum it takes about as many operations. The mean validation loss at the end is {plain:.2f}
without and {pretrained:.2f} with pretraining.

`schuss train --pretrain`; Deep Learning, section 8.7.4; Bengio et al. 2007.
"""

from functools import partial

import numpy as np
from study import Facts, Figure, digits, label, lessons, panels, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.layers import Dense
from schuss.training.network import multi_layer_perceptron
from schuss.training.strategies import pretrain

SMALL = {"layers": 20, "width": 32, "runs": 2, "lessons": 4, "epochs": 4, "together": 8}
FULL = {"layers": 20, "width": 32, "runs": 8, "lessons": 5, "epochs": 10, "together": 20}
MOMENTUM = partial(schuss.Momentum, lr=0.003)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation loss by epoch of all layers, each run and the mean."""
    facts: Facts = dict(SMALL if small else FULL)
    figure, (losses,) = panels()
    for color, name in enumerate(("plain", "pretrained")):
        curves = np.array([_curve(name, seed, facts) for seed in range(int(facts["runs"]))])
        first = facts["together"] - curves.shape[1] + 1  # as far to the right as pretraining has cost
        losses.plot(np.arange(first, facts["together"] + 1), curves.mean(axis=0), color=f"C{color}", label=name)
        facts[name] = float(curves[:, -1].mean())
    label(losses, "epoch, pretraining counted in", "validation loss", yscale="log")
    return figure, facts


def _curve(name: str, seed: int, facts: Facts) -> list[float]:
    split, sizes = digits(seed), (64, *[int(facts["width"])] * (int(facts["layers"]) - 1), 10)
    network = multi_layer_perceptron(sizes, stream(seed, Purpose.INITIALIZATION), "float32")
    facts["layers"] = sum(isinstance(layer, Dense) for layer in network.layers)
    epochs = facts["together"]
    if name == "pretrained":
        epochs = facts["epochs"]
        plan = lessons(int(facts["lessons"]), MOMENTUM, seed)
        pretrain(network, split.training, plan, stream(seed, Purpose.PREPARATION))
    return train(network, split, int(epochs), MOMENTUM, seed=seed).history["validation_loss"]


def holds(facts: Facts) -> bool:
    """Pretraining ends lower."""
    return facts["pretrained"] < facts["plain"]
