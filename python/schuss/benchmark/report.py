"""The tables of a run."""

import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schuss.benchmark.results import Result, Run, Spread
from schuss.benchmark.targets import Finding

HEADINGS = {
    "schuss-float32": "float32\nstate",
    "numpy": "NumPy",
    "numpy-inplace": "NumPy\nin place",
    "torch": "torch",
    "torch-foreach": "torch\nforeach",
    "torch-fused": "torch\nfused",
    "torch-inplace": "torch\nin place",
}

WIDTH = 120  # of the tables, where the output is no terminal

NARROW = 108  # a terminal of fewer columns gets the ratios without their spread

NONE = "–"

BUSY = 0.5  # the load average from which a run is marked

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def console(*, stderr: bool = False) -> Console:
    """Where to print, in the terminal's width or in that of the tables."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH)


def number(value: float) -> str:
    """A ratio, to three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value: Spread, narrow: bool = False) -> str:
    """A ratio and half the distance of its quartiles; the ratio alone where there is no room."""
    return number(value.median) if narrow else f"{number(value.median)} ±{number(value.half)}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, name in ((1, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{number(seconds / unit)} {name}"
    return f"{number(seconds / 1e-6)} µs"


def plural(count: int, word: str) -> str:
    """A number of things."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def workload_name(workload: str) -> str:
    """A workload for people: `5·10⁷`."""
    if not workload.isdigit():
        return {"200x1000": "200 tensors of 1000", "resnet50": "ResNet-50, 161 tensors"}.get(workload, workload)
    digits = workload.rstrip("0")
    if len(digits) > 1 or len(workload) < 4:
        return f"{int(workload):,}"
    power = "10" + str(len(workload) - 1).translate(SUPERSCRIPTS)
    return power if digits == "1" else f"{digits}·{power}"


def table(title: str, *columns: str, texts: tuple[int, ...] = (0,), padding: int = 2) -> Table:
    """An empty table; `texts` are the columns that hold text, the others hold numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, padding, 0, 0))
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i in texts else "right")
    return made


def section(results: Sequence[Result], peers: Sequence[str], *, narrow: bool) -> Table:
    """The results of one workload."""
    first = results[0]
    title = f"\n{workload_name(first.workload)}, {first.dtype}"
    against = [f"× {HEADINGS[peer]}" for peer in peers]
    made = table(title, "", "schuss", "±", "GB/s", "of the\nceiling", *against, padding=1 if narrow else 2)
    for result in results:
        if not result.has("schuss"):
            made.add_row(result.recipe, "wrong")
            continue
        time = result.seconds("schuss")
        made.add_row(
            result.recipe,
            duration(time.median),
            f"{time.half / time.median:.0%}",
            number(result.gigabytes_per_second),
            *(ratio(result.speedup(peer), narrow) if result.has(peer) else NONE for peer in ("ceiling", *peers)),
        )
    if first.workload == "1000":
        made.add_section()
        made.add_row(*overhead(results, peers))
    return made


def overhead(results: Sequence[Result], peers: Sequence[str]) -> list[str]:
    """What a call costs: the time of a step of so few elements, for each contestant its median over the recipes."""

    def median(name: str) -> str:
        times = [r.seconds(name).median for r in results if r.has(name)]
        return duration(statistics.median(times)) if times else NONE

    return ["a call", median("schuss"), "", "", *(median(name) for name in ("ceiling", *peers))]


def targets(findings: Sequence[Finding], threads: int) -> Table:
    """The targets, and what this run has reached."""
    title = f"\ntargets, set for two cores; {plural(threads, 'thread')} here"
    made = table(title, "", "wanted", "reached", "", "of", "where", texts=(0, 3, 5))
    for finding in findings:
        target, reached = finding.target, finding.reached
        colour = {"ok": "green", "short": "red"}.get(finding.verdict, "yellow")
        verdict = f"[{colour}]{finding.verdict}[/]"
        made.add_row(
            target.claim, number(target.wanted), ratio(reached.value), verdict, str(reached.count), reached.where
        )
    return made


def show(run: Run, findings: Sequence[Finding], to: Console) -> None:
    """Print all tables of a run."""
    to.print(heading(run.machine))
    timed = {name for result in run.results for name in result.samples}
    peers = [peer for peer in HEADINGS if peer in timed]
    for workload in dict.fromkeys(result.workload for result in run.results):
        of_workload = [result for result in run.results if result.workload == workload]
        to.print(section(of_workload, peers, narrow=to.width < NARROW))
    if run.results:
        to.print(
            "\n[dim]schuss: the median time of a step, and half the distance of the quartiles around it."
            " of the ceiling: the time of moving the same memory without arithmetic, over schuss's."
            " ×: how many times as long the others take. Ratios are medians of ratios within one round.[/]"
        )
    if findings:
        to.print(targets(findings, run.machine["num_threads"]))
    for line in notes(run):
        to.print(line, soft_wrap=True)


def heading(machine: dict[str, Any]) -> str:
    """The machine and the versions, in two lines."""
    torch, threads = machine.get("torch", ""), plural(machine["num_threads"], "thread")
    versions = f"schuss {machine['schuss']}, NumPy {machine['numpy']}, Python {machine['python']}"
    return (
        f"{machine['processor']}, {plural(machine['usable_cpus'], 'CPU')}, {threads},"
        f" instruction set {machine['instruction_set']}\n"
        f"{versions}{f', torch {torch}' if torch[:1].isdigit() else ''}"
    )


def notes(run: Run) -> list[str]:
    """Who was absent, what was left out, what was wrong."""
    absent = dict.fromkeys(reason for result in run.results for reason in result.absent.values())
    lines = [f"[dim]{NONE} {escape(reason)}[/]" for reason in absent]
    lines += [f"[yellow]skipped[/] {case}: {escape(reason)}" for case, reason in run.skipped.items()]
    for result in run.results:
        for name, objection in result.wrong.items():
            lines.append(f"[red]wrong[/] {name}, {result.recipe} {result.workload}, not timed: {escape(objection)}")
    if (load := run.machine.get("load")) and load > BUSY:
        lines.append(f"[yellow]busy[/]: the load average was {load:.1f} at the start; other programs disturb timings")
    if run.interrupted:
        lines.append("[yellow]interrupted[/]: these are the cases that were finished")
    return lines
