"""A run of `schuss train`: one training for each optimizer, a checkpoint after each epoch, metrics and curves."""

from typing import Any

import threadpoolctl

from schuss.streams import Purpose, stream
from schuss.training import build, checkpoint, plots, report
from schuss.training.checkpoint import CheckpointError
from schuss.training.data import Split, load_digits
from schuss.training.options import Options
from schuss.training.progress import ProgressBar
from schuss.training.recurrent import gradients_by_step
from schuss.training.report import Result
from schuss.training.trainer import DivergenceError, EarlyStopping, Trainer, evaluate


def run(options: Options) -> tuple[dict[str, Result], bool]:
    """Train with every optimizer of `options`, and leave checkpoints, metrics and curves in its folder.

    From beginning to end there is a valid checkpoint of every training. Ctrl-C ends the run, not this function.

    Returns:
        The results by optimizer, and whether the run was interrupted.

    Raises:
        CheckpointError: A training cannot be resumed. None has been begun then.
        InitializationError: The network cannot be initialized. Nothing has been written then.
        OSError: The folder cannot be written.
    """
    split = load_digits(stream(options.seed, Purpose.SPLIT), options.dtype)
    trainings = [Training(optimizer, split, options) for optimizer in options.optimizers]
    if not options.resume:
        options.out.mkdir(parents=True, exist_ok=True)
    for training in trainings:
        training.load() if options.resume else training.save()
    # Products this small gain nothing from threads, and a BLAS whose threads spin while they wait takes the cores away
    # from the optimizer. With one thread their bits do not depend on the number of cores either.
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        interrupted = train_all(trainings, options.epochs)
        results = {training.optimizer: training.result() for training in trainings if training.has_begun()}
    checkpoint.write_atomically(options.out / "metrics.json", report.metrics(results))
    if results:
        checkpoint.write_atomically(options.out / "curves.png", plots.curves(results))
    return results, interrupted


def train_all(trainings: list["Training"], epochs: int) -> bool:
    """Train one after the other; returns whether Ctrl-C put an end to it."""
    try:
        with ProgressBar(epochs) as progress:
            for training in trainings:
                training.train(progress)
    except KeyboardInterrupt:
        return True
    return False


class Training:
    """The training with one optimizer, and its checkpoint.

    Attributes:
        prepared: Whether the network has learned what comes before its task. That begins anew if it is interrupted.

    Args:
        optimizer: Its name in `RECIPES`.
        split: The data, all of it.
        options: The options of the run.
    """

    def __init__(self, optimizer: str, split: Split, options: Options) -> None:
        self.optimizer, self.split, self.options = optimizer, split, options
        self.task = build.task(split, options)
        self.path = options.out / f"{optimizer}.safetensors"
        self.diverged: str | None = None
        self.prepared = options.lessons() == 0
        self.network = build.network(options, self.task.training)
        self.trainer = self._trainer()

    def _trainer(self) -> Trainer:
        """A trainer of the network as it is."""
        options, minibatches = self.options, build.minibatches(self.options, self.task.training)
        return Trainer(
            self.network,
            build.optimizer(options, self.optimizer, self.network.params, len(minibatches)),
            minibatches,
            self.task.validation,
            EarlyStopping(options.effective_patience(), options.min_delta),
            averaged=options.average is not None,
        )

    def save(self) -> None:
        """Write the checkpoint."""
        arrays, facts = self.trainer.snapshot()
        checkpoint.save(self.path, arrays, {**self._facts(), **facts})

    def _facts(self) -> dict[str, Any]:
        return {"options": self.options.decisive(self.optimizer), "prepared": self.prepared}

    def load(self) -> None:
        """Go to where the checkpoint was written.

        Raises:
            CheckpointError: It is missing, damaged, of another training, or beyond the epochs asked for.
        """
        try:
            arrays, facts = checkpoint.load(self.path)
            self._check(facts["options"])
            self.trainer.load(arrays, facts)
            self.prepared = facts["prepared"]
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path} is damaged: {error}") from None
        done = self.trainer.epoch
        if done > self.options.epochs:
            raise CheckpointError(f"{self.path} has {done} epochs already, got --epochs {self.options.epochs}")

    def _check(self, saved: dict[str, Any]) -> None:
        for name, value in self.options.decisive(self.optimizer).items():
            if saved[name] == value:
                continue
            if saved[name] is None or value is None:
                had, has = (f"--{name} {v}" if v is not None else f"no --{name}" for v in (saved[name], value))
                raise CheckpointError(f"{self.path} was made with {had}, got {has}")
            if isinstance(value, bool):
                raise CheckpointError(f"{self.path} was made with{'' if saved[name] else 'out'} --{name}")
            raise CheckpointError(f"{self.path} was made with --{name} {saved[name]}, got {value}")

    def train(self, progress: ProgressBar) -> None:
        """Prepare the network if need be, and train it, with a checkpoint after every epoch."""

        def after_epoch() -> None:
            self.save()
            progress.show(self.optimizer, self.trainer)

        try:
            if not self.prepared:
                self._prepare(progress)
            self.trainer.train(self.options.epochs, after_epoch)
        except DivergenceError as error:
            self.diverged = str(error)

    def _prepare(self, progress: ProgressBar) -> None:
        def after_epoch(stage: str, epoch: int, loss: float) -> None:
            progress.show_lesson(f"{self.optimizer}: {stage}", epoch, self.options.lessons(), loss)

        build.prepare(self.options, self.optimizer, self.network, self.split, after_epoch)
        self.trainer, self.prepared = self._trainer(), True
        self.save()

    def has_begun(self) -> bool:
        """Whether there is anything to tell about it."""
        return self.trainer.epoch > 0 or self.diverged is not None

    def result(self) -> Result:
        """The result as of the checkpoint: an epoch that was interrupted or diverged does not count."""
        self.load()
        trainer, stopping = self.trainer, self.trainer.stopping
        test_loss, test_accuracy, memory = None, None, None
        if stopping.kept:
            network = trainer.network.at(stopping.kept)
            test_loss, test_accuracy = evaluate(network, self.task.test)
            memory = gradients_by_step(network, self.task.validation)
        return Result(
            test_accuracy=test_accuracy,
            test_loss=test_loss,
            outcome=self._outcome(),
            epochs=trainer.epoch,
            best_epoch=stopping.best_epoch,
            best_validation_loss=stopping.best_loss,
            seconds=trainer.seconds,
            options=self.options.decisive(self.optimizer),
            history=trainer.history,
            gradient_by_step=memory,
        )

    def _outcome(self) -> str:
        if self.diverged:
            return self.diverged
        if self.trainer.stopping.is_due(self.trainer.epoch):
            return "early stop"
        return "finished" if self.trainer.epoch == self.options.epochs else "interrupted"
