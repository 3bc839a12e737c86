"""Who takes part: this package, the ceiling, NumPy in two forms, torch in up to three."""

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import _core, reference, threads
from schuss.benchmark import inplace
from schuss.benchmark.cases import Case, Torch

Array = NDArray[Any]

TORCH: dict[str, dict[str, bool]] = {"torch": {}, "torch-foreach": {"foreach": True}, "torch-fused": {"fused": True}}

PEERS = ("numpy", "numpy-inplace", *TORCH)

SEED = 20_250_101


class UnavailableError(Exception):
    """A contestant cannot take part; the message says why."""


@dataclass(frozen=True)
class Agreement:
    """With which convention of the reference a contestant must agree, and how closely.

    A parameter may be off by `ulps` units in the last place of the parameter, plus `change` such units of the distance
    that it has travelled. Zeros mean bit for bit, and then the states are compared as well.
    """

    convention: str
    ulps: float = 0
    change: float = 0

    @property
    def exact(self) -> bool:
        """Whether it must agree bit for bit."""
        return self.ulps == self.change == 0

    def __str__(self) -> str:
        limit = "bit for bit" if self.exact else f"{self.ulps:g} ulp of θ + {self.change:g} ulp of its change"
        return f"{self.convention} reference, {limit}"


@dataclass
class Contestant:
    """One way to take a step, with arrays of its own.

    Attributes:
        name: Its name on the command line.
        step: Takes one step.
        params: The parameters.
        states: The states by name, where they are to be verified too.
        agreement: What its parameters must agree with, or None where nothing is computed.
        moves: The arrays that a step moves, for the ceiling.
    """

    name: str
    step: Callable[[], object]
    params: list[Array]
    states: dict[str, list[Array]] = field(default_factory=dict)
    agreement: Agreement | None = None
    moves: list[_core.Moved] = field(default_factory=list)


def ceiling(contestant: Contestant) -> Contestant:
    """Moves the memory of another contestant's step and computes nothing: it leaves every value as it is.

    It is the same memory because pages differ: what one allocation gets may be twice as fast as what the next one gets.
    """
    labels = [f"[{i}]" for i in range(len(contestant.params))]
    move = functools.partial(_core.move, contestant.moves, labels, threads.get_num_threads())
    return Contestant("ceiling", move, contestant.params)


@dataclass
class Arrays:
    """Parameters, gradients and the states that the recipe keeps; `by_tensor` has None for the others."""

    params: list[Array]
    grads: list[Array]
    states: dict[str, list[Array]] = field(default_factory=dict)

    def copy(self, case: Case) -> "Arrays":
        """Copies of the parameters and gradients, and states as they are before the first step."""
        params = [p.copy() for p in self.params]
        states = {
            name: [np.full_like(p, start) for p in params]
            for name, start in case.recipe.states.items()
            if start is not None
        }
        return Arrays(params, [g.copy() for g in self.grads], states)

    def by_tensor(self, case: Case) -> list[tuple[Array | None, ...]]:
        """For each parameter: itself, its gradient, and every state of the rule, in order."""
        states = [self.states.get(name, [None] * len(self.params)) for name in case.recipe.states]
        return list(zip(self.params, self.grads, *states, strict=True))


def draw(case: Case) -> Arrays:
    """The parameters and gradients from which every contestant starts: normal, of deviation 0.1 and 0.01."""
    rng = np.random.default_rng(SEED)
    dtype: Any = np.dtype(case.dtype).type

    def normal(deviation: float) -> list[Array]:
        arrays = [rng.standard_normal(shape, dtype) for shape in case.workload.shapes]
        for array in arrays:
            array *= deviation
        return arrays

    return Arrays(normal(0.1), normal(0.01))


def enter(name: str, case: Case, start: Arrays) -> Contestant:
    """The contestant of that name, ready for its first step. Raises UnavailableError."""
    if name in TORCH:
        return _torch(name, case, start)
    return {"schuss": _schuss, "numpy": _numpy, "numpy-inplace": _numpy_inplace}[name](case, start)


def _schuss(case: Case, start: Arrays) -> Contestant:
    arrays = start.copy(case)
    optimizer = case.recipe.optimizer(arrays.params, **case.recipe.options)
    step = functools.partial(optimizer.step, arrays.grads)
    states = [(name, "rw", own) for name, own in optimizer.state.items()]
    moves = [("params", "rw", arrays.params), ("grads", "r", arrays.grads), *states]
    return Contestant("schuss", step, arrays.params, optimizer.state, Agreement("book"), moves)


class Looped:
    """Steps with a function that updates one parameter at a time.

    Args:
        rule: The function, with the arguments of `schuss.reference`.
        case: Whose options to use.
        arrays: What to step.
        own: Further arguments, each a list with a value for every parameter.
    """

    def __init__(self, rule: Callable[..., None], case: Case, arrays: Arrays, **own: Sequence[Any]) -> None:
        self._calls = [
            functools.partial(rule, *tensor, **{name: values[i] for name, values in own.items()})
            for i, tensor in enumerate(arrays.by_tensor(case))
        ]
        self._options = case.recipe.reference_options

    def __call__(self) -> None:
        """Take one step."""
        if "step" in self._options:
            self._options["step"] += 1
        for call in self._calls:
            call(**self._options)


def _numpy(case: Case, start: Arrays) -> Contestant:
    arrays = start.copy(case)
    step = Looped(getattr(reference, case.recipe.rule), case, arrays)
    return Contestant("numpy", step, arrays.params, arrays.states, Agreement("book"))


def _numpy_inplace(case: Case, start: Arrays) -> Contestant:
    arrays = start.copy(case)
    longest = max(p.size for p in arrays.params)
    a, b, mask = np.empty(longest, case.dtype), np.empty(longest, case.dtype), np.empty(longest, np.bool_)
    scratch = [inplace.Scratch(*(space[: p.size].reshape(p.shape) for space in (a, b, mask))) for p in arrays.params]
    step = Looped(getattr(inplace, case.recipe.rule), case, arrays, scratch=scratch)
    return Contestant("numpy-inplace", step, arrays.params, agreement=Agreement("book", 4, 16))


def load_torch() -> Any:
    """The module torch. Raises UnavailableError where it cannot be imported."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        raise UnavailableError("torch is not installed" if missing else f"torch cannot be imported: {error}") from error


def torch_parameters(torch: Any, start: Arrays) -> list[Any]:
    """The parameters with their gradients, in torch's own memory."""
    params = [torch.nn.Parameter(torch.tensor(p)) for p in start.params]
    for param, g in zip(params, start.grads, strict=True):
        param.grad = torch.tensor(g)
    return params


def _torch(name: str, case: Case, start: Arrays) -> Contestant:
    counterpart = case.recipe.torch
    if not isinstance(counterpart, Torch):
        raise UnavailableError(counterpart)
    if name in counterpart.lacks:
        raise UnavailableError(counterpart.lacks[name])
    torch = load_torch()
    params = torch_parameters(torch, start)
    optimizer = getattr(torch.optim, counterpart.optimizer)(params, **counterpart.options, **TORCH[name])
    views = [param.detach().numpy() for param in params]
    coarser = np.finfo(np.float32).eps / np.finfo(case.dtype).eps if counterpart.float32_schedules else 1.0
    return Contestant(name, optimizer.step, views, agreement=Agreement("torch", 4, 64 * float(coarser)))


@contextmanager
def thread_count(count: int | None, with_torch: bool) -> Iterator[None]:
    """Let this package use `count` threads (None: as many as it does), and torch as many."""
    before = threads.get_num_threads()
    if count is not None:
        threads.set_num_threads(count)
    try:
        torch = load_torch() if with_torch else None
    except UnavailableError:
        torch = None
    torch_before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(threads.get_num_threads())
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(torch_before)
        if count is not None:
            threads.set_num_threads(before)
