"""Momentum in a narrow valley

Gradient descent, momentum and Nesterov momentum take {steps} steps each on f = ½(x² + {kappa}·y²), from the same point
and with learning rates that suit each; for gradient descent, with κ = {kappa}, the best is 2/(1 + κ). Across the
valley the gradient is {kappa} times as steep as along it, so gradient descent creeps along the floor: it ends
{sgd:.2g} from the minimum. Momentum adds up what successive gradients agree on and ends at {momentum:.2g}, Nesterov
momentum, which looks ahead, at {nesterov:.2g}.

`schuss.SGD`, `schuss.Momentum`, `schuss.Nesterov`; Deep Learning, sections 8.3.2 and 8.3.3.
"""

import math

import numpy as np
from study import Facts, Figure, label, panels

import schuss

SMALL = {"kappa": 25, "steps": 25}
FULL = {"kappa": 100, "steps": 60}
START = (-9.0, 1.0)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The three paths."""
    facts: Facts = dict(SMALL if small else FULL)
    kappa, root = facts["kappa"], math.sqrt(facts["kappa"])
    best = ((root - 1) / (root + 1)) ** 2, (2 / (root + 1)) ** 2  # Polyak's momentum and rate for this valley
    makers = {
        "sgd": lambda theta: schuss.SGD([theta], lr=2 / (1 + kappa)),
        "momentum": lambda theta: schuss.Momentum([theta], lr=best[1], momentum=best[0]),
        "nesterov": lambda theta: schuss.Nesterov([theta], lr=1 / kappa, momentum=(root - 1) / (root + 1)),
    }
    figure, (valley, distance) = panels(2)
    x, y = np.meshgrid(np.linspace(-10, 4, 80), np.linspace(-1.3, 1.3, 80))
    valley.contour(x, y, np.sqrt(x**2 + kappa * y**2), 8, colors="0.8", linewidths=0.8)
    for name, maker in makers.items():
        path = _path(maker, kappa, int(facts["steps"]))
        valley.plot(*path.T, ".-", markersize=3, linewidth=1, label=name)
        distances = np.linalg.norm(path, axis=1)
        distance.semilogy(distances, label=name)
        facts[name] = float(distances[-1])
    valley.set_ylim(-1.3, 1.3)
    label(valley, "x", "y")
    label(distance, "step", "distance to the minimum")
    return figure, facts


def _path(maker, kappa: float, steps: int) -> np.ndarray:
    theta, curvature = np.array(START), np.array([1.0, kappa])
    optimizer, path = maker(theta), [np.array(START)]
    for _ in range(steps):
        optimizer.step([curvature * theta])
        path.append(optimizer.theta()[0])
    return np.array(path)


def holds(facts: Facts) -> bool:
    """Both kinds of momentum end nearer."""
    return max(facts["momentum"], facts["nesterov"]) < 0.5 * facts["sgd"]
