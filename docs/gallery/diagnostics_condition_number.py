"""Diagnostics: the condition number

Softmax regression on the digits, with three weights of its weight decay. Lanczos' method estimates the condition number
κ of the Hessian at the minimum from products with vectors, which are differences of gradients; the estimate rises with
the number of products, left, to {kappa_1:.3g}, {kappa_2:.3g} and {kappa_3:.3g}. Right: gradient descent with the rate
2/(λ₁ + λₙ), which suits the extreme eigenvalues best, has a thousandth of its excess loss left after {steps_1},
{steps_2} and {steps_3} steps: the worse the condition, the longer the way.

`schuss.diagnostics.condition_number`, `schuss.diagnostics.lanczos`; Deep Learning, sections 4.3.1 and 8.2.1.
"""

from itertools import pairwise

import numpy as np
from study import Facts, Figure, digits, label, objective, panels, part

import schuss
from schuss import diagnostics
from schuss.streams import Purpose, stream
from schuss.training.layers import Dense
from schuss.training.network import Network

SMALL = {"examples": 300, "left": 0.001}
FULL = {"examples": 1347, "left": 0.001}
DECAYS = (0.1, 0.01, 0.001)
LIMIT = 1000


def draw(small: bool) -> tuple[Figure, Facts]:
    """The estimates by product, and the descent by step."""
    facts: Facts = dict(SMALL if small else FULL)
    examples = part(digits(dtype="float64").training, int(facts["examples"]))
    network = Network([Dense(64, 10, stream(0, Purpose.INITIALIZATION), "float64")])
    drawn, loss = objective(network, examples)
    figure, (estimates, descents) = panels(2)
    for i, decay in enumerate(DECAYS, 1):
        found = schuss.minimize(lambda x, decay=decay: loss(x, decay), 0 * drawn, jac=True, gtol=1e-8)
        kappas: list[float] = []
        number = diagnostics.condition_number(
            found.x,
            gradient=lambda x, decay=decay: loss(x, decay)[1],
            callback=lambda _, least, greatest, kappas=kappas: kappas.append(greatest / least),
        )
        least, greatest = number.eigenvalues[[0, -1]]
        excess = _descend(lambda x, decay=decay: loss(x, decay), 0 * drawn, 2 / (least + greatest), found.fun)
        facts |= {f"kappa_{i}": number.value, f"upper_{i}": number.bounds[1], f"steps_{i}": len(excess) - 1}
        estimates.plot(range(1, len(kappas) + 1), kappas, label=f"weight decay {decay:g}")
        descents.plot(excess, label=f"κ = {number.value:.3g}")
    label(estimates, "products with the Hessian", "condition number κ", yscale="log")
    label(descents, "step", "share left of the excess loss", yscale="log")
    return figure, facts


def _descend(loss, x: np.ndarray, rate: float, least: float) -> list[float]:
    """What is left of the excess loss after each step of gradient descent, until little is."""
    start = loss(x)[0] - least
    left = [1.0]
    while left[-1] > FULL["left"] and len(left) < LIMIT:
        x = x - rate * loss(x)[1]
        left.append((loss(x)[0] - least) / start)
    return left


def holds(facts: Facts) -> bool:
    """Both rise together, the residuals leave κ no doubt, and the descents have come to an end."""
    kappas, steps = ([facts[f"{name}_{i}"] for i in (1, 2, 3)] for name in ("kappa", "steps"))
    sure = all(facts[f"upper_{i}"] < 1.01 * facts[f"kappa_{i}"] for i in (1, 2, 3))
    rise = all(b > 2 * a for values in (kappas, steps) for a, b in pairwise(values))
    return sure and rise and steps[-1] < LIMIT - 1
