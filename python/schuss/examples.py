"""Functions on which methods show what they are for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.options import POSITIVE, POSITIVE_OR_ZERO, count, number
from schuss.streams import Purpose, check_seed, stream

__all__ = ["Valley"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Valley:
    """A valley across which gradient descent oscillates: its average is nearer to the bottom than its iterates are.

    Formula: f(x) = ½(a·x₀² + b·x₁²), g = (a·x₀, b·x₁) + ν·N(0, I). With the rate ε the first coordinate is multiplied
    by 1 - εa in each step: from ε = 1/a on it jumps to and fro.

    Source: Polyak and Juditsky 1992; Deep Learning, section 8.7.3.

    State: none; the noise is a function of seed and step.

    Args:
        steep: a in (0, ∞), default 100.
        flat: b in (0, ∞), default 1.
        noise: ν in [0, ∞), default 0.
        seed: Of the noise, an integer in [0, 2¹²⁸), default 0.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> valley, x, total = schuss.examples.Valley(), np.array([1.0, 1.0]), np.zeros(2)
        >>> opt = schuss.SGD([x], lr=0.0195)
        >>> for step in range(40):
        ...     opt.step([valley.gradient(x, step)])
        ...     total += x
        >>> valley(total / 40)[0] < valley(x)[0]
        True
    """

    steep: float = 100.0
    flat: float = 1.0
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("steep", POSITIVE), ("flat", POSITIVE), ("noise", POSITIVE_OR_ZERO)):
            object.__setattr__(self, name, number(name, getattr(self, name), allowed))
        object.__setattr__(self, "seed", check_seed(self.seed))

    def __call__(self, x: Array) -> tuple[float, Array]:
        """The value and the gradient without noise at x, of shape (2,)."""
        g = np.array([self.steep, self.flat], x.dtype) * x
        return float(x @ g) / 2, g

    def gradient(self, x: Array, step: int) -> Array:
        """The gradient at x with the noise of a step."""
        drawn = stream(self.seed, Purpose.NOISE, count("step", step, 0)).normal(0, self.noise, 2)
        noisy: Array = self(x)[1] + drawn.astype(x.dtype)
        return noisy
