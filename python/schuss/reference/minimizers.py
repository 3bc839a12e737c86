"""The minimisers' kernels, and the minimisers themselves in few lines."""

from collections.abc import Callable
from typing import Any

import numpy as np

from schuss.reference.phase import Array

Objective = Callable[[Array], tuple[float, Array]]


def bfgs_update(H: Array, s: Array, y: Array) -> Array:
    """Update an inverse Hessian, in place: Deep Learning, section 8.6.3; Nocedal and Wright, equation 6.17."""
    rho = 1 / (s @ y)
    w = s - H @ y
    u = rho * w - 0.5 * rho * (rho * (w @ y)) * s
    H += np.outer(u, s) + np.outer(s, u)
    return H


def newton_direction(H: Array, g: Array, *, alpha: float = 0.0, curvature: str = "regularized") -> Array:
    """Newton's direction: Deep Learning, equation 8.28; Dauphin et al. 2014 (saddle-free)."""
    values, vectors = np.linalg.eigh(H)
    least = np.sqrt(np.finfo(H.dtype).eps) * np.abs(values).max(initial=0)
    if curvature == "saddle_free":
        values = np.maximum(np.abs(values), least)
    else:
        least = np.sqrt(np.finfo(H.dtype).eps) * np.abs(H).max(initial=0)
        alpha = alpha if alpha >= least else 0.0
        if np.any(values + alpha <= 0):
            alpha = max(alpha, least)
            while np.any(values + alpha / 4 <= 0):
                alpha *= 4
        values = values + alpha
    p: Array = -vectors @ (vectors.T @ g / values)
    return p


def cg(A: Array, b: Array, *, rtol: float = 1e-5, maxiter: int | None = None) -> Array:
    """Solve Ax = b by conjugate gradients: Hestenes and Stiefel 1952; Deep Learning, section 8.6.2."""
    x = np.zeros_like(b)
    r = b - A @ x
    p = r.copy()
    rr = r @ r
    for _ in range(10 * len(b) if maxiter is None else maxiter):
        if np.sqrt(rr) <= rtol * np.linalg.norm(b):
            break
        q = A @ p
        alpha = rr / (p @ q)
        x += alpha * p
        r -= alpha * q
        rr, before = r @ r, rr
        p = r + rr / before * p
    return x


def minimize(fun: Objective, x0: Any, direction: Any, *, gtol: float = 1e-5, maxiter: int = 10_000) -> Array:
    """Descend along `direction(g, s, y)`, s and y being the last step and the change of g over it, or None.

    The line search halves the step until the Armijo condition holds: enough to reach the same minimum as the compiled
    solvers, which take other steps on the way there.
    """
    x = np.array(x0)
    f, g = fun(x)
    s = y = None
    for _ in range(maxiter):
        if np.abs(g).max(initial=0) <= gtol:
            break
        p = direction(g, s, y)
        if p @ g >= 0:
            p = -g
        step = 1.0
        while not (f_next := fun(x + step * p)[0]) <= f + 1e-4 * step * (p @ g) and step > 1e-20:
            step /= 2
        s = step * p
        x = x + s
        g_next = fun(x)[1]
        f, y, g = f_next, g_next - g, g_next
    return x


def bfgs(n: int) -> Callable[[Array, Array | None, Array | None], Array]:
    """The directions of BFGS."""
    H = np.eye(n)

    def direction(g: Array, s: Array | None, y: Array | None) -> Array:
        nonlocal H
        if s is not None and y is not None and s @ y > 0:
            if np.array_equal(H, np.eye(n)):
                H = np.eye(n) * (s @ y) / (y @ y)
            H *= max(1.0, float((s @ y) / (y @ H @ y)))
            bfgs_update(H, s, y)
        p: Array = -H @ g
        return p

    return direction


def lbfgs(memory: int) -> Callable[[Array, Array | None, Array | None], Array]:
    """The directions of L-BFGS, by the two loops of Nocedal 1980; without memory those of memoryless BFGS."""
    pairs: list[tuple[Array, Array]] = []

    def direction(g: Array, s: Array | None, y: Array | None) -> Array:
        if s is not None and y is not None and s @ y > 0:
            pairs.append((s, y))
            del pairs[: -max(memory, 1)]
        q, alphas = g.copy(), []
        for s_i, y_i in reversed(pairs):
            alphas.append(s_i @ q / (s_i @ y_i))
            q -= alphas[-1] * y_i
        if pairs and memory:
            q *= pairs[-1][0] @ pairs[-1][1] / (pairs[-1][1] @ pairs[-1][1])
        for (s_i, y_i), alpha in zip(pairs, reversed(alphas), strict=True):
            q += (alpha - y_i @ q / (s_i @ y_i)) * s_i
        return -q

    return direction


def conjugate_gradient(beta: str = "pr") -> Callable[[Array, Array | None, Array | None], Array]:
    """The directions of nonlinear conjugate gradients; Hager and Zhang 2006 have the formulas of β."""
    p: Array | None = None
    g_before: Array | None = None

    def direction(g: Array, s: Array | None, y: Array | None) -> Array:
        nonlocal p, g_before
        known = p is not None and g_before is not None and y is not None
        p = -g + BETAS[beta](g, g_before, y, p) * p if known else -g  # type: ignore[arg-type]
        g_before = g
        return p

    return direction


BETAS: dict[str, Callable[[Array, Array, Array, Array], Any]] = {
    "fr": lambda g, g0, y, p: (g @ g) / (g0 @ g0),
    "pr": lambda g, g0, y, p: max(0.0, (g @ y) / (g0 @ g0)),
    "hs": lambda g, g0, y, p: (g @ y) / (p @ y),
    "dy": lambda g, g0, y, p: (g @ g) / (p @ y),
    "hz": lambda g, g0, y, p: max((y - 2 * p * (y @ y) / (p @ y)) @ g / (p @ y), 0.4 * (p @ g0) / (p @ p)),
}
