"""What a training run can be asked to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schuss import init
from schuss.training.recipes import RECIPES

INITS = (*(name.replace("_", "-") for name in init.SCHEMES), "lsuv")
BIAS_INITS = ("zeros", "constant", "log-odds")
SCHEDULES = ("constant", "linear", "inverse-time", "step", "exponential", "cosine")
MOMENTUM_SCHEDULES = ("linear", "ramp")
AVERAGES = ("ema", "uniform")
ORDERS = ("shuffle-each-epoch", "shuffle-once", "stream")
CURRICULA = ("naive", "mixed", "combined")

PATIENCE = 10
AVERAGE_DECAY = 0.999
CURRICULUM_EPOCHS = 10


@dataclass(frozen=True)
class Options:
    """The options of `schuss train`, with their defaults. What an option is for, its help says.

    Attributes:
        optimizers: The optimizers to train with, one after the other, each from the same initial weights.
        epochs: How often to go through the training set, at most.
        batch_size: The number of examples in a minibatch.
        order: In which order the examples come, one of `ORDERS`.
        lr: The learning rate; None for the one in the optimizer's recipe.
        schedule: How the learning rate changes from epoch to epoch, one of `SCHEDULES`.
        warmup: Over how many epochs the learning rate rises from near 0.
        momentum_schedule: How the momentum is raised, one of `MOMENTUM_SCHEDULES`; None if it is constant.
        average: Which average of the parameters is validated and kept, one of `AVERAGES`; None for the latest.
        average_decay: The decay of the average "ema"; None for `AVERAGE_DECAY`.
        clip_norm: The greatest norm of a minibatch's gradient; None if there is none.
        clip_value: The greatest absolute value in it; None if there is none.
        early_stopping: Whether to stop when the validation loss does not fall any more, and to keep the best weights.
        patience: How many epochs to go on without a lower validation loss; None for `PATIENCE`.
        min_delta: By how much lower it has to be.
        seed: Determines the split, the initial weights and the shuffling.
        dtype: The dtype of data and parameters.
        hidden: The widths of the hidden layers.
        depth: The number of dense layers, with hidden ones of one width; None if `hidden` has them all.
        residual: Whether there are skip connections around every two hidden layers.
        recurrent: Whether a recurrent layer reads the pixels one by one.
        recurrent_gain: The λ of its initial weights; None for 1.
        batch_norm: Whether the hidden layers are normalized over the minibatch.
        init: How weights are drawn, one of `INITS`.
        bias_init: What biases begin with, one of `BIAS_INITS`.
        pretrain: For how many epochs each hidden layer is pretrained; None for no pretraining.
        transfer: For how many epochs the digits 0 to 4 are learned before 5 to 9; None to learn all digits at once.
        hints: For how many epochs teacher and student learn before the student is alone; None for no teacher.
        curriculum: How easy examples come first, one of `CURRICULA`; None if they do not.
        threads: The number of threads of the optimizer. A network this small gains nothing from a second one.
        out: The folder for checkpoints and report.
        resume: Whether to continue from the checkpoints in `out`.
        full_batch: Whether to minimise the loss of the whole training set at once, with a minimiser; an epoch is an
            iteration then.
    """

    optimizers: tuple[str, ...] = ("adam",)
    epochs: int = 100
    batch_size: int = 32
    order: str = "shuffle-each-epoch"
    lr: float | None = None
    schedule: str = "constant"
    warmup: int = 0
    momentum_schedule: str | None = None
    average: str | None = None
    average_decay: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    early_stopping: bool = True
    patience: int | None = None
    min_delta: float = 0.0
    seed: int = 0
    dtype: str = "float32"
    hidden: tuple[int, ...] = (512,)
    depth: int | None = None
    residual: bool = False
    recurrent: bool = False
    recurrent_gain: float | None = None
    batch_norm: bool = False
    init: str = "he-normal"
    bias_init: str = "zeros"
    pretrain: int | None = None
    transfer: int | None = None
    hints: int | None = None
    curriculum: str | None = None
    threads: int = 1
    out: Path = Path("schuss-train")
    resume: bool = False
    full_batch: bool = False

    def learning_rate(self, optimizer: str) -> float:
        """The learning rate for one of the optimizers, before any schedule."""
        return RECIPES[optimizer].lr if self.lr is None else self.lr

    def least_batch(self) -> int:
        """The fewest examples that are a minibatch: one has no variance to normalize by, and a few have a poor one."""
        return max(2, self.batch_size // 2) if self.batch_norm else 1

    def layers(self) -> tuple[int, ...]:
        """The widths of all hidden layers."""
        return self.hidden if self.depth is None else self.hidden * (self.depth - 1)

    def effective_patience(self) -> int | None:
        """The patience of early stopping; None without it."""
        if not self.early_stopping:
            return None
        return PATIENCE if self.patience is None else self.patience

    def lessons(self) -> int:
        """For how many epochs a network is prepared in each stage; 0 if it is not."""
        return self.pretrain or self.transfer or self.hints or 0

    def scheduled(self, optimizer: str) -> bool:
        """Whether the learning rate of an optimizer changes."""
        return (self.schedule != "constant" or self.warmup > 0) and RECIPES[optimizer].schedulable("lr")

    def decisive(self, optimizer: str) -> dict[str, Any]:
        """The options that decide what the epochs of an optimizer are like, by their names on the command line.

        A training can only be resumed with the same. The threads and the folder may differ, and so may the number of
        epochs, unless schedules are laid out over it.
        """
        plain = ["batch_size", "order", "schedule", "warmup", "average", "average_decay", "clip_norm", "clip_value"]
        plain += ["early_stopping", "min_delta", "seed", "dtype", "residual", "recurrent", "recurrent_gain"]
        plain += ["batch_norm", "init", "bias_init", "pretrain", "transfer", "hints", "curriculum"]
        decisive = {
            "optimizer": optimizer,
            "lr": self.learning_rate(optimizer),
            "hidden": joined(self.layers()),
            "patience": self.effective_patience(),
            "momentum-schedule": self.momentum_schedule if RECIPES[optimizer].schedulable("momentum") else None,
            **{flag(name): getattr(self, name) for name in plain},
        }
        if self.scheduled(optimizer) or decisive["momentum-schedule"] == "linear":
            decisive["epochs"] = self.epochs
        return decisive


def flag(name: str) -> str:
    """The name of an attribute of `Options` on the command line, without the dashes in front."""
    return {"optimizers": "optimizer"}.get(name, name.replace("_", "-"))


def joined(widths: Sequence[int]) -> str:
    """Widths as on the command line."""
    return ",".join(map(str, widths))
