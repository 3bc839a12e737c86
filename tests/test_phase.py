"""A step with all that is around the update rule equals the reference bit for bit, and does what it says."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cases import LEVELS, RULES, Case
from schuss import reference
from schuss.reference import one_pass, storage

HELD = {"bfloat16": np.uint16, "float16": np.float16, "float32": np.float32, "float64": np.float64}

SHAPES = [(), (0,), (1,), (255,), (256,), (4, 250), (1024,), (5003,)]


@dataclass(frozen=True)
class Around:
    """What is done around a rule, and in which formats the arrays are stored."""

    why: str
    phase: dict[str, Any] = field(default_factory=dict)
    theta: str = "float32"
    g: str = "float32"
    state: str = ""
    copy: str = ""

    def __str__(self) -> str:
        return self.why.replace(" ", "_")

    @property
    def computed(self) -> Any:
        return np.float64 if self.theta == "float64" else np.float32


AROUND = [
    Around("nothing"),
    Around("unscale", {"grad_scale": 1024.0}),
    Around("clip by norm", {"clip_norm": 0.5}),
    Around("measure only", {"clip_norm": math.inf}),
    Around("clip by value", {"clip_value": 0.25}),
    Around("clip by both and unscale", {"clip_norm": 20.0, "clip_value": 0.1, "grad_scale": 3.0}),
    Around("zero the gradient", {"zero_grad": True}),
    Around("exponential average", {"average": "ema", "average_decay": 0.9}),
    Around("uniform average", {"average": "uniform"}),
    Around("all in float64", {"clip_norm": 1.0, "average": "ema", "zero_grad": True}, "float64", "float64", "bfloat16"),
    Around("bfloat16 gradients and copy", {"clip_norm": 1.0}, g="bfloat16", copy="bfloat16"),
    Around("float16 gradients and copy", {"grad_scale": 256.0}, g="float16", copy="float16"),
    Around("pure bfloat16", {"stochastic": True, "seed": 5}, "bfloat16", "bfloat16", "bfloat16"),
    Around("pure bfloat16 to the nearest", {"average": "ema"}, "bfloat16", "bfloat16", "bfloat16"),
    Around("float16 parameters", {"stochastic": True}, "float16", "float32", "float32"),
    Around("8 bits", {"stochastic": True, "seed": 1, "average": "ema"}, state="uint8"),
    Around("8 bits to the nearest", state="uint8"),
    Around(
        "8 bits and what follows", {"stochastic": True, "zero_grad": True}, g="bfloat16", state="uint8", copy="bfloat16"
    ),
    Around(
        "8 bits, clipped, and what follows",
        {"clip_value": 0.25, "average": "uniform", "zero_grad": True},
        g="float16",
        state="uint8",
        copy="float16",
    ),
    Around("8 bits beside float64", {"stochastic": True}, "float64", "float64", "uint8"),
    Around(
        "everything",
        {"stochastic": True, "clip_norm": 0.5, "average": "uniform", "zero_grad": True},
        "bfloat16",
        "float16",
        "uint8",
        "float16",
    ),
]


class Run:
    """Arrays of a case twice: to step by a core and by the reference."""

    def __init__(self, case: Case, around: Around, shapes: list[Any]) -> None:
        self.case, self.around, self.rng = case, around, np.random.default_rng(3)
        self.tensors = [self._tensor(shape) for shape in shapes]
        self.actual = [self._copy(t) for t in self.tensors]
        self.points = 0

    def _stored(self, values: np.ndarray, format: str, positive: bool = False) -> Any:
        if format in ("float32", "float64"):
            return values.astype(format)
        return storage.encode(values, format, positive=positive)

    def _tensor(self, shape: Any) -> one_pass.Tensor:
        around, rule = self.around, RULES[self.case.rule]
        names = [name for name, _, _ in rule["states"]]
        plain = "float64" if around.theta == "float64" else "float32"
        formats: dict[Any, str] = {} if around.theta == plain else {"theta": around.theta}
        formats |= {} if around.g == plain else {"g": around.g}
        formats |= {"copy": around.copy} if around.copy else {}
        state = around.state or plain
        formats |= {} if state == plain else dict.fromkeys(range(len(names)), state)
        positive = [k for k, name in enumerate(names) if name in rule["positive"]]
        states = [
            None if s is None else self._stored(s, state, k in positive)
            for k, s in enumerate(self.case.states(shape, around.computed))
        ]
        return one_pass.Tensor(
            theta=self._stored(self.rng.standard_normal(shape), around.theta),
            g=self._stored(np.zeros(shape), around.g),
            states=states,
            average=np.zeros(shape, around.computed) if around.phase.get("average") else None,
            copy=np.zeros(shape, HELD[around.copy]) if around.copy else None,
            formats=formats,
            positive=positive,
        )

    def _copy(self, t: one_pass.Tensor) -> one_pass.Tensor:
        def same(x: Any) -> Any:
            return tuple(a.copy() for a in x) if isinstance(x, tuple) else None if x is None else x.copy()

        return one_pass.Tensor(
            same(t.theta), same(t.g), [same(s) for s in t.states], same(t.average), same(t.copy), t.formats, t.positive
        )

    def draw(self) -> None:
        """New gradients, the same for both."""
        for mine, other in zip(self.tensors, self.actual, strict=True):
            values = self.rng.standard_normal(mine.g.shape) * 0.1
            mine.g[...] = other.g[...] = self._stored(values, self.around.g)

    def step_reference(self, number: int) -> float:
        phase = dict(self.around.phase.items())
        options = self.case.options
        return one_pass.one_pass(
            getattr(reference, self.case.rule),
            self.tensors,
            number=number,
            counted=RULES[self.case.rule]["counts_steps"],
            options=options,
            points=self.points,
            **phase,
        )

    def step_core(self, core: Any, number: int, threads: int) -> float | None:
        around, rule = self.around, RULES[self.case.rule]
        split = [[s if isinstance(s, tuple) else (s, None) for s in t.states] for t in self.actual]
        columns = list(zip(*split, strict=True)) if rule["states"] else []
        states = [None if column[0][0] is None else [s for s, _ in column] for column in columns]
        scales = tuple([scale for _, scale in column] for column in columns)
        averages = [t.average for t in self.actual] if around.phase.get("average") else None
        copies = [self._as_core(t.copy, around.copy) for t in self.actual] if around.copy else None
        extras = {"scales": scales, "averages": averages, "copies": copies}
        thetas = [self._as_core(t.theta, around.theta) for t in self.actual]
        group = self.case.group(thetas, states)
        grads = [self._as_core(t.g, around.g) for t in self.actual]
        convention = self.case.options.get("convention", "book")
        request = {**around.phase, "averaging": around.phase.get("average") or "", "convention": convention}
        request = {"average_decay": 0.999, **request, "averaged": self.points}
        measured: dict[str, Any] = {}
        assert core.step_phase([(*group[:5], extras)], [grads], number, threads, [], request, measured, [])
        return measured.get("grad_norm")

    def _as_core(self, array: np.ndarray, format: str) -> Any:
        return array.view(pytest.importorskip("ml_dtypes").bfloat16) if format == "bfloat16" else array

    def compare(self) -> None:
        for mine, other in zip(self.tensors, self.actual, strict=True):
            for a, b in zip(
                [mine.theta, mine.g, mine.average, mine.copy, *mine.states],
                [other.theta, other.g, other.average, other.copy, *other.states],
                strict=True,
            ):
                for x, y in zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]:
                    np.testing.assert_array_equal(x, y)


def assert_same(case: Case, around: Around, core: Any, shapes: list[Any], threads: int = 1, steps: int = 3) -> None:
    run = Run(case, around, shapes)
    for number in range(1, steps + 1):
        run.draw()
        expected, measured = run.step_reference(number), run.step_core(core, number, threads)
        assert measured is None or measured == expected
        run.compare()
        run.points += 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("around", AROUND, ids=str)
def test_all_that_is_around_a_rule_equals_the_reference(around, level):
    for convention in ("book", "torch"):
        assert_same(Case("adam", "phase", {"convention": convention}), around, LEVELS[level], SHAPES)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_in_few_bits_equals_the_reference(rule, level):
    for around in AROUND[-9:]:
        assert_same(Case(rule, "phase"), around, LEVELS[level], [257, 1030], steps=2)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_every_number_of_threads_gives_the_same_bits(threads, level):
    for around in (AROUND[5], AROUND[12], AROUND[15]):
        assert_same(Case("adam", "phase"), around, LEVELS[level], [300_001, 5, 70_000], threads=threads, steps=2)
