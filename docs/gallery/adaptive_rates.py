"""A learning rate for each parameter

The loss is ½Σcᵢθᵢ² with {parameters} parameters, whose curvatures cᵢ go from 1 down to 1/{kappa}. A single learning
rate has to suit the steepest of them, and the flat ones hardly move: after {steps} steps the best of {rates} rates
leaves {sgd:.2g} of the loss. AdaGrad, RMSProp and Adam divide each parameter's step by the size of its own gradients
and leave {adagrad:.2g}, {rmsprop:.2g} and {adam:.2g}, each with the best of the same rates.

`schuss.AdaGrad`, `schuss.RMSProp`, `schuss.Adam`, and `schuss.AdaDelta`, `schuss.DeltaBarDelta`; Deep Learning, section
8.5.
"""

import numpy as np
from study import Facts, Figure, label, panels

import schuss

SMALL = {"parameters": 8, "kappa": 1000, "steps": 100, "rates": 7}
FULL = {"parameters": 30, "kappa": 10000, "steps": 300, "rates": 13}
OPTIMIZERS = {"sgd": schuss.SGD, "adagrad": schuss.AdaGrad, "rmsprop": schuss.RMSProp, "adam": schuss.Adam}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The loss by step with each method's best rate."""
    facts: Facts = dict(SMALL if small else FULL)
    curvatures = np.geomspace(1, 1 / facts["kappa"], int(facts["parameters"]))
    rates = np.geomspace(1e-3, 3, int(facts["rates"]))
    figure, (losses,) = panels()
    for name, cls in OPTIMIZERS.items():
        curves = [_losses(cls, rate, curvatures, int(facts["steps"])) for rate in rates]
        best = int(np.argmin([curve[-1] for curve in curves]))
        losses.semilogy(curves[best], label=f"{name}, rate {rates[best]:.2g}")
        facts[name] = float(curves[best][-1])
    label(losses, "step", "loss, of that at the start")
    return figure, facts


def _losses(cls: type, rate: float, curvatures: np.ndarray, steps: int) -> np.ndarray:
    theta = 1 / np.sqrt(curvatures)  # all parameters have the same share in the loss
    optimizer, losses = cls([theta], lr=rate), []
    for _ in range(steps):
        losses.append(np.mean(curvatures * theta**2))
        optimizer.step([curvatures * theta])
    return np.array(losses)


def holds(facts: Facts) -> bool:
    """Each of the adaptive methods leaves less of the loss."""
    return max(facts["adagrad"], facts["rmsprop"], facts["adam"]) < 0.5 * facts["sgd"]
