"""What the suite of all that is around a step measures: AdamW in configurations, each checked against the reference."""

import importlib
import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss import _core, optimizers, reference
from schuss.benchmark import cases
from schuss.benchmark.contestants import Arrays, UnavailableError, draw
from schuss.benchmark.verify import STEPS, STRETCH
from schuss.reference import one_pass, storage

Array = NDArray[Any]

RECIPE = next(recipe for recipe in cases.RECIPES if recipe.name == "adamw")

OPTIONS: dict[str, Any] = {**RECIPE.options, "convention": "torch"}

BYTES = {"float32": 4, "bfloat16": 2, "uint8": 1 + 4 / 256}  # with a scale for every 256 codes


@dataclass(frozen=True)
class Configuration:
    """AdamW with what is done around it, and the formats in which the arrays are stored.

    Attributes:
        name: What it is called in the tables.
        phase: The options of the optimizer.
        params: What the parameters are stored in; also `grads`, and `copies`, or "" for none.
        peers: Which contestants do the same work, beside the ceiling.
    """

    name: str
    phase: dict[str, Any]
    params: str = "float32"
    grads: str = "float32"
    copies: str = ""
    peers: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """What the states are stored in."""
        return self.phase.get("state_dtype") or "float32"

    @property
    def bytes_per_element(self) -> float:
        """What a step moves: all arrays once each way, but for the gradient and the copy; the norm reads g again."""
        both_ways = BYTES[self.params] + 2 * BYTES[self.state] + (BYTES["float32"] if "average" in self.phase else 0)
        of_gradient = 1 + ("clip_norm" in self.phase) + ("zero_grad" in self.phase)
        return 2 * both_ways + of_gradient * BYTES[self.grads] + (BYTES[self.copies] if self.copies else 0)


THREE_CALLS: dict[str, Any] = {"clip_norm": 1.0, "average": "ema", "average_decay": 0.999}
TORCH = ("torch", "torch-fused")
OWN = ("schuss-float32",)

CONFIGURATIONS = (
    Configuration("clip, average", THREE_CALLS, peers=TORCH),
    Configuration("clip, average, 8-bit state", {**THREE_CALLS, "state_dtype": "uint8"}, peers=(*TORCH, *OWN)),
    Configuration("8-bit state", {"state_dtype": "uint8"}, peers=OWN),
    Configuration("bfloat16 state", {"state_dtype": "bfloat16"}, peers=OWN),
    Configuration("mixed precision", {"clip_norm": 1.0}, grads="bfloat16", copies="bfloat16"),
    Configuration("pure bfloat16", {"clip_norm": 1.0, "state_dtype": "bfloat16"}, "bfloat16", "bfloat16"),
    Configuration("zero_grad", {"zero_grad": True}),
)


@dataclass(frozen=True)
class Case:
    """One measurement."""

    configuration: Configuration
    workload: cases.Workload

    def start(self) -> Arrays:
        """The parameters and gradients from which every contestant starts."""
        return draw(cases.Case(RECIPE, self.workload))


@dataclass
class Own:
    """AdamW of this package in a configuration, with arrays of its own. Raises UnavailableError without bfloat16."""

    configuration: Configuration
    start: Arrays
    params: list[Array] = field(init=False)
    grads: list[Array] = field(init=False)
    copies: list[Array] | None = field(init=False, default=None)
    optimizer: optimizers.AdamW = field(init=False)

    def __post_init__(self) -> None:
        c = self.configuration
        self.params = [p.astype(held(c.params)) for p in self.start.params]
        self.grads = [g.astype(held(c.grads)) for g in self.start.grads]
        if c.copies:
            self.copies = [np.zeros(p.shape, held(c.copies)) for p in self.params]
        self.optimizer = optimizers.AdamW(self.params, **OPTIONS, **c.phase, copies=self.copies)

    def step(self) -> None:
        """Take a step."""
        self.optimizer.step(self.grads)

    @property
    def moves(self) -> list[_core.Moved]:
        """What a step moves, as `bytes_per_element` counts it."""
        phase, (states,) = self.configuration.phase, self.optimizer._states
        gradient = "r" * (1 + ("clip_norm" in phase)) + "w" * ("zero_grad" in phase)
        kept = [(name, "rw", arrays) for name, arrays in states.named().items()]
        copies = [] if self.copies is None else [("copies", "w", self.copies)]
        return [("params", "rw", self.params), ("grads", gradient, self.grads), *kept, *copies]

    @property
    def states(self) -> dict[str, list[Array]]:
        """The states, their scales and the average, as they are stored."""
        averaging = self.optimizer.phase["average"] is not None
        return {**self.optimizer.state, **({"average": self.optimizer.average()} if averaging else {})}


def held(dtype: str) -> Any:
    """What NumPy holds a format in."""
    if dtype != "bfloat16":
        return np.dtype(dtype)
    try:
        return importlib.import_module("ml_dtypes").bfloat16
    except ImportError as error:
        raise UnavailableError("ml_dtypes is not installed: NumPy needs it for bfloat16") from error


# ---- the reference ----


def few(workload: cases.Workload) -> cases.Workload:
    """The first tensors of a workload, or the first elements of a single one: enough for more than one thread."""
    if len(workload.shapes) == 1:
        return cases.single(min(workload.elements, STRETCH + 4465))
    sizes = itertools.accumulate(math.prod(shape) for shape in workload.shapes)
    shapes = [shape for shape, size in zip(workload.shapes, sizes, strict=True) if size <= 2 * STRETCH]
    return cases.Workload("few", tuple(shapes))


def as_reference(configuration: Configuration, start: Arrays) -> list[one_pass.Tensor]:
    """The tensors for the reference."""
    c, rule = configuration, cases.RULES["adamw"]
    names = [name for name, *_ in rule["states"]]
    formats: dict[Any, str] = {"theta": c.params, "g": c.grads, "copy": c.copies, **dict.fromkeys((0, 1), c.state)}
    formats = {name: dtype for name, dtype in formats.items() if dtype not in ("", "float32")}
    positive = [k for k, name in enumerate(names) if name in rule["positive"]]
    return [
        one_pass.Tensor(
            theta=storage.encode(p, c.params),
            g=storage.encode(g, c.grads),
            states=[storage.encode(np.zeros_like(p), c.state, positive=k in positive) for k in range(len(names))],
            average=np.zeros_like(p) if "average" in c.phase else None,
            copy=np.zeros(p.shape, np.uint16) if c.copies else None,
            formats=formats,
            positive=positive,
        )
        for p, g in zip(start.params, start.grads, strict=True)
    ]


def objection(own: Own) -> str | None:
    """What differs from the reference, in any bit of any array, after some steps of both; or None."""
    tensors, phase = as_reference(own.configuration, own.start), dict(own.configuration.phase)
    phase.pop("state_dtype", None)
    for number in range(1, STEPS + 1):
        own.step()
        norm = one_pass.one_pass(
            reference.adamw, tensors, number=number, counted=True, options=OPTIONS, points=number - 1,
            stochastic=True, **phase,
        )  # fmt: skip
        if own.optimizer.grad_norm not in (None, norm):
            return f"grad_norm is {own.optimizer.grad_norm!r}, expected {norm!r}"
    for i, tensor in enumerate(tensors):
        for name, right in by_name(tensor).items():
            got = {"params": own.params, "grads": own.grads, "copies": own.copies or [], **own.states}[name][i]
            wrong = np.count_nonzero(got.view(f"u{got.itemsize}") != right.view(f"u{right.itemsize}"))
            if wrong:
                return f"{name}[{i}]: {wrong} of {got.size} elements differ from the reference"
    return None


def by_name(tensor: one_pass.Tensor) -> dict[str, Array]:
    """The arrays of the reference, as the optimizer calls them."""
    found = {"params": tensor.theta, "grads": tensor.g, "copies": tensor.copy, "average": tensor.average}
    for (name, *_), state in zip(cases.RULES["adamw"]["states"], tensor.states, strict=True):
        codes, scales = state if isinstance(state, tuple) else (state, None)
        found |= {name: codes, f"{name}_scale": scales}
    return {name: array for name, array in found.items() if array is not None}
