"""The options of the minimisers: which there are, which values each may take."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import _core, threads
from schuss.options import POSITIVE_OR_ZERO, Interval, number

Array = NDArray[Any]

OPEN_FRACTION = Interval(0, 1)

RANGES: dict[str, Interval] = {
    "gtol": POSITIVE_OR_ZERO,
    "xrtol": POSITIVE_OR_ZERO,
    "ftol": POSITIVE_OR_ZERO,
    "c1": OPEN_FRACTION,
    "c2": OPEN_FRACTION,
    "first_step": POSITIVE_OR_ZERO,
    "maxtime": Interval(0, math.inf, closed=True),
    "powell": Interval(0, math.inf, closed=True),
    "floor": OPEN_FRACTION,
}

C1 = 1e-4

COUNTS = {"maxiter": 0, "maxfun": 1, "memory": 0, "restart": 1}  # and their least values

MOST_MEMORY = 10_000  # pairs: their inner products alone are 1.6 GB then

CHOICES = {
    "line_search": ("wolfe", "backtracking", "exact"),
    "beta": ("pr", "fr", "hs", "dy", "hz"),
    "scaling": ("none", "first", "always"),
    "curvature": ("regularized", "saddle_free"),
}

COMMON = ("gtol", "xrtol", "ftol", "norm", "maxiter", "maxfun", "maxtime", "line_search", "c1", "c2", "first_step")

OWN = {
    "gd": (),
    "cg": ("beta", "restart", "powell"),
    "bfgs": ("scaling",),
    "lbfgs": ("memory",),
    "newton": ("curvature", "floor"),
}

CURVATURE = _core.methods()  # c₂ by method

assert set(OWN) == set(CURVATURE)


def check(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a method as plain numbers and words; None stands for the default.

    Raises TypeError or ValueError, naming the option and its value.
    """
    checked: dict[str, Any] = {}
    for name, value in given.items():
        if name not in (*COMMON, *OWN[method], "num_threads"):
            raise TypeError(f"unknown option {name!r} of {method}, expected {', '.join((*COMMON, *OWN[method]))}")
        if value is not None:
            checked[name] = plain(name, value)
    c1, c2 = checked.get("c1", C1), checked.get("c2", CURVATURE[method])
    if c2 <= c1:
        raise ValueError(f"c2 must be greater than c1, got c1={c1!r}, c2={c2!r}")
    return checked


def plain(name: str, value: Any) -> Any:
    """The value of an option as a plain number or word; raises TypeError or ValueError, naming it."""
    if name == "num_threads":
        return threads.check_num_threads(value)
    if name in COUNTS:
        counted = count(name, value, COUNTS[name])
        if name == "memory" and counted > MOST_MEMORY:
            raise ValueError(f"memory must be at most {MOST_MEMORY}, got {value!r}")
        return counted
    if name in CHOICES:
        if not isinstance(value, str) or value not in CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, CHOICES[name]))}, got {value!r}")
        return value
    if name == "norm":
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(value) or value == 0:
            raise ValueError(f"norm must be the order of a norm such as inf or 2, got {value!r}")
        return float(value)
    return number(name, value, RANGES[name])


def count(name: str, value: Any, least: int) -> int:
    """`value` as an integer; raises TypeError or ValueError, naming it, unless it is one of at least `least`."""
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, (int, float, np.integer, np.floating))
        or (value != math.inf and value != value // 1)
    ):
        raise TypeError(f"{name} must be an integer of at least {least}, got {value!r}")
    if not least <= value:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(min(value, 2**62))


def real_array(name: str, value: Any) -> Array:
    """`value` as an array; raises TypeError or ValueError, naming it, unless it consists of real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}, expected an array of numbers") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    return array


def start(x0: Any) -> Array:
    """A copy of `x0` as an array of one dimension and of float32 or float64.

    Raises TypeError or ValueError if it cannot be one.
    """
    x = real_array("x0", x0)
    if x.ndim > 1:
        raise ValueError(f"x0 has shape {x.shape}, expected one dimension")
    return np.array(x, np.float32 if x.dtype == np.float32 else np.float64, ndmin=1)
