"""Curricula

A network of {width} units learns the digits, {runs} times, from right labels (left) and with {wrong:.0%} of the labels
drawn at random (right). A curriculum scores each example by how much nearer it is to the mean of another class than to
that of its own, begins with the easiest fifth, and has all examples in epoch {epochs}, the last one. Wrong labels are
hard examples, so it meets them late: at the end the mean validation accuracy is {noisy_naive:.1%} with the easiest
first, {noisy_combined:.1%} with the mix of these and any, and {noisy_plain:.1%} without a curriculum. Part of that is
mere brevity: a growing number of any examples, which goes over the wrong labels as seldom, ends at {noisy_mixed:.1%}.
Where all labels are right there is nothing to gain, and leaving out examples costs: {clean_naive:.1%},
{clean_combined:.1%} and {clean_mixed:.1%} against {clean_plain:.1%} without.

`schuss.continuation.Curriculum`, `schuss train --curriculum`; Deep Learning, section 8.7.6; Bengio et al. 2009; Zaremba
and Sutskever 2014.
"""

import numpy as np
from study import Facts, Figure, digits, label, panels, train

import schuss
from schuss.continuation import Curriculum
from schuss.streams import Purpose, stream
from schuss.training.data import Examples, PacedMinibatches, difficulty
from schuss.training.network import multi_layer_perceptron

SMALL = {"width": 64, "runs": 4, "wrong": 0.4, "epochs": 15}
FULL = {"width": 64, "runs": 10, "wrong": 0.4, "epochs": 15}
RATE = 0.003
STRATEGIES = ("plain", "naive", "mixed", "combined")


def draw(small: bool) -> tuple[Figure, Facts]:
    """The validation accuracy by epoch, mean of the runs."""
    facts: Facts = dict(SMALL if small else FULL)
    figure, axes = panels(2)
    for name, wrong, one in (("clean", 0.0, axes[0]), ("noisy", facts["wrong"], axes[1])):
        for strategy in STRATEGIES:
            curves = np.array([_curve(strategy, wrong, seed, facts) for seed in range(int(facts["runs"]))])
            one.plot(range(1, curves.shape[1] + 1), curves.mean(axis=0), label=strategy)
            facts[f"{name}_{strategy}"] = float(curves[:, -1].mean())
        label(one, "epoch", "validation accuracy", title="right labels" if name == "clean" else "noisy labels")
    return figure, facts


def _curve(strategy: str, wrong: float, seed: int, facts: Facts) -> list[float]:
    split, rng = digits(seed), stream(seed, Purpose.NOISE)
    labels = split.training.y.copy()
    drawn = rng.random(len(labels)) < wrong
    labels[drawn] = rng.integers(0, 10, drawn.sum())
    examples, epochs = Examples(split.training.x, labels), int(facts["epochs"])
    minibatches = None
    if strategy != "plain":
        curriculum = Curriculum(difficulty(examples), epochs, seed=seed, strategy=strategy)
        minibatches = PacedMinibatches(examples, 32, curriculum)
    network = multi_layer_perceptron((64, int(facts["width"]), 10), stream(seed, Purpose.INITIALIZATION), "float32")
    split = split._replace(training=examples)
    trainer = train(network, split, epochs, schuss.Adam, minibatches=minibatches, seed=seed, lr=RATE)
    return trainer.history["validation_accuracy"]


def holds(facts: Facts) -> bool:
    """With noisy labels every curriculum is ahead, with right ones none is."""
    noisy, clean = ([facts[f"{kind}_{name}"] for name in STRATEGIES] for kind in ("noisy", "clean"))
    return noisy[0] < min(noisy[1:]) and clean[0] >= max(clean[1:])
