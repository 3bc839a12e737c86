"""A run: every case in turn, verified and measured."""

import datetime
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schuss import info
from schuss.benchmark.cases import RECIPES, Case, Recipe, Workload, without_benchmark
from schuss.benchmark.contestants import (
    PEERS,
    TORCH,
    Contestant,
    UnavailableError,
    ceiling,
    draw,
    enter,
    load_torch,
    thread_count,
)
from schuss.benchmark.measure import FULL, Effort, measure
from schuss.benchmark.results import Result, Run
from schuss.benchmark.verify import Verifier


@dataclass(frozen=True)
class Settings:
    """What to run: the arguments of `schuss bench`."""

    recipes: Sequence[Recipe] = RECIPES
    workloads: Sequence[Workload] = ()
    peers: Sequence[str] = PEERS
    dtype: str = "float32"
    threads: int | None = None
    effort: Effort = FULL

    @property
    def cases(self) -> list[Case]:
        """The cases in the order in which they run."""
        return [Case(recipe, workload, self.dtype) for workload in self.workloads for recipe in self.recipes]

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return {
            "recipes": [recipe.name for recipe in self.recipes],
            "workloads": [workload.name for workload in self.workloads],
            "peers": list(self.peers),
            "dtype": self.dtype,
            "threads": self.threads,
            **asdict(self.effort),
        }


def run(settings: Settings, watch: Callable[[Case], object] = lambda case: None) -> Run:
    """Run all cases; `watch` is told of each before it begins. Ctrl-C ends the run early and marks it interrupted."""
    if missing := without_benchmark():
        raise LookupError(f"no benchmark for {', '.join(missing)}: add to benchmark/cases.py and benchmark/inplace.py")
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    done = Run(started, {}, settings.to_json())
    with thread_count(settings.threads, with_torch=any(peer in TORCH for peer in settings.peers)):
        done.machine = machine(settings)
        try:
            for case in settings.cases:
                watch(case)
                lack = lacks_memory(case, len(settings.peers) + 1)
                if lack:
                    done.skipped[f"{case.recipe.name} {case.workload.name}"] = lack
                else:
                    done.results.append(measure_case(case, settings))
        except KeyboardInterrupt:
            done.interrupted = True
    return done


def machine(settings: Settings) -> dict[str, Any]:
    """What was measured on, how busy it was before, and which version of what."""
    facts = {**info.config(), "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    if any(peer in TORCH for peer in settings.peers):
        try:
            facts["torch"] = str(load_torch().__version__)
        except UnavailableError as reason:
            facts["torch"] = str(reason)
    return facts


def measure_case(case: Case, settings: Settings) -> Result:
    """Verify and time the contestants of one case."""
    result = Result(
        recipe=case.recipe.name,
        rule=case.recipe.rule,
        workload=case.workload.name,
        elements=case.workload.elements,
        arrays=len(case.workload.shapes),
        dtype=case.dtype,
        options=case.recipe.options,
        bytes_per_element=case.bytes_per_element,
    )
    contestants = line_up(case, settings.peers, result)
    result.samples = measure(contestants, settings.effort)
    return result


def line_up(case: Case, peers: Sequence[str], result: Result) -> list[Contestant]:
    """The contestants that take part and are right; `result` gets to know why the others are not here."""
    start = draw(case)
    verifier = Verifier(case, start)
    ready = []
    for name in ("schuss", *peers):
        try:
            contestant = enter(name, case, start)
        except UnavailableError as reason:
            result.absent[name] = str(reason)
            continue
        if objection := verifier.objection(contestant):
            result.wrong[name] = objection
            continue
        if contestant.agreement is not None:
            result.agreement[name] = str(contestant.agreement)
        ready += [contestant, ceiling(contestant)] if name == "schuss" else [contestant]
    return ready


def lacks_memory(case: Case, contestants: int) -> str | None:
    """Why a case does not fit into the memory that is free, or None.

    There are the arrays that all start from, those of each contestant, and the temporaries of NumPy's expressions.
    """
    own = 2 + sum(start is not None for start in case.recipe.states.values())
    needed = (2 + contestants * own + 6) * case.workload.elements * case.itemsize
    free = free_memory()
    if free is None or needed <= free:
        return None
    return f"needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; fewer --peers need less"


def free_memory() -> int | None:
    """The bytes that can be allocated, by the system's and the control group's word; None where they do not tell."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(found, default=None)
