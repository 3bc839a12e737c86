"""Curriculum learning: examples from easy to hard."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from schuss.options import UNIT, Interval, count, number
from schuss.streams import Purpose, check_seed, stream

Array = NDArray[Any]

Strategy = Literal["naive", "mixed", "combined"]

STRATEGIES = ("naive", "mixed", "combined")

SHARE = Interval(0, 1, open=True, closed=True)

PACINGS: dict[str, Callable[[float, float], float]] = {
    "linear": lambda start, t: start + (1 - start) * t,
    "root": lambda start, t: math.sqrt(start**2 + (1 - start**2) * t),
    "geometric": lambda start, t: start ** (1 - t),
}


class Curriculum:
    """The examples of each epoch: at first easy ones, at last all.

    Formula: epoch e has the share λ = pacing(e/(epochs - 1)) of the n examples, m = ⌈λn⌉ of them:
        naive       the m easiest ones
        mixed       any m, whatever their difficulty
        combined    B(m, `mix`) of them any, the others the easiest ones that are left: difficult examples are always
                    among them, and on average more and more
    Pacings from s = `start`: linear s + (1 - s)t; root √(s² + (1 - s²)t); geometric s^(1 - t).

    Source: Bengio et al. 2009; Zaremba and Sutskever 2014, section 6 (the strategies, there for generated examples);
    Platanios et al. 2019 (root); Deep Learning, section 8.7.6.

    State: none; seed and epoch determine everything.

    Args:
        difficulty: A score for each example, the greater the harder: n finite numbers. Equal ones stay in their order.
        epochs: In how many epochs the share reaches 1, at least 1.
        seed: An integer in [0, 2¹²⁸).
        strategy: "naive" (default), "mixed" or "combined".
        pacing: "linear" (default), "root", "geometric", or a function of t in [0, 1] that gives λ in [0, 1].
        start: s in (0, 1], λ at the beginning, default 0.2; for the pacings by name.
        mix: In [0, 1], default 0.2; for "combined".

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or a pacing function gives a share that is.

    Example:
        >>> import numpy as np, schuss
        >>> curriculum = schuss.continuation.Curriculum([0.3, 0.1, 0.9, 0.5], epochs=4, start=0.25, seed=0)
        >>> [sorted(indices.tolist()) for indices in curriculum]
        [[1], [0, 1], [0, 1, 3], [0, 1, 2, 3]]
    """

    def __init__(
        self,
        difficulty: Any,
        epochs: int,
        *,
        seed: int,
        strategy: Strategy = "naive",
        pacing: str | Callable[[float], float] = "linear",
        start: float = 0.2,
        mix: float = 0.2,
    ) -> None:
        self.order = np.argsort(_scores(difficulty), kind="stable")
        self.epochs, self.seed = count("epochs", epochs, 1), check_seed(seed)
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy must be one of {', '.join(map(repr, STRATEGIES))}, got {strategy!r}")
        if not callable(pacing) and pacing not in PACINGS:
            raise ValueError(f"pacing must be a function or one of {', '.join(map(repr, PACINGS))}, got {pacing!r}")
        self.strategy: Strategy = strategy
        self.pacing = pacing
        self.start, self.mix = number("start", start, SHARE), number("mix", mix, UNIT)
        for epoch in (0, self.epochs - 1):
            self.share(epoch)

    def __len__(self) -> int:
        """The number of epochs until the share is 1."""
        return self.epochs

    def __iter__(self) -> Iterator[Array]:
        """The indices of the examples, epoch by epoch."""
        return (self.indices(epoch) for epoch in range(self.epochs))

    def share(self, epoch: int) -> float:
        """The share λ of the examples in an epoch, which may be beyond the last.

        Raises:
            TypeError: `epoch` is no integer, or the pacing function gives no number.
            ValueError: `epoch` is negative, or the pacing function gives one out of [0, 1].
        """
        past = count("epoch", epoch, 0)
        t = min(past / (self.epochs - 1), 1.0) if self.epochs > 1 else 1.0
        if callable(self.pacing):
            return number(f"pacing({t:g})", self.pacing(t), UNIT)
        return PACINGS[self.pacing](self.start, t)

    def indices(self, epoch: int) -> Array:
        """The indices of the examples of an epoch, at least one, in random order and each at most once."""
        n, share = len(self.order), self.share(epoch)
        rng = stream(self.seed, Purpose.CURRICULUM, epoch)
        m = min(n, max(1, math.ceil(share * n - 1e-9)))  # rounding of λ is not to cost an example
        free = {"naive": 0, "mixed": m, "combined": int(rng.binomial(m, self.mix))}[self.strategy]
        any_ones = rng.choice(n, free, replace=False)
        left = self.order[~np.isin(self.order, any_ones)]
        return rng.permutation(np.concatenate([any_ones, left[: m - free]]))


def _scores(difficulty: Any) -> Array:
    scores = np.asarray(difficulty)
    if scores.dtype.kind not in "fiu":
        raise TypeError(f"difficulty has dtype {scores.dtype}, expected real numbers")
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"difficulty has shape {scores.shape}, expected (n,) with a score for each example")
    if not np.isfinite(scores).all():
        index = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"difficulty[{index}] is {scores[index]}, expected a finite number")
    return scores
