"""The command line of `schuss bench`."""

import argparse
import dataclasses
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from schuss.benchmark.cases import LISTS, RECIPES, SIZES, single
from schuss.benchmark.contestants import PEERS
from schuss.benchmark.measure import FULL, QUICK
from schuss.benchmark.suite import Settings

SUITES = ("optimizers", "torch", "phase", "batch_norm", "minimize", "coordinate")

OWN_OPTIONS = {"minimize": "minimizers", "coordinate": "coordinate"}  # suites with a parser of their own: their modules

UNFIT = {"torch": ("sizes", "dtype"), "phase": ("rules", "dtype"), "batch_norm": ("rules", "sizes", "lists")}

PHASE_SIZES, PHASE_LISTS = (10**6, 10**7, 5 * 10**7), ("resnet50",)

QUICK_SHAPES = ("256×1024", "4096×256")  # of batch normalization

QUICK_SIZES = (10**3, 10**5)

DESCRIPTION = """Time every optimizer against NumPy, torch and the machine's limit: a "ceiling" that moves the same
memory without arithmetic. All are verified to do the same work, then timed in turn, round after round."""

EPILOG = """examples:
  schuss bench --quick                                  a smoke run
  schuss bench --json new.json                          everything: half an hour or so, 8 GB of memory
  schuss bench --rules adam --sizes 1e5 1e6 --peers     Adam against the ceiling alone
  schuss bench --suite torch                            the drop-ins of schuss.torch, against torch
  schuss bench --suite phase                            clipping, averaging, fewer bits: all around AdamW
  schuss bench --suite batch_norm                       batch normalization, forward and backward
  schuss bench --suite minimize                         the minimisers, against SciPy and torch
  schuss bench --suite coordinate                       coordinate descent, against scikit-learn
  schuss bench --compare old.json new.json              what has changed between two runs
"""


class UsageError(Exception):
    """Wrong arguments; the message says which."""


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError, where argparse prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message)


def _size(text: str) -> int:
    try:
        value = int(text) if text.isdigit() else float(text)
        if value >= 1 and value == int(value):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of elements, expected such as 1000 or 1e6")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def _target(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no file in an existing directory")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path


def parser() -> Parser:
    """The parser of the command line."""
    made = Parser(
        prog="schuss bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    names = [recipe.name for recipe in RECIPES]
    add("--suite", choices=SUITES, help="optimizers (default), torch, phase, batch_norm, which has its own shapes, or"
        " minimize or coordinate, which have their own options: --suite minimize --help")  # fmt: skip
    add("--rules", nargs="+", choices=names, metavar="RULE", help=f"of {', '.join(names)}; default: all")
    add("--sizes", nargs="+", type=_size, metavar="N", help="elements of a single array; default: 1e3 … 1e7 and 5e7")
    add("--lists", nargs="+", choices=LISTS, metavar="LIST", help=f"of {', '.join(LISTS)}; default: both, or none if"
        " there are --sizes")  # fmt: skip
    add("--peers", nargs="*", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)}; default: all that are"
        " installed; nothing after --peers: the ceiling only")  # fmt: skip
    add("--dtype", choices=("float32", "float64"), help="default: float32")
    add("--threads", type=_positive, metavar="N", help="default: what schuss uses by itself; torch gets as many")
    add("--rounds", type=_positive, metavar="N", help="turns of each contestant; default: 15")
    add("--budget", type=_seconds, metavar="S", help="seconds after which a slow contestant has no more turns in a"
        " case, but for three; default: 3")  # fmt: skip
    add(
        "--quick",
        action="store_true",
        default=None,
        help="small sizes and few rounds: a smoke run, its numbers mean little",
    )
    add("--json", type=_target, metavar="FILE", help="write all samples")
    add("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two files of --json; goes alone")
    return made


def settings(
    args: argparse.Namespace, all_sizes: Sequence[int] = SIZES, all_lists: Sequence[str] = tuple(LISTS)
) -> Settings:
    """What the arguments ask for: of all of a suite's sizes and lists, if they ask for none in particular."""
    effort = QUICK if args.quick else FULL
    given = {name: value for name in ("rounds", "budget") if (value := getattr(args, name)) is not None}
    sizes, lists = args.sizes or (), args.lists or ()
    if not sizes and not lists:
        sizes, lists = (QUICK_SIZES, ()) if args.quick else (all_sizes, all_lists)
    return Settings(
        recipes=[recipe for recipe in RECIPES if args.rules is None or recipe.name in args.rules],
        workloads=[*map(single, sorted(set(sizes))), *(LISTS[name] for name in dict.fromkeys(lists))],
        peers=[peer for peer in PEERS if args.peers is None or peer in args.peers],
        dtype=args.dtype or "float32",
        threads=args.threads,
        effort=dataclasses.replace(effort, **given),
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Raises UsageError."""
    args = parser().parse_args(argv)
    others = [name for name, value in vars(args).items() if name != "compare" and value is not None]
    if args.compare and others:
        raise UsageError(f"--compare goes alone, without --{others[0]}")
    unfit = [name for name in UNFIT.get(args.suite, ()) if getattr(args, name) is not None]
    if unfit:
        raise UsageError(f"--suite {args.suite} has no --{unfit[0]}")
    return args


def of_own_suite(argv: Sequence[str] | None) -> tuple[str, list[str]] | None:
    """The module of a suite with a parser of its own, and its arguments; None if another suite is asked for."""
    chooser = Parser(add_help=False, allow_abbrev=False)
    chooser.add_argument("--suite")
    chosen, rest = chooser.parse_known_args(argv)
    return (OWN_OPTIONS[chosen.suite], rest) if chosen.suite in OWN_OPTIONS else None


def _lacks_rich() -> bool:
    if importlib.util.find_spec("rich") is not None:
        return False
    print("schuss bench: its tables need rich: pip install 'schuss[bench]'", file=sys.stderr)
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Run `schuss bench` with these arguments (None: those of the process).

    Returns:
        The exit code: 0; 1 if a contestant computed something else or what is needed is missing; 2 for wrong
        arguments; 130 after Ctrl-C.
    """
    try:
        own = of_own_suite(argv)
        if own is not None:
            if _lacks_rich():
                return 1
            code: int = importlib.import_module(f"schuss.benchmark.{own[0]}").main(own[1])
            return code
        args = parse(argv)
        if _lacks_rich():
            return 1
        from schuss.benchmark import session

        if args.compare:
            return session.compare(*args.compare)
        if args.suite == "batch_norm":
            return session.run_batch_norm(settings(args), QUICK_SHAPES if args.quick else None, args.json)
        if args.suite == "phase":
            return session.run_phase(settings(args, PHASE_SIZES, PHASE_LISTS), args.json)
        if args.suite == "torch":
            lists = args.lists or (tuple(LISTS)[:1] if args.quick else tuple(LISTS))
            return session.run_torch(settings(args), lists, args.json)
        return session.run(settings(args), args.json)
    except UsageError as error:
        print(f"schuss bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
