"""Averaging the iterates

Stochastic gradient descent in a valley whose walls are {steep:.0f} times as steep as its floor, with so great a rate
that it jumps from wall to wall, and with noise of deviation {noise} in the gradient. At the end of {steps} steps the
iterate has a loss of {iterate:.2g}, on average over the last tenth of them; the uniform average of all iterates,
Polyak's, one of {uniform:.2g}, and the exponential one, with a decay of {decay}, {ema:.2g}.

`average="uniform"` and `average="ema"` of every optimizer, `schuss train --average`; Deep Learning, section 8.7.3;
Polyak and Juditsky 1992.
"""

import numpy as np
from study import Facts, Figure, label, panels

import schuss
from schuss.examples import Valley

SMALL = {"steps": 800, "noise": 1.0, "steep": 100.0, "decay": 0.99}
FULL = {"steps": 1000, "noise": 1.0, "steep": 100.0, "decay": 0.99}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The paths of iterate and averages, and their losses."""
    facts: Facts = dict(SMALL if small else FULL)
    valley = Valley(steep=facts["steep"], noise=facts["noise"])
    rate, steps = 1.9 / facts["steep"], int(facts["steps"])
    paths: dict[str, np.ndarray] = {}
    for kind in ("uniform", "ema"):
        x = np.array([1.0, 1.0])
        optimizer = schuss.SGD([x], lr=rate, average=kind, average_decay=facts["decay"])
        seen, averages = [], []
        for step in range(steps):
            optimizer.step([valley.gradient(x, step)])
            seen.append(x.copy())
            averages.append(np.array(optimizer.average()[0]))
        paths |= {"iterate": np.array(seen), kind: np.array(averages)}
    figure, (plane, losses) = panels(2)
    for name, path in paths.items():
        values = [valley(point)[0] for point in path]
        plane.plot(*path[: steps // 4].T, linewidth=0.6 if name == "iterate" else 1.8, label=name)
        losses.loglog(range(1, steps + 1), values, linewidth=0.6 if name == "iterate" else 1.8, label=name)
        facts[name] = float(np.mean(values[-steps // 10 :]))
    label(plane, "across", "along")
    label(losses, "step", "loss")
    return figure, facts


def holds(facts: Facts) -> bool:
    """Both averages are better than the iterate."""
    return max(facts["uniform"], facts["ema"]) < 0.5 * facts["iterate"]
