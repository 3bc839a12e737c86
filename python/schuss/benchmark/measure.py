"""The clock: contestants in turn, round after round."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schuss.benchmark.contestants import Contestant

Samples = dict[str, list[float | None]]


@dataclass(frozen=True)
class Effort:
    """How much to measure, in seconds but for the rounds.

    Attributes:
        rounds: How often each contestant gets its turn.
        budget: A contestant that has taken this long in one case sits out the rest of its rounds, but for `least`.
        sample: What is timed in a turn: as many steps as take this long, and at least one.
        settle: The sleep before each turn.
        warm: Untimed steps before each sample, at least one: they wake the threads and fill the caches. Meanwhile the
            threads of the turn before stop spinning, which takes GCC's OpenMP some 10 ms. A long sleep would not do:
            virtual processors that fall idle are slow to come back.
        least: The rounds that everyone gets.
    """

    rounds: int = 15
    budget: float = 3.0
    sample: float = 5e-3
    settle: float = 1e-3
    warm: float = 20e-3
    least: int = 3


FULL = Effort()

QUICK = Effort(rounds=3, budget=0.2, sample=1e-3, settle=1e-3, warm=2e-4)


def seconds(step: Callable[[], object], calls: int) -> float:
    """How long so many steps take."""
    repeat = range(calls)
    began = time.perf_counter_ns()
    for _ in repeat:
        step()
    return (time.perf_counter_ns() - began) * 1e-9


def steps_in(step: Callable[[], object], duration: float) -> int:
    """How many steps take at least so long."""
    calls = 1
    while (took := seconds(step, calls)) < duration / 2:
        calls *= 2
    return max(1, math.ceil(calls * duration / took))


def order(contestants: Sequence[Contestant], turn: int) -> list[Contestant]:
    """The order of a round: rotated each time, and reversed every other time, so that neighbours change."""
    at = turn % max(1, len(contestants))
    rotated = [*contestants[at:], *contestants[:at]]
    return rotated[::-1] if turn % 2 else rotated


def measure(contestants: Sequence[Contestant], effort: Effort) -> Samples:
    """Seconds for a step of each contestant in each round, None where it sat out."""
    calls = {c.name: steps_in(c.step, effort.sample) for c in contestants}
    warming = {c.name: max(1, math.ceil(calls[c.name] * effort.warm / effort.sample)) for c in contestants}
    samples: Samples = {c.name: [None] * effort.rounds for c in contestants}
    spent = dict.fromkeys(samples, 0.0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(effort.rounds):
            for c in order(contestants, turn):
                if turn >= effort.least and spent[c.name] >= effort.budget:
                    continue
                time.sleep(effort.settle)
                warm = seconds(c.step, warming[c.name])
                timed = seconds(c.step, calls[c.name])
                samples[c.name][turn] = timed / calls[c.name]
                spent[c.name] += warm + timed
    finally:
        if collecting:
            gc.enable()
    return samples
