"""Continuation

f(x) = x²/{bowl} - cos(wx) has a local minimum in each of its waves. Plain descent from {starts} starts between
-{reach} and {reach} ends in the one it begins in, and {plain:.0%} of the runs find the global minimum at 0.
Continuation blurs f by Gaussians of {levels} widths, which removes the waves at first, and follows the minimum as the
blur is taken away: {continued:.0%} of the runs get there. Left: f and its blurs; right: where the runs end.

`schuss.continuation`; Deep Learning, section 8.7.6; Mobahi and Fisher 2015.
"""

import numpy as np
from study import Facts, Figure, label, panels

import schuss
from schuss.continuation import Cosines, Polynomial, continuation

SMALL = {"starts": 20, "levels": 4, "bowl": 50, "reach": 8}
FULL = {"starts": 200, "levels": 6, "bowl": 50, "reach": 8}
FREQUENCY = 4.0


def draw(small: bool) -> tuple[Figure, Facts]:
    """The objectives, and where both methods end."""
    facts: Facts = dict(SMALL if small else FULL)
    f = Polynomial([1 / facts["bowl"]], [2]) + Cosines([-1.0], [FREQUENCY])
    sigmas = np.geomspace(2.0, 0.1, int(facts["levels"])).tolist()
    starts = np.random.default_rng(0).uniform(-facts["reach"], facts["reach"], int(facts["starts"]))
    ends = {
        "plain": [schuss.minimize(f, [start], method="gd", jac=True).x[0] for start in starts],
        "continued": [continuation(f, [start], sigmas=sigmas, method="gd", jac=True).result.x[0] for start in starts],
    }
    figure, (objectives, found) = panels(2)
    x = np.linspace(-facts["reach"], facts["reach"], 400)
    for sigma in (0.0, sigmas[len(sigmas) // 2], sigmas[0]):
        blurred = f.blurred(sigma)
        objectives.plot(x, [blurred([one])[0] for one in x], label=f"σ = {sigma:.2g}")
    for name, marker in (("plain", "."), ("continued", "x")):
        found.plot(starts, ends[name], marker, markersize=4, label=name)
        facts[name] = float(np.mean(np.abs(ends[name]) < 1e-3))
    label(objectives, "x", "f, blurred by σ")
    label(found, "start", "end")
    return figure, facts


def holds(facts: Facts) -> bool:
    """Continuation finds the global minimum from everywhere, plain descent rarely."""
    return facts["continued"] == 1 and facts["plain"] < 0.4
