"""The forms of schedules: their values, and what becomes of them in the long run."""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from schuss.options import FRACTION, POSITIVE, POSITIVE_OR_ZERO, Interval, count, number

RANGES = {  # of the arguments that are numbers; those that are integers are at least 1
    "eps": POSITIVE_OR_ZERO,
    "eps0": POSITIVE_OR_ZERO,
    "eps_tau": POSITIVE_OR_ZERO,
    "tau": POSITIVE,
    "power": POSITIVE,
    "factor": Interval(0, 1, open=True, closed=True),
    "maximum": FRACTION,
}


@dataclass(frozen=True)
class Tail:
    """What a schedule comes to: ε_k ~ scale·(k/unit)^-power as k → ∞.

    Attributes:
        scale: In [0, ∞); 0 for a schedule that ends with 0.
        power: In [0, ∞]; 0 for a schedule that ends with a constant, ∞ for one that falls faster than any power.
        unit: In (0, ∞), in steps.
    """

    scale: float
    power: float = 0.0
    unit: float = 1.0

    def __str__(self) -> str:
        if self.scale == 0 or self.power == 0:
            return f"the constant {self.scale:g}"
        if self.power == math.inf:
            return "a geometric sequence"
        return f"{self.scale:g}·(k/{self.unit:g})^-{self.power:g}"


@dataclass(frozen=True)
class Schedule:
    """A hyperparameter as a function of the number of steps taken so far.

    A schedule is called with an integer of at least 0: 0 gives the value for the first step. It can be pickled,
    two are equal if they are of one form with equal arguments, and its `repr` shows them.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type is int:
                object.__setattr__(self, field.name, count(field.name, getattr(self, field.name), 1))
            elif field.type is float:
                object.__setattr__(self, field.name, number(field.name, getattr(self, field.name), RANGES[field.name]))

    def __call__(self, step: int) -> float:
        """The value after so many steps.

        Raises:
            TypeError: `step` is no integer.
            ValueError: `step` is negative.
        """
        return self.value(count("step", step, 0))

    def value(self, k: int) -> float:
        """The value after k steps."""
        raise NotImplementedError

    def tail(self) -> Tail:
        """What it comes to."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """ε."""

    eps: float

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        return self.eps

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return Tail(self.eps)


@dataclass(frozen=True)
class Linear(Schedule):
    """From ε₀ to ε_τ on a line, constant after τ."""

    eps0: float
    tau: int
    eps_tau: float

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        alpha = min(k / self.tau, 1.0)
        return (1 - alpha) * self.eps0 + alpha * self.eps_tau

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return Tail(self.eps_tau)


@dataclass(frozen=True)
class InverseTime(Schedule):
    """ε₀/(1 + k/τ)^p."""

    eps0: float
    tau: float
    power: float

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        return self.eps0 * float((1 + k / self.tau) ** -self.power)

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return Tail(self.eps0, self.power, self.tau)


@dataclass(frozen=True)
class Step(Schedule):
    """ε₀·γ^⌊k/every⌋."""

    eps0: float
    every: int
    factor: float

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        return self.eps0 * self.factor ** (k // self.every)

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return Tail(self.eps0, 0 if self.factor == 1 else math.inf)


@dataclass(frozen=True)
class Cosine(Schedule):
    """From ε₀ to ε_τ along half a period of a cosine, constant after τ."""

    eps0: float
    tau: int
    eps_tau: float

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        if k >= self.tau:
            return self.eps_tau
        return self.eps_tau + (self.eps0 - self.eps_tau) * (1 + math.cos(math.pi * k / self.tau)) / 2

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return Tail(self.eps_tau)


@dataclass(frozen=True)
class MomentumRamp(Schedule):
    """Min(1 - ½/(⌊k/every⌋ + 1), α_max)."""

    maximum: float
    every: int

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        return min(1 - 0.5 / (k // self.every + 1), self.maximum)

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return Tail(self.maximum)


@dataclass(frozen=True)
class Warmup(Schedule):
    """From near 0 to a schedule's first value on a line, then the schedule."""

    schedule: Callable[[int], float]
    steps: int

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        if k >= self.steps:
            return self.schedule(k - self.steps)
        return self.schedule(0) * (k + 1) / (self.steps + 1)

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return tail_of(self.schedule)


@dataclass(frozen=True)
class Chain(Schedule):
    """One schedule after another, each counting its own steps."""

    schedules: tuple[Callable[[int], float], ...]
    milestones: tuple[int, ...]

    def value(self, k: int) -> float:  # noqa: D102, inherits its docstring
        index = bisect.bisect_right(self.milestones, k)
        return self.schedules[index](k - (0, *self.milestones)[index])

    def tail(self) -> Tail:  # noqa: D102, inherits its docstring
        return tail_of(self.schedules[-1])


def tail_of(schedule: Any) -> Tail:
    """What a schedule comes to; raises TypeError if it does not say."""
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule is {schedule!r}, whose form is unknown, expected one of schuss.schedules")
    return schedule.tail()


def as_schedule(name: str, value: Any) -> Callable[[int], float]:
    """A number as a constant schedule, a function as it is; raises TypeError or ValueError for anything else."""
    return value if callable(value) else Constant(number(name, value, POSITIVE_OR_ZERO))
