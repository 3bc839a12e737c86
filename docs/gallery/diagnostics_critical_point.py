"""Diagnostics: the kind of a critical point

A network with {units} tanh units and weight decay {decay:g} reads the digits. BFGS begins with all parameters at 0 and
comes to a critical point, where it has {start:.0%} of the training set right. It is a {start_kind}: of the
{values} Ritz values of the Hessian, left, {negative} are negative. Begun beside 0 it comes to a point, right, whose
least one is {least:.2g}: a {end_kind}, there is no way down left, and {end:.0%} are right. Lanczos' method needs
products of the Hessian with vectors only, which are differences of gradients.

`schuss.diagnostics.critical_point`, `schuss.diagnostics.lanczos`; Deep Learning, sections 8.2.2 and 8.2.3.
"""

import numpy as np
from study import Facts, Figure, digits, label, objective, panels, part, tanh_network

import schuss
from schuss import diagnostics
from schuss.training.trainer import evaluate

SMALL = {"units": 2, "decay": 0.01, "examples": 300}
FULL = {"units": 8, "decay": 0.01, "examples": 1347}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The spectrum where a descent from 0 ends, and where one from beside 0 does."""
    facts: Facts = dict(SMALL if small else FULL)
    decay = facts["decay"]
    examples = part(digits(dtype="float64").training, int(facts["examples"]))
    network = tanh_network(int(facts["units"]))
    drawn, loss = objective(network, examples)

    def product(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return diagnostics.hessian_vector_product(lambda at: loss(at, decay)[1], x, v, scale=1.0)

    figure, axes = panels(2)
    for name, start, one in zip(("start", "end"), (0 * drawn, 0.1 * drawn), axes, strict=True):
        found = schuss.minimize(lambda x: loss(x, decay), start, jac=True, gtol=1e-7, maxiter=5000)
        point = diagnostics.critical_point(found.x, hvp=product, iterations=drawn.size, rtol=1e-6)
        loss(found.x)
        facts |= {name: evaluate(network, examples)[1], f"{name}_kind": point.kind}
        facts["least"] = float(point.eigenvalues[0])
        if name == "start":
            facts |= {"values": len(point.eigenvalues), "negative": int(np.sum(point.eigenvalues < -point.zero))}
        diagnostics.plot_spectrum(point, one)
        label(one, "rank", "Ritz value of the Hessian")
    return figure, facts


def holds(facts: Facts) -> bool:
    """A saddle at the start, and a minimum that reads more digits at the end."""
    kinds = facts["start_kind"] == "saddle" and facts["end_kind"] == "minimum"
    return kinds and facts["negative"] > 0 and facts["end"] > facts["start"] + 0.2
