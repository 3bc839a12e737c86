"""Random streams: one for each seed, purpose and key, none of which shares its numbers with another."""

import enum
import operator
from typing import Any

import numpy as np

SEEDS = 2**128  # what NumPy's SeedSequence takes in before a spawn key; a longer seed could run into one


class Purpose(enum.IntEnum):
    """What random numbers are for. A purpose keeps its number for good: a seed then keeps its numbers."""

    INITIALIZATION = 0
    MINIBATCHES = 1
    STANDARD_ERROR = 2
    LANCZOS = 3
    SMOOTHING = 4
    CURRICULUM = 5
    NOISE = 6
    SPLIT = 7
    PREPARATION = 8


def stream(seed: Any, purpose: Purpose, *key: int) -> np.random.Generator:
    """The generator for a seed, a purpose and a key, such as the epoch.

    `default_rng([seed, epoch])` would not do: NumPy fills seeds up with zeros, so that [s] and [s, 0] are one stream.

    Raises:
        TypeError: `seed` is no integer.
        ValueError: `seed` is out of [0, 2¹²⁸).
    """
    return np.random.default_rng(np.random.SeedSequence(check_seed(seed), spawn_key=(purpose, *key)))


def derived_seed(seed: Any, purpose: Purpose, *key: int) -> int:
    """A seed of its own for a purpose and a key, for what takes seeds and not generators; raises as `stream`."""
    words = np.random.SeedSequence(check_seed(seed), spawn_key=(purpose, *key)).generate_state(4)
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def check_seed(seed: Any) -> int:
    """The seed as an int; raises TypeError or ValueError unless it is one in [0, 2¹²⁸)."""
    if isinstance(seed, (bool, np.bool_)) or not hasattr(seed, "__index__"):
        raise TypeError(f"seed must be an integer of at least 0 and less than 2**128, got {seed!r}")
    if not 0 <= operator.index(seed) < SEEDS:
        raise ValueError(f"seed must be an integer of at least 0 and less than 2**128, got {seed!r}")
    return operator.index(seed)


def either(seed: Any, rng: Any, purpose: Purpose) -> np.random.Generator:
    """The generator for one of `seed` and `rng`.

    Raises:
        TypeError: Neither or both are given, or one has another type.
        ValueError: `seed` is out of range.
    """
    if (seed is None) == (rng is None):
        raise TypeError(f"exactly one of seed and rng is needed, got seed={seed!r}, rng={rng!r}")
    if rng is None:
        return stream(seed, purpose)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}")
    return rng
