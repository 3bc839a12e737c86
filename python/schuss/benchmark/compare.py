"""Two runs side by side: `schuss bench --compare old.json new.json`."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from schuss.benchmark import report
from schuss.benchmark.results import Result, Run, Spread, from_json

LEAST_CHANGE = 0.03  # two runs of the same program differ by as much, with its memory in other places


@dataclass(frozen=True)
class Change:
    """What has become of one case.

    Attributes:
        old: The earlier measurement.
        new: The later one.
        value: How many times as fast it is now. If both runs have the ceiling, relative to it, so that a machine that
            was slower or busier in one of them does not count.
    """

    old: Result
    new: Result
    value: Spread

    @property
    def verdict(self) -> str:
        """`faster` or `slower` if the change is beyond the noise: the quartiles lie apart, and it is no trifle."""
        if self.value.low > 1 and self.value.median > 1 + LEAST_CHANGE:
            return "faster"
        if self.value.high < 1 and self.value.median < 1 - LEAST_CHANGE:
            return "slower"
        return ""


def change(old: Result, new: Result) -> Change:
    """How the new result compares with the old one."""
    if old.has("ceiling") and new.has("ceiling"):
        a, b = old.speedup("ceiling"), new.speedup("ceiling")
        return Change(old, new, Spread(b.median / a.median, b.low / a.high, b.high / a.low))
    a, b = old.seconds("schuss"), new.seconds("schuss")
    return Change(old, new, Spread(a.median / b.median, a.low / b.high, a.high / b.low))


def changes(old: Run, new: Run) -> list[Change]:
    """The changes of all cases that both runs have timed, in the new run's order."""
    before = {result.key: result for result in old.results if result.has("schuss")}
    return [change(before[r.key], r) for r in new.results if r.key in before and r.has("schuss")]


def load(path: Path) -> Run:
    """The run in a file. Raises ValueError, with the file's name."""
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def table(found: list[Change]) -> Table:
    """All changes, a line each."""
    columns = ("schuss\nold", "\nnew", "of the ceiling\nold", "\nnew", "times as fast,\nnet", "beyond\nthe noise")
    made = report.table("", "", "", *columns, texts=(0, 1, 7))
    for c in found:
        fractions = [report.ratio(r.speedup("ceiling")) if r.has("ceiling") else report.NONE for r in (c.old, c.new)]
        colour = {"faster": "green", "slower": "red"}.get(c.verdict)
        times = [report.duration(r.seconds("schuss").median) for r in (c.old, c.new)]
        verdict = f"[{colour}]{c.verdict}[/]" if colour else ""
        place = report.workload_name(c.new.workload)
        made.add_row(c.new.recipe, place, *times, *fractions, report.ratio(c.value), verdict)
    return made


def show(old: Run, new: Run, to: Console) -> None:
    """Print the comparison of two runs."""
    for name in ("processor", "num_threads", "instruction_set", "compiler", "numpy", "schuss"):
        a, b = old.machine.get(name), new.machine.get(name)
        if a != b:
            to.print(f"{name}: {a} before, {b} now", markup=False)
    found = changes(old, new)
    if not found:
        to.print("the runs have no case in common")
        return
    to.print(table(found))
    to.print(
        "\n[dim]net: the fraction of the ceiling now, over that before (over the time, where a run has no ceiling);"
        f" beyond the noise: the quartiles of the two runs lie apart, and by more than {LEAST_CHANGE:.0%}.[/]"
    )
    counts = {verdict: sum(c.verdict == verdict for c in found) for verdict in ("faster", "slower")}
    rest = len(found) - sum(counts.values())
    to.print(f"{len(found)} cases: {counts['faster']} faster, {counts['slower']} slower, {rest} as before")
