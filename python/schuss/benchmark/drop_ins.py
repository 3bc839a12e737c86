"""The drop-ins of `schuss.torch` against torch's own optimizers, in all forms that torch has."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from schuss import _core, threads
from schuss.benchmark.cases import LISTS, RECIPES, Case, Recipe, Torch
from schuss.benchmark.contestants import (
    TORCH,
    Contestant,
    UnavailableError,
    draw,
    load_torch,
    thread_count,
    torch_parameters,
)
from schuss.benchmark.measure import FULL, Effort, measure
from schuss.benchmark.results import Result, Run
from schuss.benchmark.targets import Reached, Results, Target, against_torch, least
from schuss.benchmark.verify import STEPS

DROP_INS = tuple(recipe for recipe in RECIPES if isinstance(recipe.torch, Torch))


def cases(recipes: Sequence[Recipe] = DROP_INS, workloads: Sequence[str] = tuple(LISTS)) -> list[Case]:
    """Each drop-in on each list of tensors."""
    return [Case(recipe, LISTS[name]) for name in workloads for recipe in recipes]


def enter(name: str, case: Case) -> Contestant:
    """The contestant of that name, ready for its first step. Raises UnavailableError."""
    start, counterpart = draw(case), case.recipe.torch
    assert isinstance(counterpart, Torch)
    if name == "ceiling":
        written, count = (start.params, *start.states.values()), threads.get_num_threads()
        return Contestant(name, lambda: _core.move(written, start.grads, count), start.params)
    if name in counterpart.lacks:
        raise UnavailableError(counterpart.lacks[name])
    torch = load_torch()
    params = torch_parameters(torch, start)
    if name == "schuss":
        import schuss.torch as module
    else:
        module = torch.optim
    form = {"foreach": False} if name == "torch" else TORCH.get(name, {})
    optimizer = getattr(module, counterpart.optimizer)(params, **counterpart.options, **form)
    return Contestant(name, optimizer.step, [param.detach().numpy() for param in params])


def objection(contestant: Contestant, expected: Contestant) -> str | None:
    """What is wrong with a contestant after some steps of both, or None."""
    for _ in range(STEPS):
        contestant.step()
    for i, (got, right) in enumerate(zip(contestant.params, expected.params, strict=True)):
        error = float(np.abs(got - right).max())
        if not error < 1e-5:
            return f"params[{i}] is off by {error:g}"
    return None


def measure_case(case: Case, peers: Sequence[str], effort: Effort) -> Result:
    """Verify, against torch's plain loop, and time the contestants of one case."""
    workload, recipe = case.workload, case.recipe
    result = Result(
        recipe=recipe.name,
        rule=recipe.rule,
        workload=workload.name,
        elements=workload.elements,
        arrays=len(workload.shapes),
        dtype=case.dtype,
        options=recipe.options,
        bytes_per_element=case.bytes_per_element,
    )
    loop = enter("torch", case)
    for _ in range(STEPS):
        loop.step()
    contestants = [loop] if "torch" in peers else []
    for name in ("schuss", "ceiling", *(peer for peer in peers if peer != "torch")):
        try:
            contestant = enter(name, case)
        except UnavailableError as reason:
            result.absent[name] = str(reason)
            continue
        wrong = None if name == "ceiling" else objection(contestant, loop)
        if wrong is not None:
            result.wrong[name] = wrong
            continue
        result.agreement[name] = "–" if name == "ceiling" else "torch's loop, to 1e-5"
        contestants.append(contestant)
    result.samples = measure(contestants, effort)
    return result


def run(
    chosen: Sequence[Case],
    peers: Sequence[str] = tuple(TORCH),
    *,
    count: int | None = None,
    effort: Effort = FULL,
    watch: Callable[[Case], object] = lambda case: None,
) -> Run:
    """Run some cases; `watch` hears of each before it begins. Ctrl-C ends the run early and marks it interrupted."""
    from schuss.benchmark import suite

    settings = suite.Settings(recipes=(), peers=peers, threads=count, effort=effort)
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    described: dict[str, Any] = {"suite": "torch", "peers": list(peers), **asdict(effort)}
    done = Run(started, {}, described)
    with thread_count(count, with_torch=True):
        done.machine = suite.machine(settings)
        try:
            for case in chosen:
                watch(case)
                done.results.append(measure_case(case, peers, effort))
        except KeyboardInterrupt:
            done.interrupted = True
    return done


def of_ceiling(workload: str) -> Callable[[Results], Reached | None]:
    """The least fraction of the ceiling on a list."""
    return lambda results: least(
        [(r.recipe, r.speedup("ceiling")) for r in results if r.workload == workload and r.has("schuss", "ceiling")]
    )


ANY = tuple(TORCH)
FOUR = ("nadam", "radam", "adadelta", "rprop")

TARGETS = (
    Target("× torch fused: AdamW, 200 tensors of 1000", 8, against_torch(["adamw"], "200x1000", "torch-fused")),
    Target("× torch's best: NAdam, RAdam, Adadelta, Rprop, ResNet-50", 4, against_torch(FOUR, "resnet50", *ANY)),
    Target("× torch's best: RMSprop, ResNet-50", 2.3, against_torch(["rmsprop"], "resnet50", *ANY)),
    Target("fraction of the ceiling, every drop-in, ResNet-50", 0.9, of_ceiling("resnet50")),
)
