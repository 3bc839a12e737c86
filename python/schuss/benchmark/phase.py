"""The suite of all that is around a step: `schuss bench --suite phase`.

AdamW clipped by norm and averaged, with states of fewer bits, with gradients of fewer bits and a copy of the
parameters, in pure bfloat16, with the gradients set to zero: against the three calls that torch needs for the same,
against this package's own float32 state, and against the ceiling, which moves the same memory and computes nothing.
"""

import dataclasses
import datetime
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from schuss.benchmark import cases
from schuss.benchmark.contestants import (
    Arrays,
    Contestant,
    UnavailableError,
    ceiling,
    load_torch,
    thread_count,
    torch_parameters,
)
from schuss.benchmark.measure import FULL, Effort, measure
from schuss.benchmark.phase_cases import (
    CONFIGURATIONS,
    OPTIONS,
    OWN,
    RECIPE,
    TORCH,
    Array,
    Case,
    Configuration,
    Own,
    few,
    objection,
)
from schuss.benchmark.results import Result, Run, Spread
from schuss.benchmark.targets import Reached, Results, Target, least, size
from schuss.benchmark.verify import STEPS, probe

# ---- contestants ----


def in_float32(configuration: Configuration) -> Configuration:
    """The same with the state in float32."""
    phase = {name: value for name, value in configuration.phase.items() if name != "state_dtype"}
    return dataclasses.replace(configuration, phase=phase)


def torch_calls(name: str, case: Case, start: Arrays) -> Contestant:
    """Clipping by norm, AdamW and the exponential average of torch, after its first steps. Raises UnavailableError."""
    torch, phase = load_torch(), case.configuration.phase
    forms = {"torch": ({}, {}), "torch-fused": ({"foreach": True}, {"fused": True})}[name]
    params = torch_parameters(torch, start)
    now = [param.detach() for param in params]
    means = [param.clone() for param in now]
    adamw = torch.optim.AdamW(params, **RECIPE.options, **forms[1])
    follow = torch.optim.swa_utils.get_ema_multi_avg_fn(phase["average_decay"])
    steps = itertools.count()

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(params, phase["clip_norm"], **forms[0])
        adamw.step()
        if next(steps):
            follow(means, now, None)
        else:  # the average begins with the first step's parameters
            torch._foreach_copy_(means, now)

    for _ in range(STEPS):  # before the first one there are no states
        step()
    kept = {"average": means, "s": [adamw.state[p]["exp_avg"] for p in params]}
    states = {state: [tensor.numpy() for tensor in tensors] for state, tensors in kept.items()}
    return Contestant(name, step, [param.numpy() for param in now], states)


# ---- verification ----

# How far torch may be off. It sums the norm in float32, so that of 5·10⁷ values it is 0.4 % short.
FRACTION = {"params": 1e-5, "average": 1e-5, "s": 1e-2}


def own_entry(name: str, case: Case, start: Arrays) -> tuple[Contestant, str | None]:
    """The contestant of this package, and what is wrong with it."""
    configuration = case.configuration if name == "schuss" else in_float32(case.configuration)
    own = Own(configuration, start)
    wrong = objection(Own(configuration, Case(configuration, few(case.workload)).start()))
    return Contestant(name, own.step, own.params, moves=own.moves), wrong


def torch_entry(name: str, case: Case, start: Arrays) -> tuple[Contestant, str | None]:
    """One of torch, and what is wrong with it: it must be where this package is with float32 state."""
    contestant, own = torch_calls(name, case, start), Own(in_float32(case.configuration), start)
    for _ in range(STEPS):
        own.step()
    return contestant, strayed(contestant, {"params": own.params, **own.states})


def strayed(contestant: Contestant, expected: dict[str, list[Array]]) -> str | None:
    """What is further from where it must be than a fraction of the largest value there, or None."""
    for name, arrays in {"params": contestant.params, **contestant.states}.items():
        for i, (got, right) in enumerate(zip(arrays, map(probe, expected[name]), strict=True)):
            error = float(np.abs(probe(got) - right).max())
            if not error <= FRACTION[name] * float(np.abs(right).max()):
                return f"{name}[{i}] is off by {error:g}"
    return None


AGREEMENT = {
    "schuss": "the reference, bit for bit, on few elements",
    "schuss-float32": "the reference, bit for bit, on few elements",
    **dict.fromkeys(TORCH, "schuss with float32 state, parameters to 1e-5"),
}


def line_up(case: Case, peers: Sequence[str], result: Result) -> list[Contestant]:
    """The contestants that take part and are right; `result` gets to know why the others are not here.

    Raises UnavailableError if this package cannot take part.
    """
    start, ready = case.start(), []
    for name in ("schuss", *(peer for peer in (*OWN, *peers) if peer in case.configuration.peers)):
        try:
            contestant, wrong = (torch_entry if name in TORCH else own_entry)(name, case, start)
        except UnavailableError as reason:
            if name == "schuss":
                raise
            result.absent[name] = str(reason)
            continue
        if wrong is not None:
            result.wrong[name] = wrong
            continue
        result.agreement[name] = AGREEMENT[name]
        ready += [contestant, ceiling(contestant)] if name == "schuss" else [contestant]
    return ready


# ---- a run ----


def measure_case(case: Case, peers: Sequence[str], effort: Effort) -> Result:
    """Verify and time the contestants of one case. Raises UnavailableError if this package cannot take part."""
    c, workload = case.configuration, case.workload
    result = Result(
        recipe=c.name,
        rule=RECIPE.rule,
        workload=workload.name,
        elements=workload.elements,
        arrays=len(workload.shapes),
        dtype=c.params,
        options={**OPTIONS, **c.phase, "grads": c.grads, "copies": c.copies},
        bytes_per_element=c.bytes_per_element,
    )
    result.samples = measure(line_up(case, peers, result), effort)
    return result


def run(
    workloads: Sequence[cases.Workload],
    peers: Sequence[str] = TORCH,
    *,
    count: int | None = None,
    effort: Effort = FULL,
    watch: Callable[[Case], object] = lambda case: None,
) -> Run:
    """Run every configuration on some workloads; `watch` hears of each. Ctrl-C ends the run early and marks it."""
    from schuss.benchmark import suite

    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    described: dict[str, Any] = {"suite": "phase", "peers": list(peers), "threads": count, **asdict(effort)}
    done = Run(started, {}, described)
    with thread_count(count, with_torch=True):
        done.machine = suite.machine(suite.Settings(recipes=(), peers=peers, threads=count, effort=effort))
        try:
            for case in [Case(configuration, workload) for workload in workloads for configuration in CONFIGURATIONS]:
                watch(case)
                plain = cases.Case(RECIPE, case.workload)
                lack = suite.lacks_memory(plain, len(peers) + 3)
                try:
                    if lack is None:
                        done.results.append(measure_case(case, peers, effort))
                except UnavailableError as reason:
                    lack = str(reason)
                if lack is not None:
                    done.skipped[f"{case.configuration.name} {case.workload.name}"] = lack
        except KeyboardInterrupt:
            done.interrupted = True
    return done


# ---- targets ----


def against(recipe: str, peer: str, where: Callable[[Result], bool]) -> Callable[[Results], Reached | None]:
    """The least ratio of a configuration, against a peer or the ceiling, over some workloads."""

    def find(results: Results) -> Reached | None:
        found: list[tuple[str, Spread]] = [
            (r.workload, r.speedup(peer)) for r in results if r.recipe == recipe and where(r) and r.has("schuss", peer)
        ]
        return least(found)

    return find


def _resnet50(result: Result) -> bool:
    return result.workload == "resnet50"


TARGETS = (
    Target("× torch's three calls, ResNet-50: float32", 1.7, against("clip, average", "torch-fused", _resnet50)),
    Target(
        "× torch's three calls, ResNet-50: 8-bit state",
        2.3,
        against("clip, average, 8-bit state", "torch-fused", _resnet50),
    ),
    Target(
        "× own float32 state: 8-bit state, n = 5·10⁷",
        1.5,
        against("8-bit state", OWN[0], lambda r: size(r) == 5 * 10**7),
    ),
    *(
        Target(
            f"fraction of the ceiling, n ≥ 10⁷: {c.name}", 0.9, against(c.name, "ceiling", lambda r: size(r) >= 10**7)
        )
        for c in CONFIGURATIONS
    ),
)
