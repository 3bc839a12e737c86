"""Schedules: hyperparameters as functions of the number of steps taken so far.

A schedule may stand wherever an optimizer takes one: `schuss.Adam(params, lr=schedules.cosine(0.01, 1000))`, and
`momentum=schedules.momentum_ramp()` where there is a momentum. It is called with 0 for the first step; a step that is
negative or no integer is refused. Schedules can be pickled and compared, and show their arguments.
"""

from schuss.schedules.convergence import RobbinsMonro, robbins_monro
from schuss.schedules.forms import Schedule, Tail
from schuss.schedules.functions import (
    chain,
    constant,
    cosine,
    exponential,
    inverse_time,
    linear_decay,
    linear_ramp,
    momentum_ramp,
    step,
    warmup,
)

__all__ = [
    "RobbinsMonro",
    "Schedule",
    "Tail",
    "chain",
    "constant",
    "cosine",
    "exponential",
    "inverse_time",
    "linear_decay",
    "linear_ramp",
    "momentum_ramp",
    "robbins_monro",
    "step",
    "warmup",
]
