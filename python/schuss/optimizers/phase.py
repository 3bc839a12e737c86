"""What a step does around its update rule: unscaling, clipping, averaging and the like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from schuss import options
from schuss.options import FRACTION, POSITIVE, Interval

if TYPE_CHECKING:
    from schuss.optimizers.layout import Arrays

StateDtype = Literal["float32", "bfloat16", "uint8"]


class Phase(TypedDict, total=False):
    """The options; `schuss.Optimizer` says what they mean."""

    clip_norm: float | None
    clip_value: float | None
    grad_scale: float
    skip_nonfinite: bool
    zero_grad: bool
    average: Literal["ema", "uniform"] | None
    average_decay: float
    state_dtype: StateDtype | None
    copies: Arrays | None
    rounding: Literal["stochastic", "nearest"]
    seed: int


DEFAULTS: dict[str, Any] = {
    "clip_norm": None,
    "clip_value": None,
    "grad_scale": 1.0,
    "skip_nonfinite": False,
    "zero_grad": False,
    "average": None,
    "average_decay": 0.999,
    "state_dtype": None,
    "rounding": "stochastic",
    "seed": 0,
}

FIXED = ("average", "state_dtype")  # what the state is made for

RANGES = {
    "clip_norm": Interval(0, math.inf, open=True, closed=True),
    "clip_value": POSITIVE,
    "grad_scale": POSITIVE,
    "average_decay": FRACTION,
}

CHOICES: dict[str, tuple[str | None, ...]] = {
    "average": (None, "ema", "uniform"),
    "state_dtype": (None, "float32", "bfloat16", "uint8"),
    "rounding": ("stochastic", "nearest"),
}


def check(phase: dict[str, Any]) -> dict[str, Any]:
    """All options as plain values; raises TypeError or ValueError, naming it, if one is unknown or out of its range."""
    if "copies" in phase:
        raise ValueError("phase['copies'] cannot be set: copies are an argument of the optimizer")
    if unknown := [name for name in phase if name not in DEFAULTS]:
        raise TypeError(f"unknown option {unknown[0]!r}, expected {', '.join(DEFAULTS)} or copies")
    if lacking := [name for name in DEFAULTS if name not in phase]:
        raise ValueError(f"phase lacks the option {lacking[0]!r}")
    return {name: _plain(name, value) for name, value in phase.items()}


def _plain(name: str, value: Any) -> Any:
    if name in RANGES:
        return None if value is None and DEFAULTS[name] is None else options.number(name, value, RANGES[name])
    if name in CHOICES:
        return options.choice(name, value, CHOICES[name])
    if name == "seed":
        return options.count(name, value, least=0)
    return options.switch(name, value)


def request(phase: dict[str, Any], convention: str) -> dict[str, Any]:
    """What the core is told of checked options."""
    asked = {name: phase[name] for name in ("clip_norm", "clip_value", "grad_scale", "skip_nonfinite", "zero_grad")}
    averaging = {"averaging": phase["average"] or "", "average_decay": phase["average_decay"]}
    stochastic = phase["rounding"] == "stochastic"
    return {**asked, **averaging, "stochastic": stochastic, "seed": phase["seed"], "convention": convention}


def asks_for_nothing(phase: dict[str, Any]) -> bool:
    """Whether a step with these options is the update rule alone."""
    switched = ("clip_norm", "clip_value", "grad_scale", "skip_nonfinite", "zero_grad", *FIXED)
    return all(phase[name] == DEFAULTS[name] for name in switched)
