"""Gradient clipping on a recurrent network

A recurrent network of {width} units, whose weights W are an orthogonal matrix times λ, learns the adding problem: the
sum of two marked numbers among {steps}. On its way back through time the gradient is multiplied by W again and again.
Left: its norm at the start, by the step it has come back to. With λ = {steep_gain} it has grown by a factor of
{exploded:.0f}, with λ = {small_gain} it has all but vanished, to {vanished:.1g} of what it was. Right: the training
loss from λ = {gain}, with momentum and the rate {lr}. Without clipping it ends at {plain:.2g}, with gradients clipped
to a norm of {limit} at {norm:.2g} and with their elements clipped to {limit_value} at {value:.2g}. To answer with 1
always has a loss of {guess:.2g}.

`clip_norm` and `clip_value` of every optimizer, `schuss train --recurrent --clip-norm --clip-value`; Deep Learning,
sections 8.2.4, 8.2.5 and 10.11.1; Pascanu et al. 2013.
"""

import math

import numpy as np
from study import Facts, Figure, label, panels

import schuss
from schuss.data import Minibatches
from schuss.streams import Purpose, stream
from schuss.training.loss import half_squared_error
from schuss.training.recurrent import adding_problem, recurrent_network
from schuss.training.trainer import train_epoch

SMALL = {"width": 32, "steps": 15, "examples": 1000, "epochs": 15}
FULL = {"width": 32, "steps": 15, "examples": 1000, "epochs": 30}
BOTH = {"gain": 1.2, "steep_gain": 2.0, "small_gain": 0.5, "lr": 0.1, "limit": 0.5, "limit_value": 0.005}
GUESS = 1 / 12
CLIPS = {"plain": {}, "norm": {"clip_norm": BOTH["limit"]}, "value": {"clip_value": BOTH["limit_value"]}}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The gradient through time, and the training loss by epoch."""
    facts: Facts = {**(SMALL if small else FULL), **BOTH, "guess": GUESS}
    examples = adding_problem(int(facts["examples"]), int(facts["steps"]), np.random.default_rng(0))
    figure, (norms, losses) = panels(2)
    for gain, fact in ((facts["steep_gain"], "exploded"), (facts["small_gain"], "vanished")):
        network = _network(facts, gain)
        network.backward(half_squared_error(network.forward(examples.x), examples.y)[1])
        curve = network.layers[0].gradient_norms
        norms.semilogy(range(1, len(curve) + 1), curve, label=f"λ = {gain:g}")
        facts[fact] = curve[0] / curve[-1]
    for name, clip in CLIPS.items():
        curve = _losses(_network(facts, facts["gain"]), examples, clip, facts)
        losses.semilogy(range(1, len(curve) + 1), curve, label=name)
        facts[name] = curve[-1]
    label(norms, "step in time", "norm of the gradient")
    label(losses, "epoch", "training loss")
    return figure, facts


def _network(facts: Facts, gain: float) -> schuss.training.network.Network:
    rng = stream(0, Purpose.INITIALIZATION)
    return recurrent_network(2, int(facts["width"]), 1, rng, "float64", gain=gain)


def _losses(network, examples, clip: dict, facts: Facts) -> list[float]:
    minibatches = Minibatches(examples, 20, order="shuffle_each_epoch", seed=0)
    optimizer, curve = schuss.Momentum(network.params, lr=facts["lr"], num_threads=1, **clip), []
    for _ in range(int(facts["epochs"])):
        with np.errstate(over="ignore", invalid="ignore"):
            curve.append(train_epoch(network, optimizer, minibatches, half_squared_error)[0])
        if not math.isfinite(curve[-1]):
            break
    return curve


def holds(facts: Facts) -> bool:
    """Without clipping the loss stays above that of a constant answer, with it the network learns."""
    clipped = max(facts["norm"], facts["value"])
    return clipped < 0.7 * facts["guess"] < facts["plain"] and facts["exploded"] > 10 > 1e4 * facts["vanished"]
