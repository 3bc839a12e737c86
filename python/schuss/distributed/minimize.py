"""Minimisation of functions whose unknowns are spread over the ranks."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from schuss import _core
from schuss.distributed.directions import METHODS, Direction
from schuss.distributed.ranks import Ranks
from schuss.distributed.sums import Array, collect, products
from schuss.minimizers import arguments
from schuss.minimizers.result import EVALUATION_LIMIT, MESSAGES, MinimizeResult

CONVERGED, ITERATION_LIMIT, PRECISION_LIMIT, NONFINITE, FAILURE = 0, 1, 2, 3, 6

QUIET = 30  # iterations without progress after which there will be none

SHARED = ("gtol", "maxiter", "maxfun", "line_search", "c1", "c2", "first_step")


def minimize(fun: Callable[..., Any], x0: Any, *, comm: Any, method: str = "lbfgs", **options: Any) -> MinimizeResult:
    """Minimise a function whose unknowns are spread over the ranks of an mpi4py communicator.

    Each rank has a part of x, of g and of whatever the method remembers. An iteration needs one small message for all
    of its inner products, and one for each evaluation, and every rank decides by the same sums. They have the same
    bits for every number of ranks if the parts are those of `share`, and so has the result if `fun` does its share.

    Formula: that of `schuss.LBFGS`, `schuss.ConjugateGradient` or `schuss.GradientDescent`, with the same line search.

    Source: Nocedal 1980; Hager and Zhang 2006; Deep Learning, section 8.6.

    Args:
        fun: fun(x), called with this rank's part of x on all ranks at once, returns (f, g): this rank's terms of the
            objective, a number or an array of them, all of which are added up, and its part of the gradient of the
            sum. Other parts of x it must get by messages of its own. x is only lent: do not keep or change it.
        x0: This rank's part of the start, an array of one dimension, maybe empty. float32 stays float32.
        comm: A communicator of mpi4py.
        method: "lbfgs" (default), "cg" or "gd".
        options: As the solvers have them, alike on every rank: `gtol`, `maxiter`, `maxfun`, `line_search`, `c1`, `c2`,
            `first_step`; `memory` of "lbfgs"; `beta`, `restart` and `powell` of "cg".

    Returns:
        A `MinimizeResult` whose `x` and `jac` are this rank's parts. The rest is the same on every rank.

    Raises:
        TypeError: An argument, or what `fun` returns, has another type.
        ValueError: An argument is out of its range, or the ranks differ in it. What is raised on one rank, by `fun` as
            well, is raised on all of them: a TypeError or ValueError as such, anything else as a RuntimeError.

    Example:
        # part.py, started by `mpiexec -n 4 python part.py`
        import numpy as np, schuss
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
        target = np.arange(100_000.0)[schuss.distributed.share(100_000, comm)]
        fun = lambda x: ((x - target) @ (x - target), 2 * (x - target))
        res = schuss.distributed.minimize(fun, np.zeros_like(target), comm=comm)
        assert res.success and abs(res.x - target).max(initial=0) < 1e-5
    """
    ranks = Ranks(comm)
    x, checked = ranks.agree(lambda: (arguments.start(x0), _checked(fun, method, options)))
    ranks.require_alike({"method": method, "the dtype of x0": str(x.dtype), **checked})
    return Descent(ranks, fun, x, method, checked).run()


def _checked(fun: Any, method: Any, options: dict[str, Any]) -> dict[str, Any]:
    if not callable(fun):
        raise TypeError(f"fun is {type(fun).__name__}, expected a function")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    known = (*SHARED, *arguments.OWN[method])
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r} of {method}, expected {', '.join(known)}")
    return arguments.check(method, options)


class Point(NamedTuple):
    """An evaluated point: f and what follows it are the same on every rank."""

    x: Array
    g: Array
    f: float
    norm: float
    slope: float = 0.0  # along the direction of the search
    step: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether f and all of g are."""
        return math.isfinite(self.f) and math.isfinite(self.norm) and math.isfinite(self.slope)


class EndError(Exception):
    """Ends a search, or all: x + αp is x, or there are no more evaluations to be had."""


class Descent:
    """A direction, a line search along it, a lesson from the step; see the compiled solvers' descent.hpp."""

    def __init__(self, ranks: Ranks, fun: Callable[..., Any], x: Array, method: str, options: dict[str, Any]) -> None:
        self.ranks, self.fun, self.options = ranks, fun, options
        n = sum(ranks.gathered(x.size))
        self.maxiter, self.maxfun = options.get("maxiter", max(1000, 200 * n)), options.get("maxfun", math.inf)
        self.c1 = options.get("c1", arguments.C1)
        self.c2 = options.get("c2", arguments.CURVATURE[method])
        own = {name: options[name] for name in arguments.OWN[method] if name in options}
        self.method = METHODS[method](ranks, x, **own)
        self.memory = [(x, np.empty_like(x)), *((np.empty_like(x), np.empty_like(x)) for _ in range(2))]
        self.eps = float(np.finfo(x.dtype).eps)
        self.nit = self.nfev = 0
        self.alpha = self.slope_before = 0.0  # of the last iteration
        self.first, self.still = (
            0.0,
            False,
        )  # a search's first step, and whether it has come to a point that is x itself
        self.lowest_f = self.lowest_norm = math.inf
        self.quiet = 0
        self.record: Point | None = None  # the lowest point, if the iterate has gone up since

    # ---- the algorithm ----

    def run(self) -> MinimizeResult:
        """Descend to the end."""
        now = self._evaluate(*self.memory[0], None, 0.0)
        if not now.finite:
            return self._result(now, NONFINITE)
        way: Direction | None = None
        while (status := self._status(now)) is None:
            if way is None:
                way, self.slope_before = self.method.begin(now.g), 0.0
            self.first, self.still = self._first_step(now, way), False
            found, best = self._search(now, way)
            after = found or (best if best and best.f < now.f else None)
            if after:
                now, way = after, self._accept(now, after, way)
            elif self.nfev < self.maxfun and self.method.forget():
                way = None
            else:
                return self._result(now, self._why_not(now, way, best))
        return self._result(now, status)

    def _status(self, now: Point) -> int | None:
        if now.norm <= self.options.get("gtol", 1e-5):
            return CONVERGED
        if self.nit >= self.maxiter:
            return ITERATION_LIMIT
        if self.nfev >= self.maxfun:
            return EVALUATION_LIMIT
        return PRECISION_LIMIT if self.quiet >= QUIET else None

    def _accept(self, now: Point, after: Point, way: Direction) -> Direction | None:
        """The next direction, learned from the step; None if there is none that descends."""
        self.nit += 1
        self._note_progress(after)
        if after.f > now.f and (self.record is None or now.f < self.record.f):
            self.record = now._replace(x=now.x.copy(), g=now.g.copy())
        self.alpha, self.slope_before = after.step, way.slope
        if self._status(after) is not None:
            return None
        learned = self.method.learn((now.x, now.g), (after.x, after.g))
        if learned.slope < 0:
            return learned
        self.method.forget()
        return None

    def _note_progress(self, after: Point) -> None:
        lower = after.f < self.lowest_f - self.eps * abs(self.lowest_f) or self.lowest_f == math.inf
        flatter = after.norm < self.lowest_norm
        self.lowest_f = after.f if lower else self.lowest_f
        self.lowest_norm = min(after.norm, self.lowest_norm)
        self.quiet = 0 if lower or flatter else self.quiet + 1

    def _why_not(self, now: Point, way: Direction, best: Point | None) -> int:
        """The status where a search has found nothing along -g."""
        if self.nfev >= self.maxfun:
            return EVALUATION_LIMIT
        if best is None:
            return PRECISION_LIMIT if self.still else NONFINITE
        return PRECISION_LIMIT if self.still or -way.slope * self.first <= math.sqrt(self.eps) * abs(now.f) else FAILURE

    # ---- the line ----

    def _first_step(self, now: Point, way: Direction) -> float:
        """1 where p has a natural length, the length that promises the last decrease again, or one by the scales."""
        if way.natural:
            return 1.0
        if self.slope_before < 0:
            return min(self.alpha * self.slope_before / way.slope, 10 * self.alpha)
        if self.options.get("first_step"):
            return float(self.options["first_step"])
        scale, steepest = collect(self.ranks, [], [_largest(now.x), _largest(way.p)])[1].tolist()
        by_f = 2 * abs(now.f / way.slope) if now.f else math.inf
        by_x = scale / steepest if scale else by_f if by_f < math.inf else 1 / steepest
        return float(min(by_x, by_f))

    def _search(self, now: Point, way: Direction) -> tuple[Point | None, Point | None]:
        """The point that fulfils the search's conditions, or None; and the lowest finite one."""
        best: Point | None = None
        last: Point | None = None

        def phi(step: float) -> tuple[float, float]:
            nonlocal best, last
            if step == 0:
                return now.f, way.slope
            if self.nfev >= self.maxfun:
                raise EndError
            held = {id(now.x)} | ({id(best.x)} if best else set())
            x, g = next(slot for slot in self.memory if id(slot[0]) not in held)
            np.multiply(way.p, x.dtype.type(step), out=x)
            x += now.x
            last = self._evaluate(x, g, way.p, step, now.x)
            if last.finite and (best is None or last.f < best.f):
                best = last
            return self._told(now, way, last), last.slope if last.finite else math.nan

        search = self.options.get("line_search", "wolfe")
        try:
            _, _, fulfilled = _core.line_search(phi, self.first, search, self.c1, self.c2)
        except EndError:
            fulfilled = False
        return (last if fulfilled else None), best

    def _told(self, now: Point, way: Direction, at: Point) -> float:
        """The value that the search is to see: by the slopes, where f cannot resolve the difference."""
        resolved = abs(at.f - now.f) > self.eps**0.75 * max(abs(now.f), abs(at.f))
        return at.f if resolved or not at.finite else now.f + at.step * (way.slope + at.slope) / 2

    def _evaluate(self, x: Array, into: Array, p: Array | None, step: float, start: Array | None = None) -> Point:
        """Call the objective at x and add up: one message, which also says if a rank has failed or x has moved."""
        error: Exception | None = None
        f: list[float] = []
        into.fill(math.nan)
        try:
            f = self._call(x, into)
        except Exception as raised:  # whatever it is, the others must not wait for this rank
            error = raised
        along = products((into,), (into if p is None else p,))[:, 0].tolist()
        moved = start is None or not np.array_equal(x, start)
        (f_sum, slope), most = collect(self.ranks, [f, along], [_largest(into), error is not None, moved])
        if most[1]:
            self.ranks.fail(error)
        if not most[2]:
            self.still = True
            raise EndError
        self.nfev += 1
        return Point(x, into, f_sum, float(most[0]), slope, step)

    def _call(self, x: Array, into: Array) -> list[float]:
        """The terms of f; the gradient goes into `into`."""
        told = self.fun(x)
        if not isinstance(told, tuple) or len(told) != 2:
            raise TypeError(f"fun returned {type(told).__name__}, expected a pair (f, g)")
        f, g = arguments.real_array("f", told[0]), arguments.real_array("g", told[1])
        if g.shape != into.shape:
            raise ValueError(f"g has shape {g.shape}, expected {into.shape} like x")
        into[...] = g
        return np.ravel(f).astype(np.float64).tolist()

    def _result(self, now: Point, status: int) -> MinimizeResult:
        if status != CONVERGED and self.record is not None and self.record.f < now.f:
            now = self.record
        return MinimizeResult(
            x=now.x,
            fun=now.f,
            jac=now.g,
            nit=self.nit,
            nfev=self.nfev,
            njev=self.nfev,
            status=status,
            success=status == CONVERGED,
            message=MESSAGES[status],
        )


def _largest(v: Array) -> float:
    """The largest magnitude; NaN if there is one."""
    return float(np.maximum(v.max(), -v.min())) if v.size else 0.0
