"""Diagnostics: ill-conditioning

A step against the gradient changes f by -εgᵀg + ½ε²gᵀHg. Left: both terms for momentum of {momentum} on a valley with
the condition number {kappa}, for {steps} steps. Where ½εgᵀHg is above gᵀg the curvature would make a plain step go
uphill: {ill} times. Right: the norm of the gradient of a network on the digits does not fall to 0 as its training loss
falls from {first:.2g} to {last:.2g}: what ends the training is no critical point.

`schuss.diagnostics.ill_conditioning`, `schuss.diagnostics.GradientNorms`; Deep Learning, section 8.2.1.
"""

import numpy as np
from study import Facts, Figure, digits, label, panels, train

import schuss
from schuss import diagnostics
from schuss.streams import Purpose, stream
from schuss.training.network import multi_layer_perceptron

SMALL = {"kappa": 100, "momentum": 0.9, "steps": 30, "epochs": 5}
FULL = {"kappa": 100, "momentum": 0.9, "steps": 60, "epochs": 20}


def draw(small: bool) -> tuple[Figure, Facts]:
    """Both terms by step, and the gradient's norm by epoch."""
    facts: Facts = dict(SMALL if small else FULL)
    curvature, theta, rate = np.array([1.0, facts["kappa"]]), np.array([1.0, 1.0]), 2.5 / facts["kappa"]
    optimizer = schuss.Momentum([theta], lr=rate, momentum=facts["momentum"])
    found = []
    for _ in range(int(facts["steps"])):
        found.append(diagnostics.ill_conditioning(lambda x: curvature * x, theta, rate))
        optimizer.step([curvature * theta])
    facts["ill"] = sum(one.is_ill for one in found)
    network = multi_layer_perceptron((64, 32, 10), stream(0, Purpose.INITIALIZATION), "float32")
    history = train(network, digits(), int(facts["epochs"]), schuss.SGD, lr=0.1).history
    facts |= {"first": history["training_loss"][0], "last": history["training_loss"][-1]}
    norms = history["gradient_norm"]
    facts |= {"first_norm": norms[0], "last_norm": norms[-1]}
    figure, (terms, gradients) = panels(2)
    diagnostics.plot_ill_conditioning(found, terms)
    label(terms, "step", "terms of the change of f")
    epochs = range(1, len(norms) + 1)
    gradients.plot(epochs, norms, label="norm of the gradient")
    gradients.plot(epochs, history["training_loss"], label="training loss")
    label(gradients, "epoch", "mean over the minibatches", yscale="log")
    return figure, facts


def holds(facts: Facts) -> bool:
    """The loss falls by more than the gradient does, and the valley is ill-conditioned for some steps."""
    falls = facts["last"] / facts["first"] < 0.7 * facts["last_norm"] / facts["first_norm"]
    return falls and 0 < facts["ill"] <= facts["steps"]
