"""The suite of the minimisers: `schuss bench --suite minimize`.

Times are those of one iteration, without the objective's own time: of the gaps between its calls, but for the first
ones, in which memory is allocated. Contestants run the same problem from the same start, take turns round after
round, and have been checked to find the same minimum before. Ratios are medians of ratios within one round.
"""

import argparse
import ctypes
import gc
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss import _core, info
from schuss.benchmark import report
from schuss.benchmark.contestants import load_torch
from schuss.benchmark.problems import PROBLEMS, rosenbrock
from schuss.benchmark.results import Spread, spread
from schuss.benchmark.targets import Finding, Reached, Target

Array = NDArray[Any]
Seconds = Callable[[], float]

SCIPY = {"bfgs": "BFGS", "cg": "CG", "lbfgs": "L-BFGS-B"}

GTOL = 1e-5

COMPILED = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, *[ctypes.POINTER(ctypes.c_double)] * 3, ctypes.c_void_p)


@dataclass(frozen=True)
class Bench:
    """A measurement: the contestants by name, each of which times itself, and what it must show.

    `against` is the contestant that ours is compared with, `wanted` the least ratio of its time and ours.
    """

    claim: str
    contestants: dict[str, Seconds]
    against: str
    wanted: float


@dataclass
class Measured:
    """A bench and its samples: seconds by contestant and round."""

    bench: Bench
    samples: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, name: str) -> Spread:
        """How many times as long as ours another contestant takes."""
        return spread([b / a for a, b in zip(self.samples["schuss"], self.samples[name], strict=True)])

    def finding(self) -> Finding:
        """The ratio, held against what was wanted."""
        return found(self.bench.claim, self.bench.wanted, self.ratio(self.bench.against))


def found(claim: str, wanted: float, value: Spread) -> Finding:
    """A target and what was reached."""
    reached = Reached(value, "", 1)
    return Finding(Target(claim, wanted, lambda _: reached), reached)


# ---- what is timed ----


class Timed:
    """An objective that notes when it is called and when it returns."""

    def __init__(self, fun: Callable[[Array], Any]) -> None:
        self.fun = fun
        self.begins: list[float] = []
        self.ends: list[float] = []

    def __call__(self, x: Array) -> Any:
        """What `fun` returns."""
        self.begins.append(time.perf_counter())
        value = self.fun(x)
        self.ends.append(time.perf_counter())
        return value

    @property
    def seconds(self) -> float:
        """The time spent in it."""
        return sum(self.ends) - sum(self.begins)

    def between(self, skip: float) -> float:
        """The mean time between two calls, without the first part of them."""
        first = int(skip * len(self.begins))
        gaps = [b - e for b, e in zip(self.begins[first + 1 :], self.ends[first:], strict=False)]
        return sum(gaps) / len(gaps)


def quadratic(n: int) -> Callable[[Array], tuple[float, Array]]:
    """A cheap objective whose minimum takes many iterations."""
    slopes = np.linspace(1.0, 1000.0, n)

    def fun(x: Array) -> tuple[float, Array]:
        g = slopes * x
        return 0.5 * float(x @ g), g

    return fun


def iteration(run: Callable[[Timed, int], int], fun: Callable[[Array], Any], maxiter: int) -> Seconds:
    """Seconds for an iteration, of the later two thirds; run(objective, maxiter) returns how many there were."""

    def seconds() -> float:
        objective = Timed(fun)
        count = run(objective, maxiter)
        return objective.between(1 / 3) * len(objective.begins) / count

    return seconds


def with_schuss(method: str, x0: Array) -> Callable[[Timed, int], int]:
    """Our iterations from x0."""
    return lambda fun, maxiter: int(
        schuss.minimize(fun, x0, jac=True, method=method, gtol=0.0, maxiter=maxiter)["nit"]  # type: ignore[arg-type]
    )


def with_scipy(method: str, x0: Array) -> Callable[[Timed, int], int]:
    """SciPy's iterations from x0."""
    from scipy.optimize import minimize

    options = {"ftol": 0.0, "maxfun": 10**9, "gtol": 0.0} if method == "lbfgs" else {"gtol": 0.0}
    return lambda fun, maxiter: int(
        minimize(fun, x0, jac=True, method=SCIPY[method], options={**options, "maxiter": maxiter}).nit
    )


def with_torch(x0: Array) -> Callable[[Timed, int], int]:
    """The iterations of torch.optim.LBFGS from x0, on the same objective."""
    torch = load_torch()

    def run(fun: Timed, maxiter: int) -> int:
        x = torch.nn.Parameter(torch.from_numpy(x0.copy()))
        settings: dict[str, Any] = {"history_size": 10, "line_search_fn": "strong_wolfe"}
        settings |= {"tolerance_grad": 0.0, "tolerance_change": 0.0, "max_eval": 10**9}
        optimizer = torch.optim.LBFGS([x], lr=1.0, max_iter=maxiter, **settings)

        def closure() -> float:
            f, g = fun(x.detach().numpy())
            x.grad = torch.from_numpy(g)
            return float(f)

        optimizer.step(closure)
        return int(optimizer.state[x]["n_iter"])

    return run


# ---- the benches ----


def has(module: str) -> bool:
    """Whether a peer is installed."""
    import importlib.util

    return importlib.util.find_spec(module) is not None


def bfgs_against_scipy(n: int, wanted: float) -> Bench:
    """An iteration of BFGS on a cheap objective."""
    x0, fun = np.ones(n), quadratic(n)
    ours = iteration(with_schuss("bfgs", x0), fun, 60)
    theirs = iteration(with_scipy("bfgs", x0), fun, 30 if n <= 500 else 6)
    return Bench(f"× SciPy: BFGS iteration, n = {n}", {"schuss": ours, "scipy": theirs}, "scipy", wanted)


def bfgs_against_ceiling(n: int) -> Bench:
    """The fraction of the limit of an iteration of BFGS: reading and writing half the matrix once."""
    half = np.ones(n * (n + 8) // 2)

    def ceiling() -> float:
        began = time.perf_counter()
        for _ in range(50):
            _core.rewrite(half, 0)
        return (time.perf_counter() - began) / 50

    ours = iteration(with_schuss("bfgs", np.ones(n)), quadratic(n), 60)
    return Bench(f"of the ceiling: BFGS iteration, n = {n}", {"schuss": ours, "ceiling": ceiling}, "ceiling", 0.8)


def overhead() -> Bench:
    """What an iteration costs besides the objective for two unknowns."""
    x0 = np.array([-1.2, 1.0])

    def per_iteration(minimize: Callable[[Timed], Any]) -> Seconds:
        def seconds() -> float:
            objective, began, count = Timed(rosenbrock), time.perf_counter(), 0
            for _ in range(20):
                count += minimize(objective).nit
            return (time.perf_counter() - began - objective.seconds) / count

        return seconds

    from scipy.optimize import minimize as scipys

    contestants = {
        "schuss": per_iteration(lambda fun: schuss.minimize(fun, x0, jac=True)),
        "scipy": per_iteration(lambda fun: scipys(fun, x0, jac=True, method="BFGS")),
    }
    return Bench("× SciPy: overhead of an iteration, n = 2", contestants, "scipy", 8)


def large(method: str, n: int, wanted: float) -> Bench:
    """An iteration of a method for many unknowns."""
    x0, fun = np.ones(n), quadratic(n)
    count = 45 if n > 10**5 else 120
    contestants = {
        "schuss": iteration(with_schuss(method, x0), fun, count),
        "scipy": iteration(with_scipy(method, x0), fun, count),
    }
    if method == "lbfgs" and has("torch"):
        contestants["torch"] = iteration(with_torch(x0), fun, count)
    return Bench(f"× SciPy: {method} iteration, n = {n}", contestants, "scipy", wanted)


def batch(problems: int = 10_000) -> Bench:
    """Many small problems with a compiled objective, against a loop over some of them."""
    from scipy.optimize import minimize

    starts = np.random.default_rng(0).normal(size=(problems, 4))
    objective, some = COMPILED(_core.rosenbrock(False)), starts[:100]

    def ours() -> float:
        began = time.perf_counter()
        schuss.minimize_batch(objective, starts)
        return (time.perf_counter() - began) / problems

    def theirs() -> float:
        began = time.perf_counter()
        for x0 in some:
            minimize(rosenbrock, x0, jac=True, method="BFGS")
        return (time.perf_counter() - began) / len(some)

    claim = f"× a SciPy loop: {problems} problems of n = 4, compiled"
    return Bench(claim, {"schuss": ours, "scipy": theirs}, "scipy", 200)


def benches(quick: bool) -> Iterator[Callable[[], Bench]]:
    """All that is timed."""
    sizes: dict[int, float] = {100: 10, 500: 60} if quick else {100: 10, 500: 60, 1000: 150, 2000: 350}
    for n, wanted in sizes.items():
        yield partial(bfgs_against_scipy, n, wanted)
    for n in (1000,) if quick else (1000, 2000, 4000):
        yield partial(bfgs_against_ceiling, n)
    yield overhead
    for n, least in ((10**4, 4.0),) if quick else ((10**4, 4.0), (10**6, 3.0)):
        for method in ("lbfgs", "cg"):
            yield partial(large, method, n, least)
    yield batch


def growth() -> Finding:
    """How much less than quadratically an iteration of BFGS grows from n = 500 to 4000."""
    values = []
    for _ in range(3):
        small, big = (iteration(with_schuss("bfgs", np.ones(n)), quadratic(n), 60)() for n in (500, 4000))
        values.append((4000 / 500) ** 2 * small / big)
    return found("quadratic growth / growth of the BFGS iteration, n = 500 → 4000", 1.0, spread(values))


# ---- evaluations ----


def evaluations() -> tuple[dict[str, dict[str, tuple[int, int]]], list[Finding]]:
    """Evaluations of f and g to the same gtol, ours and SciPy's, by method and problem; SciPy's total over ours."""
    from scipy.optimize import minimize

    counts: dict[str, dict[str, tuple[int, int]]] = {}
    findings = []
    for method, name in SCIPY.items():
        limits = {"ftol": 0.0, "maxfun": 10**6, "maxiter": 10**6} if method == "lbfgs" else {"maxiter": 10**6}
        counts[method] = {}
        for problem in PROBLEMS:
            settings = {"gtol": GTOL, **limits}
            ours = schuss.minimize(problem.fun, problem.start(), jac=True, method=method, gtol=GTOL)  # type: ignore[arg-type]
            theirs = minimize(problem.fun, problem.start(), jac=True, method=name, options=settings)
            if not ours.success or ours.fun > theirs.fun + 1e-6 * (1 + abs(theirs.fun)):
                raise ArithmeticError(f"{method} did not find the minimum of {problem.name}: {ours.message}")
            counts[method][problem.name] = ours.nfev, theirs.nfev
        own, others = (sum(pair[i] for pair in counts[method].values()) for i in (0, 1))
        value = others / own
        findings.append(found(f"SciPy's evaluations / ours: {method}", 1 / 0.8, Spread(value, value, value)))
    return counts, findings


# ---- a run ----


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the garbage collector, and without the warnings of a run that is cut short."""
    import warnings

    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if collecting:
            gc.enable()


def measure(bench: Bench, rounds: int) -> Measured:
    """Time the contestants in turn, in an order that rotates."""
    measured = Measured(bench, {name: [] for name in bench.contestants})
    names = list(bench.contestants)
    for seconds in bench.contestants.values():
        seconds()
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            measured.samples[name].append(bench.contestants[name]())
    return measured


def run(quick: bool, rounds: int, file: Path | None) -> int:
    """Measure everything, print it, write it. Returns the exit code."""
    to = report.console()
    to.print(report.heading(info.config()))
    measured = []
    with undisturbed():
        counts, findings = evaluations()
        for make in benches(quick):
            measured.append(measure(make(), rounds))
            bench = measured[-1].bench
            peers = [name for name in bench.contestants if name != "schuss"]
            ratios = ", ".join(f"{name} {report.ratio(measured[-1].ratio(name))}" for name in peers)
            ours = report.duration(spread(measured[-1].samples["schuss"]).median)
            to.print(f"{bench.claim}: {ours}; {ratios}", soft_wrap=True)
        if not quick:
            findings.append(growth())
    for method, problems in counts.items():
        pairs = ", ".join(f"{problem} {ours}/{theirs}" for problem, (ours, theirs) in problems.items())
        to.print(f"evaluations, ours/SciPy's, {method}: {pairs}", soft_wrap=True)
    findings = [*(m.finding() for m in measured), *findings]
    to.print(report.targets(findings, info.config()["num_threads"]))
    if file is not None:
        samples = {m.bench.claim: m.samples for m in measured}
        facts = {"machine": info.config(), "samples": samples, "evaluations": counts}
        file.write_text(json.dumps({**facts, "targets": [f.to_json() for f in findings]}, indent=1) + "\n")
    return 0 if all(math.isfinite(f.reached.value.median) for f in findings) else 1


def main(argv: Sequence[str]) -> int:
    """Run `schuss bench --suite minimize` with the arguments that are left."""
    parser = argparse.ArgumentParser(prog="schuss bench --suite minimize", description="Time the minimisers.")
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke run")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contestant; default: 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    arguments = parser.parse_args(argv)
    if not has("scipy"):
        print("schuss bench: this suite needs SciPy: pip install scipy", file=sys.stderr)
        return 1
    return run(arguments.quick, max(1, arguments.rounds), arguments.json)
