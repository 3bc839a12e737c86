"""Diagnostics: ill-conditioning

A step against the gradient changes f by -εgᵀg + ½ε²gᵀHg. Where ½εgᵀHg is above gᵀg the curvature would make a plain
step go uphill. Left: both terms for momentum of {momentum} on a valley with the condition number {kappa}: at {ill}
of {steps} steps. Middle: both for {units} tanh units that learn the digits, all of them at once, with the same momentum
and the rate {rate}: at {digits_ill} of the first {latest} steps, and the loss comes down from {first_loss:.2g} to
{last_loss:.2g} all the same. Right: the norm of the gradient of a network of {width} rectifiers, trained on
minibatches, does not fall to 0 as its training loss falls from {first:.2g} to {last:.2g}: what ends the training is no
critical point.

`schuss.diagnostics.ill_conditioning`, `schuss.diagnostics.GradientNorms`; Deep Learning, section 8.2.1.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from study import Facts, Figure, digits, label, objective, panels, part, tanh_network, train

import schuss
from schuss import diagnostics
from schuss.streams import Purpose, stream
from schuss.training.network import multi_layer_perceptron

SHARED = {"kappa": 100, "momentum": 0.9, "units": 32, "width": 32, "rate": 10}
SMALL = {**SHARED, "steps": 30, "epochs": 5, "examples": 300}
FULL = {
    "kappa": 100,
    "momentum": 0.9,
    "steps": 60,
    "epochs": 20,
    "units": 32,
    "width": 32,
    "rate": 10,
    "examples": 1347,
}


def draw(small: bool) -> tuple[Figure, Facts]:
    """Both terms by step in the valley and on the digits, and the gradient's norm by epoch."""
    facts: Facts = dict(SMALL if small else FULL)
    figure, (valley, network, gradients) = panels(3)
    curvature = np.array([1.0, facts["kappa"]])
    found = _terms(lambda x: curvature * x, np.array([1.0, 1.0]), 2.5 / facts["kappa"], facts)
    facts["ill"] = sum(one.is_ill for one in found)
    diagnostics.plot_ill_conditioning(found, valley)
    label(valley, "step", "terms of the change of f")
    examples = part(digits(dtype="float64").training, int(facts["examples"]))
    x, loss = objective(tanh_network(int(facts["units"])), examples)
    facts["first_loss"] = loss(x)[0]
    found = _terms(lambda at: loss(at)[1], x, facts["rate"], facts)
    ill = [k for k, one in enumerate(found, 1) if one.is_ill]
    facts |= {"digits_ill": len(ill), "latest": max(ill, default=0), "last_loss": loss(x)[0]}
    diagnostics.plot_ill_conditioning(found, network)
    label(network, "step", "")
    _draw_norms(gradients, facts)
    return figure, facts


def _terms(gradient: Callable, theta: np.ndarray, rate: float, facts: Facts) -> list[diagnostics.Conditioning]:
    """What each step of momentum meets, the first of them at theta."""
    optimizer = schuss.Momentum([theta], lr=rate, momentum=facts["momentum"])
    found = []
    for _ in range(int(facts["steps"])):
        found.append(diagnostics.ill_conditioning(gradient, theta, rate))
        optimizer.step([gradient(theta)])
    return found


def _draw_norms(axes: Axes, facts: Facts) -> None:
    network = multi_layer_perceptron((64, int(facts["width"]), 10), stream(0, Purpose.INITIALIZATION), "float32")
    history = train(network, digits(), int(facts["epochs"]), schuss.SGD, lr=0.1).history
    norms, losses = history["gradient_norm"], history["training_loss"]
    facts |= {"first": losses[0], "last": losses[-1], "first_norm": norms[0], "last_norm": norms[-1]}
    epochs = range(1, len(norms) + 1)
    axes.plot(epochs, norms, label="norm of the gradient")
    axes.plot(epochs, losses, label="training loss")
    label(axes, "epoch", "mean over the minibatches", yscale="log")


def holds(facts: Facts) -> bool:
    """The loss falls by more than the gradient does; valley and network are ill-conditioned for some steps."""
    falls = facts["last"] / facts["first"] < 0.7 * facts["last_norm"] / facts["first_norm"]
    ill = 0 < facts["ill"] <= facts["steps"] and 0 < facts["digits_ill"] < facts["steps"]
    return falls and ill and facts["last_loss"] < 0.1 * facts["first_loss"]
