"""The norm of the gradient over time."""

import math
from typing import Any

import numpy as np

from schuss.data.standard_error import parts
from schuss.options import count


class GradientNorms:
    """Records the norm of the gradient at every step.

    It often grows all the while an optimization succeeds: then no critical point is what hinders it.

    Formula: ‖g‖ = √Σᵢgᵢ², over all elements of all arrays.

    Source: Deep Learning, section 8.2.1 and figure 8.1.

    State: `norms`, a list with a number for each step. An infinite or undefined norm is recorded as such.

    Args:
        every: Record every so many calls only, at least 1, default 1.

    Raises:
        TypeError: `every` is no integer.
        ValueError: `every` is less than 1.

    Example:
        >>> import numpy as np, schuss
        >>> norms = schuss.diagnostics.GradientNorms()
        >>> norms.record({"w": np.array([3.0, 0.0]), "b": np.array([4.0])})
        >>> norms.norms, norms.steps
        ([5.0], [0])
    """

    def __init__(self, every: int = 1) -> None:
        self.every = count("every", every, 1)
        self.calls = 0
        self.norms: list[float] = []

    @property
    def steps(self) -> list[int]:
        """The calls that were recorded, numbered from 0."""
        return [index * self.every for index in range(len(self.norms))]

    def record(self, gradients: Any) -> None:
        """Note the norm of the gradients of a step: an array, or a list or a dict of arrays."""
        if self.calls % self.every == 0:
            self.norms.append(norm(gradients))
        self.calls += 1


def norm(gradients: Any) -> float:
    """The Euclidean norm of an array, or of a list or a dict of arrays, taken as one vector."""
    return math.hypot(*(length(part) for part in parts(gradients)))


def length(array: Any) -> float:
    """The Euclidean norm of an array, in float64 and without overflow."""
    values = np.asarray(array)
    if values.dtype.kind not in "fiu" and values.dtype.name != "bfloat16":
        raise TypeError(f"gradients have dtype {values.dtype}, expected real numbers")
    values = values.astype(np.float64).ravel()
    largest = float(np.abs(values).max(initial=0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(values / largest))
