"""The arrays that an optimizer keeps for its parameters, in the format in which they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import _core

Array = NDArray[Any]

SCALED = 256  # codes of 8 bits have a scale for so many values

# What NumPy holds a format in: it has no bfloat16, so that comes as its bits.
HELD = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "bfloat16": np.uint16, "uint8": np.uint8}


def computed(dtype: str) -> str:
    """What is computed in for parameters of that type: float64 for its own, and float32 for all others."""
    return "float64" if dtype == "float64" else "float32"


def zeros(shape: tuple[int, ...], dtype: str) -> Array:
    """An array for values of that type."""
    return np.zeros(shape, HELD[dtype])


def decoded(stored: Array, dtype: str, scales: Array | None = None, *, positive: bool = False) -> Array:
    """The values of an array that is stored as `dtype`, in the type to compute with."""
    values = zeros(stored.shape, computed(dtype))
    _core.decode(with_dtype(stored, dtype), scales, positive, values)
    return values


def encode(values: Array, stored: Array, dtype: str, scales: Array | None = None, *, positive: bool = False) -> None:
    """Write values into such an array, rounded to the nearest."""
    _core.encode(np.asarray(values, order="C"), with_dtype(stored, dtype), scales, positive)


def with_dtype(stored: Array, dtype: str) -> Array:
    """The array as the core knows it: torch's bfloat16 comes as int16."""
    return stored.view(np.uint16) if dtype == "bfloat16" else stored


class States:
    """The states of a parameter group, and the averages of its parameters.

    Attributes:
        stored: The state arrays by the rule's name for them, None where these options need no such state.
        scales: With 8 bits, the scales of each state's codes, as `stored`.
        averages: Of the parameters, in the type to compute with; None without averaging.
    """

    def __init__(
        self, rule: _core.Rule, group: Mapping[str, Any], params: list[Array], dtypes: list[str], phase: dict[str, Any]
    ) -> None:
        self.stored: dict[str, list[Array] | None] = {}
        self.scales: dict[str, list[Array] | None] = {}
        self.averages: list[Array] | None = None
        self._positive = rule["positive"]
        self.dtypes = [phase["state_dtype"] or computed(dtype) for dtype in dtypes]
        for name, needed_by, starts_at in rule["states"]:
            self.scales[name] = self.stored[name] = None
            if not needed_by or group[needed_by]:
                self._add(name, group[starts_at] if starts_at else 0.0, params)
        if phase["average"]:
            self.averages = [zeros(p.shape, computed(dtype)) for p, dtype in zip(params, dtypes, strict=True)]

    def _add(self, name: str, start: float, params: list[Array]) -> None:
        self.stored[name] = stored = [zeros(p.shape, t) for p, t in zip(params, self.dtypes, strict=True)]
        coded = "uint8" in self.dtypes
        if coded:
            self.scales[name] = [np.zeros(-(-p.size // SCALED), np.float32) for p in params]
        for i, (array, dtype) in enumerate(zip(stored, self.dtypes, strict=True)):
            if start:
                scales = self._scales(name)[i]
                values = np.full(array.shape, start, computed(dtype))
                encode(values, array, dtype, scales, positive=name in self._positive)

    def _scales(self, name: str) -> Sequence[Array | None]:
        """The scales of a state's arrays, each None if they have none."""
        return self.scales[name] or [None] * len(self.dtypes)

    def decoded(self, name: str) -> list[Array] | None:
        """The values of a state, in the type to compute with."""
        stored = self.stored.get(name)
        if stored is None:
            return None
        scales = self._scales(name)
        positive = name in self._positive
        return [
            decoded(array, dtype, scale, positive=positive)
            for array, dtype, scale in zip(stored, self.dtypes, scales, strict=True)
        ]

    def named(self) -> dict[str, list[Array]]:
        """All arrays by name: the states, `"<state>_scale"` and `"average"`."""
        scales = {f"{name}_scale": arrays for name, arrays in self.scales.items()}
        every = {**self.stored, **scales, "average": self.averages}
        return {name: arrays for name, arrays in every.items() if arrays is not None}
