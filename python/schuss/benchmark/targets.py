"""What the measurements must show on two cores, as ratios in one run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schuss.benchmark.cases import RECIPES
from schuss.benchmark.results import Result, Spread

RULES = {recipe.name for recipe in RECIPES if recipe.name == recipe.rule}  # the recipes that are no variants

Results = Sequence[Result]


@dataclass(frozen=True)
class Reached:
    """What a run says of a target: the value, what it is taken from, and of how many measurements."""

    value: Spread
    where: str
    count: int


@dataclass(frozen=True)
class Target:
    """A claim: what is measured, the least that it must be, and how to find it in the results of a run.

    `find` gives None where the run has nothing to say.
    """

    claim: str
    wanted: float
    find: Callable[[Results], Reached | None]


@dataclass(frozen=True)
class Finding:
    """A target and what was reached."""

    target: Target
    reached: Reached

    @property
    def verdict(self) -> str:
        """`ok`; `within spread`, if the median falls short but the upper quartile does not; or `short`."""
        if self.reached.value.median >= self.target.wanted:
            return "ok"
        return "within spread" if self.reached.value.high >= self.target.wanted else "short"

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data."""
        value, reached = self.reached.value._asdict(), self.reached
        found = {"reached": value, "where": reached.where, "measurements": reached.count, "verdict": self.verdict}
        return {"claim": self.target.claim, "wanted": self.target.wanted, **found}


def size(result: Result) -> int:
    """The number of elements of the single array, or 0 for a list of arrays."""
    return result.elements if result.workload.isdigit() else 0


def least(named: Sequence[tuple[str, Spread]]) -> Reached | None:
    """The smallest of some values, by their medians."""
    if not named:
        return None
    where, value = min(named, key=lambda pair: pair[1].median)
    return Reached(value, f"least: {where}" if len(named) > 1 else where, len(named))


def _named(result: Result) -> str:
    return f"{result.recipe} {result.workload}"


def of_ceiling(sizes: Callable[[int], bool]) -> Callable[[Results], Reached | None]:
    """The least fraction of the ceiling, over all recipes and over the sizes for which `sizes` is true."""
    return lambda results: least(
        [(_named(r), r.speedup("ceiling")) for r in results if sizes(size(r)) and r.has("schuss", "ceiling")]
    )


def against_numpy(form: str) -> Callable[[Results], Reached | None]:
    """The geometric mean over the rules (without their variants) and the sizes from 10⁵."""

    def find(results: Results) -> Reached | None:
        found = [r for r in results if size(r) >= 10**5 and r.recipe in RULES and r.has("schuss", form)]
        if not found:
            return None
        speedups = [r.speedup(form) for r in found]
        mean = Spread(*(math.exp(sum(map(math.log, column)) / len(found)) for column in zip(*speedups, strict=True)))
        return Reached(mean, "geometric mean", len(found))

    return find


def against_torch(recipes: Sequence[str], workload: str, *forms: str) -> Callable[[Results], Reached | None]:
    """The least ratio over some recipes, each against the fastest of some forms of torch."""

    def find(results: Results) -> Reached | None:
        found = []
        for r in results:
            timed = [form for form in forms if r.has("schuss", form)]
            if r.recipe in recipes and r.workload == workload and timed:
                best = min(timed, key=lambda form: r.seconds(form).median)
                found.append((f"{_named(r)}, {best}" if len(forms) > 1 else _named(r), r.speedup(best)))
        return least(found)

    return find


def growth(small: int, large: int) -> Callable[[Results], Reached | None]:
    """How much less the cost per element grows from one size to another than the ceiling's own, for the worst rule.

    That is the fraction of the ceiling at the large size, divided by that at the small one.
    """

    def find(results: Results) -> Reached | None:
        at = {(r.recipe, size(r)): r.speedup("ceiling") for r in results if r.has("schuss", "ceiling")}
        found = []
        for recipe in [recipe for recipe, n in at if n == small and (recipe, large) in at]:
            a, b = at[recipe, small], at[recipe, large]
            found.append((recipe, Spread(b.median / a.median, b.low / a.high, b.high / a.low)))
        return least(found)

    return find


FUSED = ("momentum", "adam", "adagrad")
ANY_TORCH = ("torch", "torch-foreach", "torch-fused")

TARGETS = (
    Target("fraction of the ceiling, every rule, n ≥ 10⁷", 0.95, of_ceiling(lambda n: n >= 10**7)),
    Target("fraction of the ceiling, every rule, n = 10⁶", 0.85, of_ceiling(lambda n: n == 10**6)),
    Target("fraction of the ceiling, every rule, n = 10⁵", 0.75, of_ceiling(lambda n: n == 10**5)),
    Target("× NumPy's textbook expressions, n ≥ 10⁵", 12, against_numpy("numpy")),
    Target("× NumPy's best in-place form, n ≥ 10⁵", 6, against_numpy("numpy-inplace")),
    Target("× torch fused: Adam, momentum, AdaGrad, n = 10⁵", 1.8, against_torch(FUSED, "100000", "torch-fused")),
    Target("× torch fused: Adam, momentum, AdaGrad, n = 10⁶", 1.2, against_torch(FUSED, "1000000", "torch-fused")),
    Target("× torch fused: Adam, momentum, AdaGrad, n = 5·10⁷", 1.0, against_torch(FUSED, "50000000", "torch-fused")),
    Target("× torch fused: AdamW, 200 tensors of 1000", 10, against_torch(["adamw"], "200x1000", "torch-fused")),
    Target("× torch's best: RMSProp, ResNet-50", 2.3, against_torch(["rmsprop"], "resnet50", *ANY_TORCH)),
    Target("× torch's best: AdaDelta, ResNet-50", 4, against_torch(["adadelta"], "resnet50", *ANY_TORCH)),
    Target("cost growth 10⁵ → 5·10⁷: the ceiling's / every rule's", 1.0, growth(10**5, 5 * 10**7)),
)


def evaluate(results: Results, targets: Sequence[Target] = TARGETS) -> list[Finding]:
    """The targets of which the results say anything."""
    found = [(target, target.find(results)) for target in targets]
    return [Finding(target, reached) for target, reached in found if reached is not None]
