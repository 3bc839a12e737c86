"""The hyperparameters: which values each may take, and which defaults depend on the convention."""

import math
from collections.abc import Callable
from typing import Any, Literal

Convention = Literal["book", "torch"]

Schedule = Callable[[int], float]  # a hyperparameter as a function of the number of steps taken so far


class Default(float):
    """The book's default of a hyperparameter for which torch has another: `Default(1e-7, torch=1e-10)`."""

    torch: float

    def __new__(cls, book: float, *, torch: float) -> "Default":  # noqa: PYI034, typing.Self is too new
        """Make the float `book`, with the attribute `torch`."""
        default = super().__new__(cls, book)
        default.torch = torch
        return default

    def under(self, convention: str) -> float:
        """The default in one of the two conventions."""
        return self.torch if convention == "torch" else float(self)


class Interval:
    """The numbers from `low` up to `high`, which belongs to the interval only if it is `closed`."""

    def __init__(self, low: float, high: float, *, closed: bool = False) -> None:
        self.low, self.high, self.closed = low, high, closed

    def __contains__(self, value: float) -> bool:
        return self.low <= value < self.high or (self.closed and value == self.high)

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}{']' if self.closed else ')'}"


POSITIVE_OR_ZERO = Interval(0, math.inf)
FRACTION = Interval(0, 1)

RANGES: dict[str, Interval] = {
    "lr": POSITIVE_OR_ZERO,
    "lr_decay": POSITIVE_OR_ZERO,
    "momentum": FRACTION,
    "look_ahead": FRACTION,
    "dampening": Interval(0, 1, closed=True),
    "kappa": POSITIVE_OR_ZERO,
    "phi": Interval(0, 1, closed=True),
    "gamma": FRACTION,
    "rho": FRACTION,
    "betas": FRACTION,
    "eps": POSITIVE_OR_ZERO,
    "weight_decay": POSITIVE_OR_ZERO,
}

SWITCHES = ("nesterov", "centered", "maximize", "decoupled_weight_decay")

TORCH_ONLY = ("dampening", "lr_decay")


def check(options: dict[str, Any]) -> None:
    """Raise TypeError or ValueError, naming the option and its value, unless every option is in its range."""
    for name, value in options.items():
        if name == "betas":
            if not isinstance(value, (tuple, list)) or len(value) != 2:
                raise TypeError(f"betas must be a pair of numbers, got {value!r}")
            for i, beta in enumerate(value):
                _check_number(f"betas[{i}]", beta, RANGES["betas"])
        elif name in RANGES:
            _check_number(name, value, RANGES[name])
        elif name in SWITCHES and not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
        elif name == "convention" and value not in ("book", "torch"):
            raise ValueError(f"convention must be 'book' or 'torch', got {value!r}")
    if options.get("convention") == "book":
        for name in TORCH_ONLY:
            if options.get(name):
                raise ValueError(f"{name}={options[name]!r} belongs to convention='torch', the book has none")


def _check_number(name: str, value: Any, allowed: Interval) -> None:
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or getattr(value, "ndim", None):
        raise TypeError(f"{name} must be a number in {allowed}, got {value!r}")
    if float(value) not in allowed:
        raise ValueError(f"{name} must be in {allowed}, got {value!r}")
