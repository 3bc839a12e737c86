"""A run or a comparison at the terminal: progress, tables, files and exit codes."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from schuss.benchmark import batch_norm, drop_ins, phase, phase_cases, report, suite
from schuss.benchmark import compare as comparison
from schuss.benchmark.contestants import UnavailableError, load_torch
from schuss.benchmark.results import Run
from schuss.benchmark.targets import Finding, evaluate

Show = Callable[[str], None]  # says which case is next


def run(settings: suite.Settings, json: Path | None) -> int:
    """Run the suite, print its tables, write its samples. Returns the exit code."""

    def measure(show: Show) -> Run:
        return suite.run(settings, lambda case: show(f"{case.recipe.name}, {report.workload_name(case.workload.name)}"))

    done = _with_progress(len(settings.cases), measure)
    return _publish(done, evaluate(done.results), json)


def run_batch_norm(settings: suite.Settings, shapes: Sequence[str] | None, json: Path | None) -> int:
    """Likewise for the suite of batch normalization. Returns the exit code."""
    peers = [peer for peer in batch_norm.PEERS if peer.removesuffix("-inplace") in settings.peers]
    cases = batch_norm.cases(settings.dtype, shapes)

    def measure(show: Show) -> Run:
        return batch_norm.run(
            cases,
            peers,
            threads=settings.threads,
            effort=settings.effort,
            watch=lambda case: show(f"{case.kind}, {case.name}"),
        )

    done = _with_progress(len(cases), measure)
    return _publish(done, evaluate(done.results, batch_norm.TARGETS), json)


def run_torch(settings: suite.Settings, lists: Sequence[str], json: Path | None) -> int:
    """Likewise for the drop-ins, on lists of tensors. Returns the exit code."""
    chosen = drop_ins.cases([recipe for recipe in settings.recipes if recipe in drop_ins.DROP_INS], lists)
    peers = [peer for peer in settings.peers if peer in drop_ins.ANY]
    try:
        load_torch()
    except UnavailableError as reason:
        print(f"schuss bench: --suite torch: {reason}", file=sys.stderr)
        return 1

    def measure(show: Show) -> Run:
        return drop_ins.run(
            chosen,
            peers,
            count=settings.threads,
            effort=settings.effort,
            watch=lambda case: show(f"{case.recipe.name}, {report.workload_name(case.workload.name)}"),
        )

    done = _with_progress(len(chosen), measure)
    return _publish(done, evaluate(done.results, drop_ins.TARGETS), json)


def run_phase(settings: suite.Settings, json: Path | None) -> int:
    """Likewise for all that is around a step. Returns the exit code."""
    peers = [peer for peer in settings.peers if peer in phase_cases.TORCH]

    def measure(show: Show) -> Run:
        return phase.run(
            settings.workloads,
            peers,
            count=settings.threads,
            effort=settings.effort,
            watch=lambda case: show(f"{case.configuration.name}, {report.workload_name(case.workload.name)}"),
        )

    done = _with_progress(len(settings.workloads) * len(phase_cases.CONFIGURATIONS), measure)
    return _publish(done, evaluate(done.results, phase.TARGETS), json)


def _publish(done: Run, findings: list[Finding], json: Path | None) -> int:
    report.show(done, findings, report.console())
    if json is not None:
        try:
            json.write_text(done.to_json([finding.to_json() for finding in findings]), encoding="utf-8")
        except OSError as error:
            print(f"schuss bench: {json}: {error.strerror}", file=sys.stderr)
            return 1
    if done.interrupted:
        return 130
    return 1 if any(result.wrong for result in done.results) else 0


def _with_progress(total: int, measure: Callable[[Show], Run]) -> Run:
    """Measure; where the error output is a terminal, show there how many of the cases are done.

    The bar moves between cases only: refreshing it by itself would disturb what is timed.
    """
    console = report.console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    hidden = not console.is_terminal
    with Progress(*columns, console=console, auto_refresh=False, transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=total)
        begun = 0

        def show(case: str) -> None:
            nonlocal begun
            progress.update(task, completed=begun, description=case, refresh=True)
            begun += 1

        return measure(show)


def compare(old: Path, new: Path) -> int:
    """Print what has changed between two files of `--json`. Returns the exit code."""
    try:
        runs = comparison.load(old), comparison.load(new)
    except ValueError as error:
        print(f"schuss bench: {error}", file=sys.stderr)
        return 2
    comparison.show(*runs, report.console())
    return 0
