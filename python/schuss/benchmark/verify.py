"""That all contestants do the same work: three steps of each, compared with the reference before anything is timed.

Updates are element-wise, so of a long array it is enough to follow stretches: its first, middle and last elements.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import reference
from schuss.benchmark.cases import Case
from schuss.benchmark.contestants import Agreement, Arrays, Contestant, Looped

Array = NDArray[Any]

STEPS = 3

STRETCH = 1 << 16


def probe(array: Array) -> Array:
    """A copy of the elements of `array` that are compared: all, or three stretches of a long one."""
    flat = array.reshape(-1)
    if flat.size <= 3 * STRETCH:
        return flat.copy()
    middle = (flat.size - STRETCH) // 2
    return np.concatenate([flat[:STRETCH], flat[middle : middle + STRETCH], flat[-STRETCH:]])


class Verifier:
    """Knows where the contestants of a case must arrive."""

    def __init__(self, case: Case, start: Arrays) -> None:
        self._case = case
        self._start = Arrays([probe(p) for p in start.params], [probe(g) for g in start.grads])
        self._expected: dict[str, Arrays] = {}

    def expected(self, convention: str) -> Arrays:
        """The reference's arrays after the steps."""
        if convention not in self._expected:
            arrays = self._start.copy(self._case)
            rule = functools.partial(getattr(reference, self._case.recipe.rule), convention=convention)
            step = Looped(rule, self._case, arrays)
            for _ in range(STEPS):
                step()
            self._expected[convention] = arrays
        return self._expected[convention]

    def objection(self, contestant: Contestant) -> str | None:
        """Let a fresh contestant take the steps; what is wrong with the result, or None."""
        for _ in range(STEPS):
            contestant.step()
        agreement = contestant.agreement
        if agreement is None:
            return None
        expected = self.expected(agreement.convention)
        for i, (array, right) in enumerate(zip(contestant.params, expected.params, strict=True)):
            allowed = self._allowed(agreement, right, self._start.params[i])
            if objection := _compare(f"params[{i}]", probe(array), right, allowed):
                return objection
        for name, arrays in contestant.states.items():
            for i, (array, right) in enumerate(zip(arrays, expected.states[name], strict=True)):
                if objection := _compare(f"{name}[{i}]", probe(array), right, None):
                    return objection
        return None

    @staticmethod
    def _allowed(agreement: Agreement, right: Array, origin: Array) -> Array | None:
        """How far each element may be off, or None for nowhere."""
        if agreement.exact:
            return None
        size, change = np.maximum(np.abs(right), np.abs(origin)), np.abs(right - origin)
        allowed: Array = np.finfo(right.dtype).eps * (agreement.ulps * size + agreement.change * change)
        return allowed


def _compare(name: str, got: Array, right: Array, allowed: Array | None) -> str | None:
    if allowed is None:
        bits = f"u{right.itemsize}"
        equal = got.view(bits) == right.view(bits)
    else:
        equal = np.abs(got - right) <= allowed
    wrong = np.flatnonzero(~equal)
    if wrong.size == 0:
        return None
    first = wrong[0]
    share = f"{wrong.size} of {got.size} compared elements differ"
    return f"{name}: {share}; element {first} is {got[first]!r}, expected {right[first]!r}"
