"""scikit-learn's digits, split in three, and minibatches of them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

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


class Minibatches:
    """The training set in minibatches, shuffled anew in each epoch.

    Args:
        examples: The training set.
        batch_size: The number of examples in a minibatch; the last one of an epoch takes what is left.
        rng: Shuffles. Its state between two epochs determines all minibatches to come.
        least: The fewest examples that are a minibatch; if fewer are left, they join the one before.
    """

    def __init__(self, examples: Examples, batch_size: int, rng: np.random.Generator, least: int = 1) -> None:
        self.examples, self.batch_size, self.rng, self.least = examples, batch_size, rng, least

    def __iter__(self) -> Iterator[Examples]:
        """One epoch."""
        order = self.rng.permutation(len(self.examples.y))
        starts = range(0, max(1, len(order) - self.least + 1), self.batch_size)
        for chosen in np.split(order, starts[1:]):
            yield Examples(self.examples.x[chosen], self.examples.y[chosen])
