"""What a training run can be asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schuss.training.recipes import RECIPES


@dataclass(frozen=True)
class Options:
    """The options of `schuss train`, with their defaults.

    Attributes:
        optimizers: The optimizers to train with, one after the other, each from the same initial weights.
        epochs: How often to go through the training set, at most.
        batch_size: The number of examples in a minibatch.
        lr: The learning rate; None for the one in the optimizer's recipe.
        seed: Determines the split, the initial weights and the shuffling.
        dtype: The dtype of data and parameters.
        hidden: The widths of the hidden layers.
        batch_norm: Whether the hidden layers are normalized over the minibatch.
        patience: How many epochs to go on without a lower validation loss.
        threads: The number of threads of the optimizer. A network this small gains nothing from a second one.
        out: The folder for checkpoints and report.
        resume: Whether to continue from the checkpoints in `out`.
        full_batch: Whether to minimise the loss of the whole training set at once, with a minimiser; an epoch is an
            iteration then.
    """

    optimizers: tuple[str, ...] = ("adam",)
    epochs: int = 100
    batch_size: int = 32
    lr: float | None = None
    seed: int = 0
    dtype: str = "float32"
    hidden: tuple[int, ...] = (512,)
    batch_norm: bool = False
    patience: int = 10
    threads: int = 1
    out: Path = Path("schuss-train")
    resume: bool = False
    full_batch: bool = False

    def learning_rate(self, optimizer: str) -> float:
        """The learning rate for one of the optimizers."""
        return RECIPES[optimizer].lr if self.lr is None else self.lr

    def least_batch(self) -> int:
        """The fewest examples that are a minibatch: one has no variance to normalize by."""
        return 2 if self.batch_norm else 1

    def widths(self) -> str:
        """The widths of the hidden layers, as on the command line."""
        return ",".join(map(str, self.hidden))

    def decisive(self, optimizer: str) -> dict[str, Any]:
        """The options that decide what the epochs of an optimizer are like, by their names on the command line.

        A training can only be resumed with the same. The number of epochs, the threads and the folder may differ.
        """
        return {
            "optimizer": optimizer,
            "lr": self.learning_rate(optimizer),
            "batch-size": self.batch_size,
            "seed": self.seed,
            "dtype": self.dtype,
            "hidden": self.widths(),
            "batch-norm": self.batch_norm,
            "patience": self.patience,
        }
