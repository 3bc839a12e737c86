"""The directions of the minimisers on parts of vectors: the same formulas as in the compiled solvers.

A method takes what it needs of an accepted step in one message. It gives the direction p, its slope pᵀg and whether
its length is natural, so that a step of 1 is to be tried first.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from schuss.distributed.ranks import Ranks
from schuss.distributed.sums import BLOCK, Array, collect, products


class Direction(NamedTuple):
    """Where to go."""

    p: Array
    slope: float
    natural: bool


class GradientDescent:
    """p = -g."""

    def __init__(self, ranks: Ranks, x: Array, **_: Any) -> None:
        self.ranks, self.p = ranks, np.empty_like(x)

    def begin(self, g: Array) -> Direction:
        """The first direction, and that after `forget`."""
        (gg,), _ = collect(self.ranks, products((g,), (g,)).T.tolist(), ())
        return self.against(g, gg)

    def against(self, g: Array, gg: float) -> Direction:
        """-g, whose square is known."""
        np.negative(g, out=self.p)
        return Direction(self.p, -gg, False)

    def learn(self, before: tuple[Array, Array], after: tuple[Array, Array]) -> Direction:
        """The direction after a step from (x, g) to (x, g)."""
        return self.begin(after[1])

    def forget(self) -> bool:
        """Drop what was learned; False if there is nothing."""
        return False


BETAS: dict[str, Callable[[dict[str, float]], float]] = {
    "fr": lambda d: d["gg"] / d["g0g0"],
    "pr": lambda d: max(0.0, d["gy"] / d["g0g0"]),
    "hs": lambda d: d["gy"] / d["py"],
    "dy": lambda d: d["gg"] / d["py"],
    "hz": lambda d: max((d["gy"] - 2 * d["pg"] * d["yy"] / d["py"]) / d["py"], 0.4 * d["pg0"] / d["pp"]),
}


class ConjugateGradient(GradientDescent):
    """p ← -g + βp; Hager and Zhang 2006 have the formulas of β."""

    def __init__(
        self, ranks: Ranks, x: Array, *, beta: str = "pr", restart: int = 0, powell: float = math.inf, **_: Any
    ) -> None:
        super().__init__(ranks, x)
        self.beta, self.powell, self.since_restart = BETAS[beta], powell, 0
        self.restart = restart or max(10, sum(ranks.gathered(x.size)))

    def begin(self, g: Array) -> Direction:  # noqa: D102, inherits its docstring
        self.since_restart = 0
        return super().begin(g)

    def learn(self, before: tuple[Array, Array], after: tuple[Array, Array]) -> Direction:  # noqa: D102
        g0, g = before[1], after[1]
        names, vectors = ("g", "g0", "y", "p"), (g, g0, g - g0, self.p)
        taken, _ = collect(self.ranks, products(vectors, vectors).T.tolist(), ())
        dots = {a + b: taken[4 * i + j] for i, a in enumerate(names) for j, b in enumerate(names)}
        self.since_restart += 1
        if self.since_restart >= self.restart or abs(dots["gg0"]) >= self.powell * dots["gg"]:
            self.since_restart = 0
            return self.against(g, dots["gg"])
        beta = _divided(self.beta, dots)
        self.p *= self.p.dtype.type(beta)
        self.p -= g
        return Direction(self.p, beta * dots["pg"] - dots["gg"], False)

    def forget(self) -> bool:  # noqa: D102
        known, self.since_restart = self.since_restart > 0, 0
        return known


def _divided(formula: Callable[[dict[str, float]], float], dots: dict[str, float]) -> float:
    """β, or NaN where the formula divides by zero: then there is no slope, and -g is next."""
    try:
        return formula(dots)
    except ZeroDivisionError:
        return math.nan


class LBFGS(GradientDescent):
    """p = -Hg from the last m pairs (s, y); Nocedal 1980.

    The rows of one matrix are the steps s, the changes y of the gradient, and g. One pass over it takes all inner
    products, another one combines the rows to p.
    """

    def __init__(self, ranks: Ranks, x: Array, *, memory: int = 10, **_: Any) -> None:
        super().__init__(ranks, x)
        self.scaled, self.m = memory > 0, max(memory, 1)
        self.rows = np.zeros((2 * self.m + 1, x.size), x.dtype)
        self.sy, self.yy = np.zeros((2, self.m, self.m))  # sᵢᵀyⱼ for pairs j no older than i; yᵢᵀyⱼ
        self.order: list[int] = []  # the rows of the pairs, the oldest first

    def learn(self, before: tuple[Array, Array], after: tuple[Array, Array]) -> Direction:  # noqa: D102
        m, rows = self.m, self.rows
        new = self.order.pop(0) if len(self.order) == m else len(self.order)
        self.order.append(new)
        np.subtract(after[0], before[0], out=rows[new])
        np.subtract(after[1], before[1], out=rows[m + new])
        rows[-1] = after[1]
        terms = [products(rows, (rows[-1], rows[m + new])), products((rows[new],), (rows[new],))]
        taken, _ = collect(self.ranks, np.hstack(terms).T.tolist(), ())
        with_g, with_y, ss = np.array(taken[:-1:2]), np.array(taken[1:-1:2]), taken[-1]
        self.sy[:, new] = with_y[:m]
        self.yy[new] = self.yy[:, new] = with_y[m : 2 * m]
        sy, yy = self.sy[new, new], self.yy[new, new]
        if not sy > np.finfo(rows.dtype).eps * math.sqrt(ss) * math.sqrt(yy) or not math.isfinite(1 / sy):
            self.order = []
            return self.against(after[1], with_g[-1])
        coefficients = self._coefficients(with_g, sy / yy if self.scaled else 1.0)
        self._combine(coefficients)
        return Direction(self.p, float(coefficients @ with_g), True)

    def _coefficients(self, with_g: Array, gamma: float) -> Array:
        """Those of -Hg in the rows: the two loops of the recursion, on numbers."""
        m, c = self.m, np.zeros(2 * self.m + 1)
        s, y = c[:m], c[m : 2 * m]  # first of q = g - Σ αⱼyⱼ, then of r
        alpha = np.zeros(m)
        for k, i in reversed(list(enumerate(self.order))):
            newer = self.order[k + 1 :]
            alpha[i] = (with_g[i] - alpha[newer] @ self.sy[i, newer]) / self.sy[i, i]
        y[:], c[-1] = -gamma * alpha, gamma
        for k, i in enumerate(self.order):
            older = self.order[:k]
            yr = gamma * (with_g[m + i] - self.yy[i] @ alpha) + s[older] @ self.sy[older, i]
            s[i] = alpha[i] - yr / self.sy[i, i]
        return -c

    def _combine(self, coefficients: Array) -> None:
        weights = coefficients.astype(self.rows.dtype)
        for start in range(0, self.p.size, BLOCK):
            part = slice(start, start + BLOCK)
            np.matmul(weights, self.rows[:, part], out=self.p[part])

    def forget(self) -> bool:  # noqa: D102
        known, self.order = bool(self.order), []
        return known


METHODS: dict[str, type[GradientDescent]] = {"gd": GradientDescent, "cg": ConjugateGradient, "lbfgs": LBFGS}
