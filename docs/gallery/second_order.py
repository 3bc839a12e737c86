"""Methods that know the curvature

Gradient descent, conjugate gradients, BFGS and Newton's method minimise Rosenbrock's function of {variables}
variables, a curved valley, down to a gradient of {gtol:g}. Newton's method takes {newton} evaluations, BFGS {bfgs},
conjugate gradients {cg}; gradient descent with the same line search has f = {gd_left:.2g} after {gd} of them, where it
was stopped.

`schuss.minimize`; Deep Learning, section 8.6.
"""

import numpy as np
from study import Facts, Figure, label, panels

import schuss

SMALL = {"variables": 4, "gtol": 1e-6, "limit": 400}
FULL = {"variables": 20, "gtol": 1e-6, "limit": 2000}
METHODS = ("gd", "cg", "bfgs", "newton")


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    """The function in its chained form, and its gradient."""
    a, b = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    g = np.zeros_like(x)
    g[1:] += 200 * a
    g[:-1] -= 400 * a * x[:-1] + 2 * b
    return float(np.sum(100 * a**2 + b**2)), g


def hessian(x: np.ndarray) -> np.ndarray:
    """Its matrix of second derivatives."""
    diagonal = np.append(1200 * x[:-1] ** 2 - 400 * x[1:] + 2, 0)
    diagonal[1:] += 200
    beside = np.diag(-400 * x[:-1], 1)
    return np.diag(diagonal) + beside + beside.T


def draw(small: bool) -> tuple[Figure, Facts]:
    """The lowest value found by the number of evaluations."""
    facts: Facts = dict(SMALL if small else FULL)
    start = np.zeros(int(facts["variables"]))
    figure, (values,) = panels()
    for method in METHODS:
        seen: list[float] = []

        def watched(x: np.ndarray, seen: list[float] = seen) -> tuple[float, np.ndarray]:
            f, g = rosenbrock(x)
            seen.append(f)
            return f, g

        hess = {"hess": hessian} if method == "newton" else {}
        limits = {"gtol": facts["gtol"], "maxfun": int(facts["limit"]), "maxiter": int(facts["limit"])}
        found = schuss.minimize(watched, start, method=method, jac=True, **hess, **limits)
        values.loglog(range(1, len(seen) + 1), np.minimum.accumulate(seen), label=method)
        facts |= {method: found.nfev, f"{method}_left": float(found.fun)}
    values.set_ylim(1e-16)
    label(values, "evaluations of f and its gradient", "lowest f so far")
    return figure, facts


def holds(facts: Facts) -> bool:
    """The more a method knows, the fewer evaluations it takes."""
    minimised = max(facts[f"{method}_left"] for method in METHODS[1:]) < 1e-10 < facts["gd_left"]
    return minimised and facts["newton"] < facts["bfgs"] < facts["cg"] < facts["gd"]
