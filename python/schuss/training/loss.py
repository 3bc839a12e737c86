"""The loss to train with, and what to judge a network by."""

import numpy as np

from schuss.training.layers import Array


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """The mean negative log-likelihood of the labels under softmax(logits), and its gradient.

    It stands in for the error rate, which has no useful gradient (Deep Learning, section 8.1.2).

    Args:
        logits: Shape (n, classes).
        labels: Shape (n,), integers in [0, classes).

    Returns:
        The loss; and its gradient with respect to the logits, (softmax(logits) - onehot(labels))/n.
    """
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)  # softmax stays the same, and exp cannot overflow
    exps = np.exp(shifted)
    sums = exps.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(sums[:, 0]) - shifted[rows, labels])
    gradient = exps / sums
    gradient[rows, labels] -= 1
    gradient /= len(labels)
    return float(loss), gradient


def accuracy(logits: Array, labels: Array) -> float:
    """The fraction of examples whose label has the greatest logit."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def half_squared_error(outputs: Array, targets: Array) -> tuple[float, Array]:
    """Half the squared error, averaged over all outputs of all examples, and its gradient.

    Args:
        outputs: Shape (n, units).
        targets: The same.
    """
    error = outputs - targets
    return float(np.mean(error**2)) / 2, error / error.size
