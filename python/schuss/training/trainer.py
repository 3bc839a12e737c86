"""The training loop: minibatch gradient descent with early stopping."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import schuss
from schuss.data import Minibatches
from schuss.diagnostics.norms import norm
from schuss.training.data import Examples, PacedMinibatches
from schuss.training.layers import Array
from schuss.training.loss import accuracy, softmax_cross_entropy
from schuss.training.network import Network

Arrays = dict[str, dict[str, Array]]  # by part and by name

CURVES = ("training_loss", "validation_loss", "validation_accuracy", "gradient_norm")


class DivergenceError(ArithmeticError):
    """The loss or the gradient is not a finite number any more."""


class EarlyStopping:
    """Keeps the network's state with the lowest validation loss (Deep Learning, algorithm 7.1).

    Attributes:
        best_epoch: The epoch with the lowest validation loss; 0 if there is none yet.
        best_loss: That loss.
        kept: The state to end with: the best one or, without patience, the latest.
        gain_epoch: The epoch of the latest gain that counts.
        gain_loss: Its loss.

    Args:
        patience: How many epochs to go on without a gain; None to go on to the end.
        min_delta: By how much a loss must be lower than at the latest gain to be one.
    """

    def __init__(self, patience: int | None, min_delta: float = 0.0) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best_epoch = self.gain_epoch = 0
        self.best_loss: float | None = None
        self.gain_loss: float | None = None
        self.kept: dict[str, Array] = {}

    def observe(self, epoch: int, loss: float, state: dict[str, Array]) -> None:
        """Take note of the validation loss after an epoch, and keep `state` if it is the lowest so far."""
        lowest = self.best_loss is None or loss < self.best_loss
        if lowest:
            self.best_epoch, self.best_loss = epoch, loss
        if lowest or self.patience is None:
            self.kept = state
        if self.gain_loss is None or loss < self.gain_loss - self.min_delta:
            self.gain_epoch, self.gain_loss = epoch, loss

    def is_due(self, epoch: int) -> bool:
        """Whether to stop after `epoch`."""
        return self.patience is not None and epoch - self.gain_epoch >= self.patience

    def facts(self) -> dict[str, Any]:
        """What `load` needs beside the kept state."""
        return {name: getattr(self, name) for name in ("best_epoch", "best_loss", "gain_epoch", "gain_loss")}

    def load(self, facts: Mapping[str, Any], kept: dict[str, Array]) -> None:
        """Go on from `facts` and the state kept at their time."""
        self.best_epoch, self.best_loss = facts["best_epoch"], facts["best_loss"]
        self.gain_epoch, self.gain_loss = facts["gain_epoch"], facts["gain_loss"]
        self.kept = kept


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
        stopping: When to stop, and what to keep.
        averaged: Whether it is the optimizer's average of the parameters that is validated and kept.
    """

    def __init__(
        self,
        network: Network,
        optimizer: schuss.Optimizer,
        minibatches: Minibatches | PacedMinibatches,
        validation: Examples,
        stopping: EarlyStopping,
        averaged: bool = False,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.minibatches, self.validation = minibatches, validation
        self.stopping, self.averaged = stopping, averaged
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
                training_loss, gradient_norm = train_epoch(self.network, self.optimizer, self.minibatches)
                network = self.network.at(self.learned())
                validation_loss, validation_accuracy = evaluate(network, self.validation)
            curves = (training_loss, validation_loss, validation_accuracy, gradient_norm)
            if not all(map(math.isfinite, curves)):
                raise DivergenceError(f"diverged at epoch {self.epoch + 1}")
            for name, value in zip(CURVES, curves, strict=True):
                self.history[name].append(value)
            self.stopping.observe(self.epoch, validation_loss, network.state)
            self.seconds += time.perf_counter() - start
            after_epoch()

    def learned(self) -> dict[str, Array]:
        """The parameters to judge the network by, which need not be those where gradients are taken."""
        learned: dict[str, Array] = self.optimizer.average() if self.averaged else self.optimizer.theta()
        return learned

    # ---- saving and loading ----

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        """What `load` needs: arrays in named parts, and facts that JSON can say. Valid until the next epoch begins."""
        optimizer = self.optimizer.state_dict()
        arrays = {"network": self.network.state, "optimizer": optimizer.pop("state"), "kept": self.stopping.kept}
        facts = {
            "optimizer": optimizer,
            "minibatches": self.minibatches.state_dict(),
            "history": self.history,
            "stopping": self.stopping.facts(),
            "seconds": self.seconds,
        }
        return arrays, facts

    def load(self, arrays: Arrays, facts: Mapping[str, Any]) -> None:
        """Go to where a `snapshot` was taken, to continue from there bit for bit."""
        for name, array in self.network.state.items():
            array[...] = arrays["network"][name]
        self.optimizer.load_state_dict({**facts["optimizer"], "state": arrays["optimizer"]})
        self.minibatches.load_state_dict(facts["minibatches"])
        self.history = {name: list(facts["history"][name]) for name in CURVES}
        self.stopping.load(facts["stopping"], arrays["kept"])
        self.seconds = facts["seconds"]


def train_epoch(
    network: Network,
    optimizer: schuss.Optimizer,
    minibatches: Iterable[Examples],
    loss: Callable[[Array, Array], tuple[float, Array]] = softmax_cross_entropy,
) -> tuple[float, float]:
    """Train on all minibatches once; returns the mean loss of the examples and the mean gradient norm."""
    losses, gradient_norms, count = [], [], 0
    for x, y in minibatches:
        value, dy = loss(network.forward(x), y)
        network.backward(dy)
        grads = network.grads
        optimizer.step(grads)
        losses.append(value * len(y))
        gradient_norms.append(norm(grads))
        count += len(y)
    return math.fsum(losses) / count, math.fsum(gradient_norms) / len(gradient_norms)


def evaluate(network: Network, examples: Examples) -> tuple[float, float]:
    """The loss and the accuracy of a network on some examples."""
    logits = network.forward(examples.x)
    return softmax_cross_entropy(logits, examples.y)[0], accuracy(logits, examples.y)
