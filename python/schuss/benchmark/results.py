"""What was measured: samples, the ratios between them, and their form in JSON."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from schuss.benchmark.measure import Samples

FORMAT = 1


class Spread(NamedTuple):
    """A median and the quartiles around it."""

    median: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of the distance between the quartiles."""
        return (self.high - self.low) / 2


def spread(values: Sequence[float]) -> Spread:
    """The median and the quartiles of some values."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


@dataclass
class Result:
    """The measurement of one case.

    Attributes:
        recipe: The recipe's name, and of what rule it is.
        workload: The workload's name: the number of elements, or the list's name.
        elements: The number of elements of all arrays, of which there are `arrays`.
        dtype: Of all arrays.
        options: The hyperparameters.
        bytes_per_element: What a step moves at least.
        samples: Seconds for a step, by contestant and round; None where it sat out a round.
        agreement: With what each contestant was found to agree before it was timed.
        absent: Why contestants did not take part.
        wrong: What was wrong with the contestants that were not timed because they computed something else.
    """

    recipe: str
    rule: str
    workload: str
    elements: int
    arrays: int
    dtype: str
    options: dict[str, Any]
    bytes_per_element: float
    samples: Samples = field(default_factory=dict)
    agreement: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the case."""
        return self.recipe, self.workload, self.dtype

    def has(self, *names: str) -> bool:
        """Whether all of these contestants were timed."""
        return all(name in self.samples for name in names)

    def seconds(self, name: str) -> Spread:
        """The time of a step."""
        return spread([s for s in self.samples[name] if s is not None])

    def ratio(self, slow: str, fast: str) -> Spread:
        """How many times as long one contestant takes as another: the median over the rounds that both took part in."""
        pairs = zip(self.samples[slow], self.samples[fast], strict=True)
        return spread([s / f for s, f in pairs if s is not None and f is not None])

    def speedup(self, peer: str) -> Spread:
        """How many times as fast as a peer this package is; for the ceiling, which fraction of it is reached."""
        return self.ratio(peer, "schuss")

    @property
    def gigabytes_per_second(self) -> float:
        """At which rate this package moves what a step must move."""
        return self.elements * self.bytes_per_element / self.seconds("schuss").median / 1e9

    def summary(self) -> dict[str, Any]:
        """The numbers that readers of the JSON want."""
        ours: dict[str, Any] = {}
        if self.has("schuss"):
            speedups = {peer: self.speedup(peer)._asdict() for peer in self.samples if peer != "schuss"}
            ours["of_ceiling"] = speedups.pop("ceiling", None)
            ours["gigabytes_per_second"] = self.gigabytes_per_second
            ours["times_as_fast_as"] = speedups
        return {"seconds": {name: self.seconds(name)._asdict() for name in self.samples}, **ours}


@dataclass
class Run:
    """All that `--json` writes: the machine, the settings, the results, and the cases left out with the reason."""

    started: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    results: list[Result] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    def to_json(self, targets: list[dict[str, Any]]) -> str:
        """The run and what it says of the targets, as JSON."""
        document = {"format": FORMAT, **asdict(self), "targets": targets}
        document["results"] = [{**asdict(result), "summary": result.summary()} for result in self.results]
        return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def from_json(text: str) -> Run:
    """A run as `to_json` has written it. Raises ValueError if it is something else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"it is no benchmark run of format {FORMAT}")
    try:
        results = [Result(**{k: v for k, v in r.items() if k != "summary"}) for r in document["results"]]
        return Run(**{**{name: document[name] for name in Run.__dataclass_fields__}, "results": results})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no whole benchmark run: {error}") from error
