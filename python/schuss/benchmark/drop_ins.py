"""The drop-ins of `schuss.torch` against torch's own optimizers, in all forms that torch has."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from schuss.benchmark.cases import LISTS, RECIPES, Case, Recipe, Torch
from schuss.benchmark.contestants import (
    TORCH,
    Contestant,
    UnavailableError,
    ceiling,
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


@dataclass
class DropIn:
    """An optimizer of torch or of `schuss.torch` after its first steps; before them there are no states.

    Attributes:
        name: Its name on the command line.
        optimizer: The optimizer.
        tensors: What its step moves, by name: the parameters, the gradients, and states of their shapes.
    """

    name: str
    optimizer: Any
    tensors: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        for _ in range(STEPS):
            self.optimizer.step()
        (group,) = self.optimizer.param_groups
        params, states = group["params"], [self.optimizer.state[p] for p in group["params"]]
        alike = [name for name, one in states[0].items() if getattr(one, "shape", None) == params[0].shape]
        self.tensors = {"params": params, "grads": [p.grad for p in params]}
        self.tensors |= {name: [own[name] for own in states] for name in alike}

    def move_into(self, other: "DropIn") -> None:
        """Go on in the memory of another one, with its values: pages differ in speed."""
        for name, tensors in self.tensors.items():
            for mine, theirs in zip(tensors, other.tensors[name], strict=True):
                mine.data = theirs.data

    def contestant(self) -> Contestant:
        """It as it is timed."""
        arrays = {name: [tensor.detach().numpy() for tensor in own] for name, own in self.tensors.items()}
        moves = [(name, "r" if name == "grads" else "rw", own) for name, own in arrays.items()]
        return Contestant(self.name, self.optimizer.step, arrays["params"], moves=moves)


def enter(name: str, case: Case) -> DropIn:
    """The drop-in, or torch's optimizer in one of its forms. Raises UnavailableError."""
    counterpart = case.recipe.torch
    assert isinstance(counterpart, Torch)
    if name in counterpart.lacks:
        raise UnavailableError(counterpart.lacks[name])
    torch = load_torch()
    if name == "schuss":
        import schuss.torch as module
    else:
        module = torch.optim
    form = {"foreach": False} if name == "torch" else TORCH.get(name, {})
    make = getattr(module, counterpart.optimizer)
    return DropIn(name, make(torch_parameters(torch, draw(case)), **counterpart.options, **form))


def objection(entry: DropIn, expected: DropIn) -> str | None:
    """What is wrong with the parameters of an entry, or None."""
    for i, (got, right) in enumerate(zip(entry.tensors["params"], expected.tensors["params"], strict=True)):
        error = float((got - right).detach().abs().max())
        if not error < 1e-5:
            return f"params[{i}] is off by {error:g}"
    return None


def line_up(case: Case, peers: Sequence[str], result: Result) -> list[Contestant]:
    """The contestants that take part and are where torch's plain loop is, from then on all in the same memory.

    `result` gets to know why the others are not here.
    """
    loop = enter("torch", case)
    ready = [loop.contestant()] if "torch" in peers else []
    for name in ("schuss", *(peer for peer in peers if peer != "torch")):
        try:
            entry = enter(name, case)
        except UnavailableError as reason:
            result.absent[name] = str(reason)
            continue
        if wrong := objection(entry, loop):
            result.wrong[name] = wrong
            continue
        entry.move_into(loop)
        contestant = entry.contestant()
        result.agreement[name] = "torch's loop, to 1e-5"
        ready += [contestant, ceiling(contestant)] if name == "schuss" else [contestant]
    return ready


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
    result.samples = measure(line_up(case, peers, result), effort)
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
