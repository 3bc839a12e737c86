"""The training loop: minibatch gradient descent with early stopping."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import schuss
from schuss.training.data import Examples, Minibatches
from schuss.training.layers import Array
from schuss.training.loss import accuracy, softmax_cross_entropy
from schuss.training.network import Network

Arrays = dict[str, dict[str, Array]]  # by part and by name

CURVES = ("training_loss", "validation_loss", "validation_accuracy", "gradient_norm")


class DivergenceError(ArithmeticError):
    """The loss or the gradient is not a finite number any more."""


class EarlyStopping:
    """Keeps the network's state with the lowest validation loss (Deep Learning, algorithm 7.1).

    Args:
        patience: How many epochs to go on without a lower validation loss.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_epoch = 0  # none yet
        self.best_loss: float | None = None
        self.best_state: dict[str, Array] = {}

    def observe(self, epoch: int, loss: float, state: dict[str, Array]) -> None:
        """Take note of the validation loss after an epoch, and keep `state` if it is the lowest so far."""
        if self.best_loss is None or loss < self.best_loss:
            self.best_epoch, self.best_loss, self.best_state = epoch, loss, state

    def is_due(self, epoch: int) -> bool:
        """Whether to stop after `epoch`."""
        return epoch - self.best_epoch >= self.patience


class Trainer:
    """Trains a network by the gradients of minibatches (Deep Learning, algorithm 8.1).

    Attributes:
        history: The curves: for each name in `CURVES` one number an epoch.
        seconds: The time spent on training so far.

    Args:
        network: What to train.
        optimizer: Made for `network.params`.
        minibatches: The training set.
        validation: The examples for early stopping.
        patience: How many epochs to go on without a lower validation loss.
    """

    def __init__(
        self,
        network: Network,
        optimizer: schuss.Optimizer,
        minibatches: Minibatches,
        validation: Examples,
        patience: int,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.minibatches, self.validation = minibatches, validation
        self.stopping = EarlyStopping(patience)
        self.history: dict[str, list[float]] = {name: [] for name in CURVES}
        self.seconds = 0.0

    @property
    def epoch(self) -> int:
        """The number of epochs completed."""
        return len(self.history["training_loss"])

    def train(self, epochs: int, after_epoch: Callable[[], None]) -> None:
        """Train until `epochs` epochs are completed or early stopping is due.

        Raises:
            DivergenceError: In the epoch that would have been the next one.
        """
        while self.epoch < epochs and not self.stopping.is_due(self.epoch):
            start = time.perf_counter()
            with np.errstate(over="ignore", invalid="ignore"):  # divergence is looked for, not warned of
                training_loss, gradient_norm = self.train_epoch()
                # With Nesterov momentum network.params are where the next gradient is taken; theta is what is learned.
                network = self.network.at(self.optimizer.theta())
                validation_loss, validation_accuracy = evaluate(network, self.validation)
            curves = (training_loss, validation_loss, validation_accuracy, gradient_norm)
            if not all(map(math.isfinite, curves)):
                raise DivergenceError(f"diverged at epoch {self.epoch + 1}")
            for name, value in zip(CURVES, curves, strict=True):
                self.history[name].append(value)
            self.stopping.observe(self.epoch, validation_loss, network.state)
            self.seconds += time.perf_counter() - start
            after_epoch()

    def train_epoch(self) -> tuple[float, float]:
        """Train on all minibatches once; returns the mean loss of the examples and the mean gradient norm."""
        losses, norms = [], []
        for x, y in self.minibatches:
            loss, dlogits = softmax_cross_entropy(self.network.forward(x), y)
            self.network.backward(dlogits)
            self.optimizer.step(self.network.grads)
            losses.append(loss * len(y))
            norms.append(norm(self.network.grads))
        return math.fsum(losses) / len(self.minibatches.examples.y), math.fsum(norms) / len(norms)

    # ---- saving and loading ----

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        """What `load` needs: arrays in named parts, and facts that JSON can say. Valid until the next epoch begins."""
        optimizer = self.optimizer.state_dict()
        arrays = {"network": self.network.state, "optimizer": optimizer.pop("state"), "best": self.stopping.best_state}
        facts = {
            "optimizer": optimizer,
            "shuffling": self.minibatches.rng.bit_generator.state,
            "history": self.history,
            "best_epoch": self.stopping.best_epoch,
            "best_loss": self.stopping.best_loss,
            "seconds": self.seconds,
        }
        return arrays, facts

    def load(self, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        """Go to where a `snapshot` was taken, to continue from there bit for bit."""
        for name, array in self.network.state.items():
            array[...] = arrays["network"][name]
        self.optimizer.load_state_dict({**facts["optimizer"], "state": arrays["optimizer"]})
        self.minibatches.rng.bit_generator.state = facts["shuffling"]
        self.history = {name: list(facts["history"][name]) for name in CURVES}
        self.stopping.best_epoch, self.stopping.best_loss = facts["best_epoch"], facts["best_loss"]
        self.stopping.best_state = arrays["best"]
        self.seconds = facts["seconds"]


def evaluate(network: Network, examples: Examples) -> tuple[float, float]:
    """The loss and the accuracy of a network on some examples."""
    logits = network.forward(examples.x)
    return softmax_cross_entropy(logits, examples.y)[0], accuracy(logits, examples.y)


def norm(gradients: Mapping[str, Array]) -> float:
    """The Euclidean norm of all gradients taken as one vector."""
    return math.hypot(*(float(np.linalg.norm(g)) for g in gradients.values()))
