"""scikit-learn's digits, split in three, parts of them, and how hard they are."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from schuss.continuation import Curriculum
from schuss.data import Minibatches
from schuss.training.layers import Array

INPUTS = 64  # 8 × 8 pixels
CLASSES = 10
FRACTIONS = (0.75, 0.1, 0.15)  # of the examples, for training, validation and test


class Examples(NamedTuple):
    """Examples, one a row of `x`, and their labels."""

    x: Array
    y: Array


class Split(NamedTuple):
    """Examples to train with, to validate with after every epoch, and to test with at the end."""

    training: Examples
    validation: Examples
    test: Examples


def load_digits(rng: np.random.Generator, dtype: str) -> Split:
    """The 1797 handwritten digits, standardized by what the training set alone tells.

    Each pixel's mean is subtracted. All pixels are divided by the same deviation: some are nearly always blank, and
    to magnify these would be to magnify chance.

    Args:
        rng: Draws the split.
        dtype: The dtype of the pixels.
    """
    import sklearn.datasets

    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    parts = stratified(labels, FRACTIONS, rng)
    training = pixels[parts[0]]
    x = ((pixels - training.mean(axis=0)) / training.std()).astype(dtype)
    return Split(*(Examples(x[part], labels[part]) for part in parts))


def stratified(labels: Array, fractions: tuple[float, ...], rng: np.random.Generator) -> list[Array]:
    """The indices of random parts of the examples, in all of which each class has the same share.

    Args:
        labels: The label of each example.
        fractions: The size of each part; they add up to 1.
        rng: Draws which example goes into which part.
    """
    parts: list[list[Array]] = [[] for _ in fractions]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.rint(np.cumsum(fractions[:-1]) * len(members)).astype(int)
        for part, chosen in zip(parts, np.split(members, cuts), strict=True):
            part.append(chosen)
    return [np.concatenate(part) for part in parts]


def of_classes(examples: Examples, first: int, last: int) -> Examples:
    """The examples with labels from `first` to `last`, labelled anew from 0 on."""
    chosen = (first <= examples.y) & (examples.y <= last)
    return Examples(examples.x[chosen], examples.y[chosen] - first)


def difficulty(examples: Examples) -> Array:
    """How hard each example is: how much nearer it is to the mean of another class than to that of its own.

    Formula: ‖x - mean of its class‖ - the least ‖x - mean of another class‖; below 0 where the nearest mean is right.
    """
    labels = np.unique(examples.y)
    x = examples.x.astype(np.float64)
    means = np.stack([x[examples.y == label].mean(axis=0) for label in labels])
    distances = np.linalg.norm(x[:, None] - means, axis=2)
    own = labels == examples.y[:, None]
    score: Array = distances[own] - np.where(own, np.inf, distances).min(axis=1)
    return score


class PacedMinibatches:
    """Minibatches of the examples that a curriculum has for each epoch.

    Attributes:
        epoch: The number of epochs completed.

    Args:
        examples: The training set.
        batch_size: The number of examples in a minibatch.
        curriculum: Which of them to take, and in which order.
        least: The fewest examples that are a minibatch.
    """

    def __init__(self, examples: Examples, batch_size: int, curriculum: Curriculum, least: int = 1) -> None:
        self.examples, self.batch_size, self.curriculum, self.least = examples, batch_size, curriculum, least
        self.epoch = 0

    def __len__(self) -> int:
        """The number of minibatches in an epoch with all examples."""
        return len(self._of(np.arange(len(self.examples.y))))

    def __iter__(self) -> Iterator[Examples]:
        """The minibatches of an epoch."""
        yield from self._of(self.curriculum.indices(self.epoch))
        self.epoch += 1

    def _of(self, chosen: Array) -> Minibatches:
        examples = Examples(self.examples.x[chosen], self.examples.y[chosen])
        return Minibatches(examples, self.batch_size, order="stream", least=min(self.least, len(chosen)))

    def state_dict(self) -> dict[str, Any]:
        """Where it stands between two epochs."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where `state_dict` was taken."""
        self.epoch = state["epoch"]
