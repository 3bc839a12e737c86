"""The hyperparameters: which values each may take, and which defaults depend on the convention."""

import math
import numbers
import operator
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

Convention = Literal["book", "torch"]

Schedule = Callable[[int], float]  # a hyperparameter as a function of the number of steps taken so far


def at_step(value: Any, steps: int) -> Any:
    """The value of a hyperparameter, which may be a schedule, after so many steps."""
    return value(steps) if callable(value) else value


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
    """The numbers between `low`, which belongs to them unless `open`, and `high`, which does only if `closed`."""

    def __init__(self, low: float, high: float, *, open: bool = False, closed: bool = False) -> None:
        self.low, self.high, self.open, self.closed = low, high, open, closed

    def __contains__(self, value: float) -> bool:
        above = self.low < value or (self.low == value and not self.open)
        return above and (value < self.high or (self.closed and value == self.high))

    def __str__(self) -> str:
        return f"{'(' if self.open else '['}{self.low:g}, {self.high:g}{']' if self.closed else ')'}"


POSITIVE_OR_ZERO = Interval(0, math.inf)
POSITIVE = Interval(0, math.inf, open=True)
FRACTION = Interval(0, 1)
UNIT = Interval(0, 1, closed=True)

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
    "momentum_decay": POSITIVE_OR_ZERO,
    "mu_product": Interval(0, 1, closed=True),
    "lambd": POSITIVE_OR_ZERO,
    "alpha": Interval(0, 1, closed=True),
    "t0": POSITIVE_OR_ZERO,
    "eta": POSITIVE_OR_ZERO,
    "mu": Interval(0, 1, closed=True),
    "eps": POSITIVE_OR_ZERO,
    "weight_decay": POSITIVE_OR_ZERO,
}

PAIRS: dict[str, tuple[Interval, Interval]] = {
    "betas": (FRACTION, FRACTION),
    "etas": (FRACTION, Interval(1, math.inf)),
    "step_sizes": (POSITIVE_OR_ZERO, POSITIVE_OR_ZERO),
}

# What the rules can work out by themselves, and what they do if it is None.
OPTIONAL = {
    "look_ahead": "how far theta looks ahead after the step; None for momentum",
    "mu_product": "the product of the momenta up to this step's; None for that of the schedule",
    "eta": "the rate of this step; None for that of the schedule",
    "mu": "the weight of this step in the average; None for that of the schedule",
}

SWITCHES = ("nesterov", "centered", "maximize", "decoupled_weight_decay")

TORCH_ONLY = ("dampening", "lr_decay", "lambd")


def check(options: dict[str, Any]) -> dict[str, Any]:
    """The options as plain numbers, booleans and pairs; schedules stay as they are.

    Raises TypeError or ValueError, naming the option and its value, if one is out of its range or if they do not go
    together.
    """
    checked = {name: value if callable(value) else _plain(name, value) for name, value in options.items()}
    _check_together(checked)
    return checked


def _plain(name: str, value: Any) -> Any:
    if name in PAIRS:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"{name} must be a pair of numbers, got {value!r}")
        return tuple(
            number(f"{name}[{i}]", x, allowed) for i, (x, allowed) in enumerate(zip(value, PAIRS[name], strict=True))
        )
    if name in RANGES:
        return None if name in OPTIONAL and value is None else number(name, value, RANGES[name])
    if name in SWITCHES:
        return switch(name, value)
    return choice(name, value, ("book", "torch")) if name == "convention" else value


def switch(name: str, value: Any) -> bool:
    """`value`, if it is True or False; raises TypeError otherwise."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: Any, allowed: tuple[str | None, ...]) -> Any:
    """`value`, if it is one of some words; raises ValueError otherwise."""
    if not (value is None or isinstance(value, str)) or value not in allowed:
        words = [repr(word) for word in allowed]
        raise ValueError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, got {value!r}")
    return value


def number(name: str, value: Any, allowed: Interval) -> float:
    """`value` as a float; raises TypeError or ValueError, naming it, unless it is a number in `allowed`."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # the number in a scalar array or tensor
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number in {allowed}, got {value!r}")
    try:
        plain = float(value)
    except OverflowError:
        plain = math.inf
    if plain not in allowed:
        raise ValueError(f"{name} must be in {allowed}, got {value!r}")
    return plain


def count(name: str, value: Any, least: int) -> int:
    """The value as an int; raises TypeError or ValueError unless it is an integer from `least` to 2⁶²."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer of at least {least}, got {value!r}")
    if not least <= operator.index(value) <= 2**62:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return operator.index(value)


def function(name: str, value: Any) -> Any:
    """The value; raises TypeError unless it can be called."""
    if not callable(value):
        raise TypeError(f"{name} is {value!r}, expected a function")
    return value


def floating(dtype: Any) -> np.dtype[Any]:
    """`dtype` as NumPy's; raises TypeError unless it is float32 or float64."""
    try:
        kind: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except TypeError:
        kind = None
    if kind is None or kind not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}")
    return kind


def _check_together(options: dict[str, Any]) -> None:
    torch = options.get("convention") == "torch"
    for name in TORCH_ONLY:
        if options.get(name) and not torch:
            raise ValueError(f"{name}={options[name]!r} belongs to convention='torch', the book has none")
    if torch and "kappa" in options:
        raise ValueError("convention='torch' has no delta-bar-delta, expected convention='book'")
    if "step_sizes" in options and options["step_sizes"][0] > options["step_sizes"][1]:
        raise ValueError(f"step_sizes must be the least and the largest one, got {options['step_sizes']!r}")
    if options.get("nesterov"):
        if not options["momentum"]:
            raise ValueError(f"nesterov=True needs a momentum in (0, 1), got momentum={options['momentum']!r}")
        if options.get("dampening"):
            raise ValueError(f"nesterov=True goes with dampening=0 only, got dampening={options['dampening']!r}")
        if torch and "rho" in options:
            raise ValueError("nesterov=True is not in torch's RMSprop, expected convention='book' with it")
