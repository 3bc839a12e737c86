"""`schuss train --full-batch`: logistic regression on the breast cancer data, by the deterministic minimisers.

The objective is scikit-learn's: the sum of the negative log-likelihoods and half the squared norm of the weights, the
bias being free. It is strictly convex, so all methods end in the same minimum.
"""

import json
import time
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.progress
import rich.table

from schuss.minimizers import MinimizeResult
from schuss.minimizers.minimize import minimize
from schuss.streams import Purpose, stream
from schuss.training import checkpoint
from schuss.training.data import Examples, stratified
from schuss.training.layers import Array
from schuss.training.options import Options

GTOL = 1e-9

FRACTIONS = (0.75, 0.25)  # of the examples, for training and test


def load_breast_cancer(rng: np.random.Generator) -> tuple[Examples, Examples]:
    """The 569 examples for training and for test, each feature standardized by what the training set tells."""
    import sklearn.datasets

    x, labels = sklearn.datasets.load_breast_cancer(return_X_y=True)
    training, test = stratified(labels, FRACTIONS, rng)
    x = (x - x[training].mean(axis=0)) / x[training].std(axis=0)
    return Examples(x[training], labels[training]), Examples(x[test], labels[test])


class LogisticRegression:
    """The objective, a function of the weights and, as the last unknown, the bias.

    Args:
        examples: Their labels are 0 and 1.
        penalty: λ in ½λ‖w‖².
    """

    def __init__(self, examples: Examples, penalty: float = 1.0) -> None:
        self.x = np.column_stack([examples.x, np.ones(len(examples.y))])
        self.signs = 2.0 * examples.y - 1
        self.penalty = np.append(np.full(examples.x.shape[1], penalty), 0.0)

    def __call__(self, w: Array) -> tuple[float, Array]:
        """The value and the gradient."""
        margins = self.signs * (self.x @ w)
        f = np.logaddexp(0, -margins).sum() + self.penalty @ w**2 / 2
        return float(f), self.penalty * w - self.x.T @ (self.signs * wrong(margins))

    def hessian(self, w: Array) -> Array:
        """The matrix of second derivatives."""
        p = wrong(self.signs * (self.x @ w))
        hessian: Array = self.x.T * (p * (1 - p)) @ self.x + np.diag(self.penalty)
        return hessian


def wrong(margins: Array) -> Array:
    """The probability that the model gives to the other label: 1/(1 + exp(margin)), without overflow."""
    probability: Array = np.exp(-np.logaddexp(0, margins))
    return probability


def accuracy(w: Array, examples: Examples) -> float:
    """The part of the examples that the weights classify rightly."""
    return float(np.mean((examples.x @ w[:-1] + w[-1] > 0) == examples.y))


def run(options: Options) -> tuple[dict[str, dict[str, Any]], bool]:
    """Minimise with every optimizer of `options`, and leave metrics in its folder.

    Returns:
        The results by optimizer, and whether the run was interrupted.

    Raises:
        OSError: The folder cannot be written.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    training, test = load_breast_cancer(stream(options.seed, Purpose.SPLIT))
    results: dict[str, dict[str, Any]] = {}
    interrupted = False
    console = rich.console.Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description:8}"),
        rich.progress.BarColumn(bar_width=12),
        rich.progress.TextColumn("{task.completed}/{task.total}"),
        rich.progress.TextColumn("{task.fields[state]}"),
        rich.progress.TimeElapsedColumn(),
    )
    with rich.progress.Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        for method in options.optimizers:
            bar = bars.add_task(method, total=options.epochs, state="")
            results[method], interrupted = train(method, LogisticRegression(training), test, options, (bars, bar))
            if interrupted:
                break
    metrics = (json.dumps(results, indent=2, allow_nan=False) + "\n").encode()
    checkpoint.write_atomically(options.out / "metrics.json", metrics)
    return results, interrupted


def train(
    method: str,
    objective: LogisticRegression,
    test: Examples,
    options: Options,
    progress: tuple[rich.progress.Progress, rich.progress.TaskID],
) -> tuple[dict[str, Any], bool]:
    """One minimisation: what `metrics.json` says of it, and whether it was interrupted."""
    losses: list[float] = []
    bars, bar = progress

    def watch(intermediate_result: MinimizeResult) -> None:
        losses.append(float(intermediate_result.fun))
        bars.update(bar, completed=len(losses), state=f"loss {losses[-1]:.10g}")

    start = time.perf_counter()
    interrupted = False
    try:
        found = minimize(
            objective,
            np.zeros(objective.x.shape[1]),
            method=method,  # type: ignore[arg-type]
            jac=True,
            hess=objective.hessian,
            callback=watch,
            gtol=GTOL,
            maxiter=options.epochs,
            num_threads=options.threads,
        )
    except KeyboardInterrupt as error:
        found, interrupted = error.result, True  # type: ignore[attr-defined]
    return {
        "test_accuracy": accuracy(found.x, test),
        "loss": _known(found.fun),
        "gradient": _known(np.abs(found.jac).max()),
        "outcome": "interrupted" if interrupted else found.message,
        "converged": bool(found.success),
        "iterations": found.nit,
        "evaluations": found.nfev,
        "seconds": time.perf_counter() - start,
        "weights": found.x.tolist(),
        "history": {"loss": losses},
    }, interrupted


def _known(value: float) -> float | None:
    """The value, or None where the run was interrupted before there was one."""
    return float(value) if np.isfinite(value) else None


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print the results as a table."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("optimizer", no_wrap=True)
    for heading in ("iterations", "evaluations", "loss", "test\naccuracy", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome")
    for method, result in results.items():
        table.add_row(
            method,
            str(result["iterations"]),
            str(result["evaluations"]),
            "-" if result["loss"] is None else f"{result['loss']:.10f}",
            f"{result['test_accuracy']:.2%}",
            f"{1000 * result['seconds']:.1f} ms",
            result["outcome"],
        )
    console = rich.console.Console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)
