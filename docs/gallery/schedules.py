"""Learning rate schedules

Left: the schedules of `schuss.schedules`, laid out over {steps} steps, one of them with a warm-up. Right: stochastic
gradient descent on the loss ½θ² with a gradient that has noise of deviation {noise} in it, mean of {runs} runs. With a
constant rate the noise keeps θ from settling, at a loss of {constant:.2g}; linear decay to a hundredth ends at
{linear:.2g}, and 1/t, which fulfils the conditions of Robbins and Monro, at {inverse:.2g}.

`schuss.schedules`, `schuss train --schedule --warmup --momentum-schedule`; Deep Learning, section 8.3.1.
"""

import numpy as np
from study import Facts, Figure, label, panels

import schuss
from schuss import schedules

SMALL = {"steps": 200, "noise": 1.0, "runs": 50}
FULL = {"steps": 1000, "noise": 1.0, "runs": 500}
RATE = 0.2


def draw(small: bool) -> tuple[Figure, Facts]:
    """The schedules, and what three of them come to."""
    facts: Facts = dict(SMALL if small else FULL)
    steps = int(facts["steps"])
    forms = {
        "constant": schedules.constant(RATE),
        "linear": schedules.linear_decay(RATE, steps),
        "inverse": schedules.inverse_time(RATE, tau=1 / RATE),
        "step": schedules.step(RATE, steps // 3),
        "exponential": schedules.exponential(RATE, 0.01 ** (1 / steps)),
        "warm-up, cosine": schedules.warmup(schedules.cosine(RATE, steps - steps // 10), steps // 10),
    }
    figure, (rates, losses) = panels(2)
    for name, schedule in forms.items():
        rates.plot([schedule(k) for k in range(steps)], label=name)
        if name in ("constant", "linear", "inverse"):
            curve = _losses(schedule, facts)
            losses.loglog(range(1, steps + 1), curve, label=name)
            facts[name] = float(curve[-steps // 20 :].mean())
    label(rates, "step", "learning rate")
    label(losses, "step", "mean loss")
    return figure, facts


def _losses(schedule: schedules.Schedule, facts: Facts) -> np.ndarray:
    rng, theta = np.random.default_rng(0), np.full(int(facts["runs"]), 5.0)  # each element is a run
    optimizer, losses = schuss.SGD([theta], lr=schedule), []
    for _ in range(int(facts["steps"])):
        optimizer.step([theta + facts["noise"] * rng.normal(size=theta.shape)])
        losses.append(np.mean(theta**2) / 2)
    return np.array(losses)


def holds(facts: Facts) -> bool:
    """Both that decay end lower."""
    return max(facts["linear"], facts["inverse"]) < 0.5 * facts["constant"]
