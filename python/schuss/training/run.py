"""A run of `schuss train`: one training for each optimizer, a checkpoint after each epoch, metrics and curves."""

from typing import Any

import numpy as np
import threadpoolctl

from schuss.training import checkpoint, plots, report
from schuss.training.checkpoint import CheckpointError
from schuss.training.data import CLASSES, INPUTS, Minibatches, Split, load_digits
from schuss.training.network import multi_layer_perceptron
from schuss.training.options import Options
from schuss.training.progress import ProgressBar
from schuss.training.recipes import RECIPES
from schuss.training.report import Result
from schuss.training.trainer import DivergenceError, Trainer, evaluate


def run(options: Options) -> tuple[dict[str, Result], bool]:
    """Train with every optimizer of `options`, and leave checkpoints, metrics and curves in its folder.

    From beginning to end there is a valid checkpoint of every training. Ctrl-C ends the run, not this function.

    Returns:
        The results by optimizer, and whether the run was interrupted.

    Raises:
        CheckpointError: A training cannot be resumed. None has been begun then.
        OSError: The folder cannot be written.
    """
    if not options.resume:
        options.out.mkdir(parents=True, exist_ok=True)
    split = load_digits(np.random.default_rng(options.seed), options.dtype)
    trainings = [Training(optimizer, split, options) for optimizer in options.optimizers]
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

    Args:
        optimizer: Its name in `RECIPES`.
        split: The data.
        options: The options of the run.
    """

    def __init__(self, optimizer: str, split: Split, options: Options) -> None:
        self.optimizer, self.split, self.options = optimizer, split, options
        self.path = options.out / f"{optimizer}.safetensors"
        self.diverged: str | None = None
        weights, shuffling = np.random.default_rng(options.seed).spawn(2)
        network = multi_layer_perceptron(
            (INPUTS, *options.hidden, CLASSES), weights, options.dtype, batch_norm=options.batch_norm
        )
        recipe, lr = RECIPES[optimizer], options.learning_rate(optimizer)
        self.trainer = Trainer(
            network,
            recipe.optimizer(network.params, lr, num_threads=options.threads, **recipe.hyper),
            Minibatches(split.training, options.batch_size, shuffling, least=options.least_batch()),
            split.validation,
            options.patience,
        )

    def save(self) -> None:
        """Write the checkpoint."""
        arrays, facts = self.trainer.snapshot()
        checkpoint.save(self.path, arrays, {"options": self.options.decisive(self.optimizer), **facts})

    def load(self) -> None:
        """Go to where the checkpoint was written.

        Raises:
            CheckpointError: It is missing, damaged, of another training, or beyond the epochs asked for.
        """
        try:
            arrays, facts = checkpoint.load(self.path)
            self._check(facts["options"])
            self.trainer.load(arrays, facts)
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
            if isinstance(value, bool):
                raise CheckpointError(f"{self.path} was made with{'' if saved[name] else 'out'} --{name}")
            raise CheckpointError(f"{self.path} was made with --{name} {saved[name]}, got {value}")

    def train(self, progress: ProgressBar) -> None:
        """Train, with a checkpoint after every epoch."""

        def after_epoch() -> None:
            self.save()
            progress.show(self.optimizer, self.trainer)

        try:
            self.trainer.train(self.options.epochs, after_epoch)
        except DivergenceError as error:
            self.diverged = str(error)

    def has_begun(self) -> bool:
        """Whether there is anything to tell about it."""
        return self.trainer.epoch > 0 or self.diverged is not None

    def result(self) -> Result:
        """The result as of the checkpoint: an epoch that was interrupted or diverged does not count."""
        self.load()
        trainer, best = self.trainer, self.trainer.stopping
        test_loss, test_accuracy = None, None
        if best.best_state:
            test_loss, test_accuracy = evaluate(trainer.network.at(best.best_state), self.split.test)
        return Result(
            test_accuracy=test_accuracy,
            test_loss=test_loss,
            outcome=self._outcome(),
            epochs=trainer.epoch,
            best_epoch=best.best_epoch,
            best_validation_loss=best.best_loss,
            seconds=trainer.seconds,
            options=self.options.decisive(self.optimizer),
            history=trainer.history,
        )

    def _outcome(self) -> str:
        if self.diverged:
            return self.diverged
        if self.trainer.stopping.is_due(self.trainer.epoch):
            return "early stop"
        return "finished" if self.trainer.epoch == self.options.epochs else "interrupted"
