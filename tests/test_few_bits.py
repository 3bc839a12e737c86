"""Optimizers whose state is stored in few bits end with the loss of those that keep it in float32."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import schuss
from language import language_model, load_text
from schuss.data import Minibatches
from schuss.training.data import CLASSES, INPUTS, Examples, load_digits
from schuss.training.network import Network, multi_layer_perceptron
from schuss.training.trainer import evaluate, train_epoch

threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl keeps BLAS to one thread")

SEEDS = range(5)


def digits(rng: np.random.Generator) -> tuple[Network, Examples]:
    pytest.importorskip("sklearn", reason="scikit-learn has the digits")
    return multi_layer_perceptron((INPUTS, 32, CLASSES), rng, "float32"), load_digits(rng, "float32").training


def text(rng: np.random.Generator) -> tuple[Network, Examples]:
    examples, symbols = load_text()
    return language_model(symbols, 12, 64, rng, "float32"), examples


@dataclass(frozen=True)
class Training:
    """A network and what it learns, by an optimizer whose rate falls to a hundredth, for long enough to settle."""

    task: Callable[[np.random.Generator], tuple[Network, Examples]]
    epochs: int
    batch_size: int
    optimizer: Callable[..., schuss.Optimizer]
    lr: float
    weight_decay: float = 0.0

    def __str__(self) -> str:
        return f"{self.task.__name__}-{self.optimizer.__name__}"

    def loss(self, seed: int, storage: dict[str, Any]) -> float:
        """That of all examples at the end. `seed` decides the weights, the minibatches and the roundings."""
        network, examples = self.task(np.random.default_rng(seed))
        minibatches = Minibatches(examples, self.batch_size, order="shuffle_each_epoch", seed=seed, drop_last=True)
        steps = self.epochs * (len(examples.y) // self.batch_size)
        optimizer = self.optimizer(
            network.params,
            schuss.schedules.linear_decay(self.lr, steps),
            weight_decay=self.weight_decay,
            seed=seed,
            num_threads=1,
            **storage,
        )
        for _ in range(self.epochs):
            train_epoch(network, optimizer, minibatches)
        return evaluate(network, examples)[0]


TRAININGS = [
    Training(digits, 60, 64, schuss.Adam, 0.003, weight_decay=0.01),
    Training(digits, 60, 64, schuss.RMSProp, 0.003, weight_decay=0.01),
    Training(text, 2, 256, schuss.Adam, 0.01),
]


@cache
def losses(training: Training, **storage: Any) -> np.ndarray:
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        return np.array([training.loss(seed, storage) for seed in SEEDS])


def deviation(training: Training, **storage: Any) -> float:
    """By what part the mean loss over the seeds differs from that with the state in float32."""
    return losses(training, **storage).mean() / losses(training).mean() - 1


@pytest.mark.parametrize("training", TRAININGS, ids=str)
@pytest.mark.parametrize("state_dtype", ["bfloat16", "uint8"])
def test_the_final_loss_is_within_one_percent_of_that_with_float32(training, state_dtype):
    assert abs(deviation(training, state_dtype=state_dtype)) < 0.01


@pytest.mark.parametrize("training", [t for t in TRAININGS if t.optimizer is schuss.Adam], ids=str)
def test_it_is_not_with_second_moments_rounded_to_the_nearest(training):
    assert abs(deviation(training, state_dtype="uint8", rounding="nearest")) > 0.01
