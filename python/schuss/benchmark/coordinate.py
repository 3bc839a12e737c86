"""The suite of coordinate descent: `schuss bench --suite coordinate`.

scikit-learn is the peer. Before anyone is timed, every contestant must have found the same optimum: objectives may
differ by what the tolerances allow. Contestants take turns round after round, and ratios are medians of ratios within
one round.
"""

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import coordinate, info
from schuss.benchmark import report
from schuss.benchmark.minimizers import Bench, Seconds, has, measure, undisturbed
from schuss.benchmark.results import spread

Array = NDArray[Any]
Fit = Callable[[], Any]

TOL = 1e-8


def clock(fit: Fit, calls: int) -> Seconds:
    """Seconds for a call, of so many in a row."""

    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(calls):
            fit()
        return (time.perf_counter() - began) / calls

    return seconds


def require_equal(name: str, theirs: float, ours: float, scale: float, tol: float) -> None:
    """Raise ArithmeticError if their objective is above ours, or ours above theirs, by more than tol·scale."""
    if not abs(theirs - ours) <= tol * scale:
        raise ArithmeticError(f"{name} is at {theirs!r}, schuss at {ours!r}: not the same optimum")


# ---- the lasso ----


def lasso_objective(X: Array, y: Array, alpha: float, w: Array, b: float) -> float:
    """(1/2n)‖y - Xw - b‖² + α‖w‖₁."""
    r = y - X @ w - b
    return float(0.5 * r @ r / len(y) + alpha * np.abs(w).sum())


def lasso(name: str, X: Array, y: Array, alpha: float, calls: int) -> Bench:
    """Both to a gap of 10⁻⁸ of the target's variance."""
    from sklearn.linear_model import Lasso

    model = Lasso(alpha=alpha, tol=TOL, max_iter=10**6)
    fits: dict[str, Fit] = {
        "schuss": lambda: coordinate.lasso(X, y, alpha, tol=TOL),
        "scikit-learn": lambda: model.fit(X, y),
    }
    found, theirs = fits["schuss"](), fits["scikit-learn"]()
    if not found.success:
        raise ArithmeticError(f"schuss did not converge: {found.message}")
    objective = lasso_objective(X, y, alpha, theirs.coef_, theirs.intercept_)
    require_equal("scikit-learn", objective, found.fun, float(y.var()), 2 * TOL)
    contestants = {peer: clock(fit, calls) for peer, fit in fits.items()}
    return Bench(f"× scikit-learn: lasso, {name}", contestants, "scikit-learn", 1.5)


def diabetes(alpha: float) -> Bench:
    """The diabetes data, 442 × 10."""
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return lasso(f"diabetes, α = {alpha:g}", X, y, alpha, 20)


def random_design(n: int, p: int, fraction: float) -> Bench:
    """Normal columns, of which one in fifty counts; α is that fraction of the one that gives zero."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    w = np.where(np.arange(p) % 50 == 0, rng.standard_normal(p), 0)
    y = X @ w + rng.standard_normal(n)
    alpha = fraction * float(np.abs((X - X.mean(0)).T @ (y - y.mean())).max() / n)
    return lasso(f"{n} × {p}, α = {fraction:g} of the largest", X, y, alpha, 1)


# ---- sparse coding ----


def patches(count: int, size: int = 6) -> Array:
    """Patches of the digits' images, each less its mean."""
    from sklearn.datasets import load_digits

    images = load_digits().images / 16
    corners = [(i, j) for i in (0, 2) for j in (0, 2)]
    cut = np.array([images[:, i : i + size, j : j + size].reshape(len(images), -1) for i, j in corners])
    made: Array = cut.transpose(1, 0, 2).reshape(-1, size * size)[:count]
    return np.ascontiguousarray(made - made.mean(axis=1, keepdims=True))


def sparse_objective(X: Array, H: Array, W: Array, alpha: float) -> float:
    """½Σ(X - HW)² + α·Σ|H|."""
    return float(0.5 * ((X - H @ W) ** 2).sum() + alpha * np.abs(H).sum())


def encode(algorithm: str, samples: int, atoms: int, alpha: float = 0.1) -> Bench:
    """Codes of patches by a dictionary that was learned from them."""
    from sklearn.decomposition import sparse_encode

    X = patches(samples)
    D = coordinate.sparse_code(X[:500], atoms, alpha, maxiter=5).dictionary
    fits: dict[str, Fit] = {
        "schuss": lambda: coordinate.sparse_encode(X, D, alpha, tol=TOL),
        "scikit-learn": lambda: sparse_encode(
            X, D, alpha=alpha, algorithm=algorithm, max_iter=10_000, check_input=False
        ),
    }
    found, scale = fits["schuss"](), 0.5 * float((X**2).sum())
    if not found.success:
        raise ArithmeticError(f"schuss did not converge: {found.message}")
    objective = sparse_objective(X, fits["scikit-learn"](), D, alpha)
    require_equal("scikit-learn", objective, found.fun, scale, 3 * TOL)
    contestants = {name: clock(fit, 1) for name, fit in fits.items()}
    claim = f"× scikit-learn: sparse_encode by {algorithm}, {samples} patches, {atoms} atoms"
    return Bench(claim, contestants, "scikit-learn", 3)


def dictionary(samples: int, atoms: int, iterations: int, alpha: float = 0.1) -> Bench:
    """As many iterations from the same dictionary; ours must reach as low an objective."""
    from sklearn.decomposition import DictionaryLearning

    X = patches(samples)
    start = coordinate.sparse_code(X, atoms, alpha, maxiter=0).dictionary
    model = DictionaryLearning(
        atoms,
        alpha=alpha,
        max_iter=iterations,
        tol=0.0,
        fit_algorithm="cd",
        dict_init=start,
        code_init=np.zeros((samples, atoms)),
        transform_algorithm="lasso_cd",
        transform_max_iter=10_000,
        random_state=0,
    )
    fits: dict[str, Fit] = {
        "schuss": lambda: coordinate.sparse_code(X, atoms, alpha, dictionary0=start, maxiter=iterations, tol=0.0),
        "scikit-learn": lambda: model.fit(X),
    }
    ours, learned = fits["schuss"]().fun / 2, fits["scikit-learn"]().components_
    theirs = coordinate.sparse_encode(X, learned, alpha).fun
    if not ours <= 1.001 * theirs:
        raise ArithmeticError(f"schuss is at {ours!r}, scikit-learn at {theirs!r}")
    contestants = {name: clock(fit, 1) for name, fit in fits.items()}
    claim = f"× scikit-learn: DictionaryLearning, {samples} patches, {atoms} atoms, {iterations} iterations"
    return Bench(claim, contestants, "scikit-learn", 3)


# ---- a run ----


def benches(quick: bool) -> Iterator[Callable[[], Bench]]:
    """All that is timed."""
    for alpha in (1.0, 0.1, 0.01):
        yield partial(diabetes, alpha)
    for fraction in (0.1,) if quick else (0.2, 0.1, 0.05):
        yield partial(random_design, *((200, 500) if quick else (2000, 5000)), fraction)
    for algorithm in ("lasso_cd", "lasso_lars"):
        yield partial(encode, algorithm, *((200, 50) if quick else (2000, 100)))
    yield partial(dictionary, *((100, 20, 3) if quick else (500, 50, 20)))


def run(quick: bool, rounds: int, file: Path | None) -> int:
    """Measure everything, print it, write it. Returns the exit code."""
    to = report.console()
    to.print(report.heading(info.config()))
    measured = []
    with undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for make in benches(quick):
            measured.append(measure(make(), rounds))
            bench = measured[-1].bench
            ours = report.duration(spread(measured[-1].samples["schuss"]).median)
            to.print(f"{bench.claim}: {ours}; {report.ratio(measured[-1].ratio(bench.against))}", soft_wrap=True)
    findings = [m.finding() for m in measured]
    to.print(report.targets(findings, info.config()["num_threads"]))
    if file is not None:
        facts = {"machine": info.config(), "samples": {m.bench.claim: m.samples for m in measured}}
        file.write_text(json.dumps({**facts, "targets": [f.to_json() for f in findings]}, indent=1) + "\n")
    return 0 if all(math.isfinite(f.reached.value.median) for f in findings) else 1


def main(argv: Sequence[str]) -> int:
    """Run `schuss bench --suite coordinate` with the arguments that are left."""
    parser = argparse.ArgumentParser(prog="schuss bench --suite coordinate", description="Time coordinate descent.")
    parser.add_argument("--quick", action="store_true", help="small sizes: a smoke run")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each contestant; default: 5")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    arguments = parser.parse_args(argv)
    if not has("sklearn"):
        print("schuss bench: this suite needs scikit-learn: pip install scikit-learn", file=sys.stderr)
        return 1
    try:
        return run(arguments.quick, max(1, arguments.rounds), arguments.json)
    except ArithmeticError as error:
        print(f"schuss bench: {error}", file=sys.stderr)
        return 1
