"""The arguments of coordinate descent: which values each may take."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.minimizers.arguments import real_array
from schuss.options import POSITIVE_OR_ZERO, Interval, number
from schuss.threads import check_num_threads

Array = NDArray[Any]

CLOSED_FRACTION = Interval(0, 1, closed=True)


def positive_or_zero(name: str, value: Any) -> float:
    """`value` as a float in [0, ∞); raises TypeError or ValueError, naming it."""
    return number(name, value, POSITIVE_OR_ZERO)


def thread_count(num_threads: int | None) -> int:
    """`num_threads` for the core, which takes 0 for the default; raises TypeError or ValueError."""
    return 0 if num_threads is None else check_num_threads(num_threads)


def arrays(**given: Any) -> list[Array]:
    """The arrays in one dtype: float32 if all of them have it, else float64. Nothing is copied that has it already.

    Raises TypeError or ValueError, naming the array, unless it consists of real numbers.
    """
    found = {name: real_array(name, value) for name, value in given.items()}
    dtype = np.float32 if all(array.dtype == np.float32 for array in found.values()) else np.float64
    made = [np.asarray(array, dtype) for array in found.values()]
    return [array if array.flags.aligned else array.copy() for array in made]


def require_shape(name: str, array: Array, *expected: int | str) -> None:
    """Raise ValueError unless the array has that shape, in which a word stands for any number of at least 1."""
    fits = len(array.shape) == len(expected) and all(
        have >= 1 if isinstance(want, str) else have == want for have, want in zip(array.shape, expected, strict=True)
    )
    if not fits:
        shape = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        words = [str(want) for want in expected if isinstance(want, str)]
        least = f" with {' and '.join(words)} at least 1" if words else ""
        raise ValueError(f"{name} has shape {array.shape}, expected ({shape}){least}")


def require_finite(name: str, array: Array) -> None:
    """Raise ValueError unless all elements are finite."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has elements that are not finite")


def initial(name: str, start: Any, dtype: Any, *shape: int) -> Array:
    """A start as a new array, or zeros where there is none.

    Raises TypeError or ValueError, naming it, unless it is finite, also in that dtype, and has that shape.
    """
    if start is None:
        return np.zeros(shape, dtype)
    with np.errstate(over="ignore"):
        made = np.array(real_array(name, start), dtype, order="C")
    require_shape(name, made, *shape)
    require_finite(name, made)
    return made


def exponent(array: Array) -> int:
    """The power of two just above the largest magnitude, 0 for an array of zeros."""
    largest = float(np.abs(array).max(initial=0))
    return math.frexp(largest)[1] if largest > 0 else 0


def scaled(value: float, by: int) -> float:
    """The value · 2^by, infinite where that is out of range."""
    try:
        return math.ldexp(value, by)
    except OverflowError:
        return math.inf
