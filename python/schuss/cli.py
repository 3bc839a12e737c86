"""The command line: `schuss train`, `schuss bench`, `schuss info`."""

import argparse
import json
import os
import sys

from schuss import __version__, info
from schuss.training import command as training
from schuss.training.options import Options


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv`, by default the program's own; returns the exit status."""
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("schuss: interrupted", file=sys.stderr)
        return training.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has had enough of it. Python would flush at exit, and complain about it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(argv: list[str]) -> int:
    if argv[:1] == ["bench"]:  # all that follows is for it, even --help
        from schuss import benchmark

        return benchmark.main(argv[1:])
    arguments = vars(_parser().parse_args(argv))
    if arguments.pop("command") == "train":
        return training.train(Options(**arguments), ["schuss", *argv])
    if arguments["json"]:
        print(json.dumps(info.config(), indent=2))
    else:
        info.show_config()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="schuss", description="Fused CPU optimizers for Python trainers.")
    parser.add_argument("--version", action="version", version=f"schuss {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    train = commands.add_parser("train", help="train a network on digits, or logistic regression with --full-batch")
    training.add_arguments(train)
    commands.add_parser("bench", help="measure the kernels, side by side with others")
    facts = commands.add_parser("info", help="show versions, instruction set and threads, and why they are so")
    facts.add_argument("--json", action="store_true", help="as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
