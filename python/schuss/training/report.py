"""What a run leaves to read: metrics as JSON, and a table."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import rich.box
import rich.console
import rich.table

VANISHED = 100.0  # the factor from which on a gradient is said to vanish or to explode


@dataclasses.dataclass(frozen=True)
class Result:
    """How a training with one optimizer went, field by field as in `metrics.json`.

    Attributes:
        test_accuracy: Of the parameters with the lowest validation loss, or without early stopping of the last ones;
            None if no epoch was completed.
        test_loss: Of the same.
        outcome: `"finished"`, `"early stop"`, `"interrupted"` or `"diverged at epoch …"`.
        epochs: The number of epochs completed.
        best_epoch: The epoch after which the validation loss was lowest; 0 if none was completed.
        best_validation_loss: That loss.
        seconds: The time for training and validation.
        options: The options that decided it.
        history: The curves, one number an epoch.
        gradient_by_step: Of a recurrent network, the norm of the loss's gradient for what it holds after each step.
    """

    test_accuracy: float | None
    test_loss: float | None
    outcome: str
    epochs: int
    best_epoch: int
    best_validation_loss: float | None
    seconds: float
    options: Mapping[str, Any]
    history: Mapping[str, list[float]]
    gradient_by_step: list[float] | None = None

    @property
    def diverged(self) -> bool:
        """Whether loss or gradient ceased to be finite."""
        return self.outcome.startswith("diverged")


def metrics(results: Mapping[str, Result]) -> bytes:
    """The contents of `metrics.json`: an object for each optimizer."""
    facts = {optimizer: dataclasses.asdict(result) for optimizer, result in results.items()}
    return (json.dumps(facts, indent=2, allow_nan=False) + "\n").encode()


def show(results: Mapping[str, Result]) -> None:
    """Print the results as a table, the lowest validation loss first."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("optimizer", no_wrap=True)
    for heading in ("lr", "epochs", "valid.\nloss", "test\naccuracy", "time", "per\nepoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome")
    for optimizer, result in sorted(results.items(), key=_rank):
        table.add_row(optimizer, *_cells(result))
    console = rich.console.Console()
    if not console.is_terminal:
        console.width = 120  # a file or a pipe has no width for the table to be squeezed into
    console.print(table)


def memory(result: Result) -> str | None:
    """What became of a recurrent network's gradient on its way back through time; None if there is none to tell of."""
    if not result.gradient_by_step or not result.gradient_by_step[-1]:
        return None
    first, last = result.gradient_by_step[0], result.gradient_by_step[-1]
    verdict = "vanishes" if first < last / VANISHED else "explodes" if first > last * VANISHED else "is kept"
    steps = len(result.gradient_by_step)
    return f"the gradient {verdict}: over {steps} steps back in time its norm goes from {last:.2g} to {first:.2g}"


def _rank(item: tuple[str, Result]) -> tuple[bool, float]:
    loss = item[1].best_validation_loss
    return item[1].diverged, math.inf if loss is None else loss


def _cells(result: Result) -> tuple[str, ...]:
    return (
        f"{result.options['lr']:g}",
        f"{result.epochs}",
        "-" if result.best_validation_loss is None else f"{result.best_validation_loss:.3g}",
        "-" if result.test_accuracy is None else f"{result.test_accuracy:.2%}",
        f"{result.seconds:.1f} s",
        f"{1000 * result.seconds / result.epochs:.1f} ms" if result.epochs else "-",
        result.outcome,
    )
