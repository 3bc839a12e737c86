"""Diagnostics: the kind of a critical point

A network y = Σⱼvⱼ·tanh(wⱼ·x) of {units} units learns y = sin x. At w = v = 0 the gradient is 0, yet it is a
{start_kind}: the spectrum of the Hessian, left, has {negative} negative eigenvalues among {parameters}. From beside it
BFGS descends to a point, right, whose least eigenvalue is {least:.2g}: there is no way down left.

`schuss.diagnostics.critical_point`; Deep Learning, sections 8.2.2 and 8.2.3.
"""

import numpy as np
from study import Facts, Figure, label, panels

import schuss
from schuss import diagnostics

SMALL = {"units": 2}
FULL = {"units": 4}
RTOL = 1e-7  # the Hessian comes from differences of gradients


def draw(small: bool) -> tuple[Figure, Facts]:
    """The spectrum at the start and at the end."""
    facts: Facts = dict(SMALL if small else FULL)
    units = int(facts["units"])
    x = np.linspace(-2, 2, 41)
    target = np.sin(x)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w, v = theta[:units], theta[units:]
        hidden = np.tanh(np.outer(x, w))
        error = hidden @ v - target
        dw = ((error * x)[:, None] * (1 - hidden**2) * v).mean(axis=0)
        decay = 1e-3 * theta  # a little weight decay: without it the minimum is a valley
        return float(np.mean(error**2) / 2 + 5e-4 * theta @ theta), np.append(dw, error @ hidden / len(x)) + decay

    def hessian(theta: np.ndarray) -> np.ndarray:
        columns = [
            diagnostics.hessian_vector_product(lambda at: loss(at)[1], theta, e, scale=1.0) for e in np.eye(2 * units)
        ]
        return (np.array(columns) + np.array(columns).T) / 2

    zero = np.zeros(2 * units)
    start = diagnostics.critical_point(zero, hessian=hessian, rtol=RTOL)
    beside = np.random.default_rng(0).normal(size=2 * units) * 0.1
    found = schuss.minimize(loss, beside, jac=True, gtol=1e-9)
    end = diagnostics.critical_point(found.x, hessian=hessian, rtol=RTOL)
    facts |= {"parameters": 2 * units, "negative": int(np.sum(start.eigenvalues < 0)), "start_kind": start.kind}
    facts |= {"end_kind": end.kind, "least": float(end.eigenvalues[0])}
    figure, axes = panels(2)
    for one, point in zip(axes, (start, end), strict=True):
        diagnostics.plot_spectrum(point, one)
        label(one, "rank", "eigenvalue")
    return figure, facts


def holds(facts: Facts) -> bool:
    """A saddle at the start, and a minimum at the end."""
    return facts["start_kind"] == "saddle" and facts["end_kind"] == "minimum" and facts["negative"] > 0
