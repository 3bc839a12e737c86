"""The command `schuss train`: its options, what it prints, and its exit status."""

import argparse
import importlib.util
import math
import shlex
import sys
from pathlib import Path

from schuss.training.options import Options
from schuss.training.recipes import RECIPES

INTERRUPTED = 128 + 2  # what a shell reports of a program that SIGINT has ended

MINIMIZERS = ("lbfgs", "cg", "bfgs", "newton", "gd")  # for --full-batch

EXTRA = {"sklearn": "scikit-learn", "threadpoolctl": "threadpoolctl", "rich": "rich", "matplotlib": "matplotlib"}

DESCRIPTION = "Train a multi-layer perceptron on scikit-learn's digits, with one optimizer or with several."

EPILOG = """The output folder gets metrics.json, curves.png and, anew after every epoch, a checkpoint for each
optimizer, NAME.safetensors. The exit status is 0, or 1 if a training diverged, 2 if an option or a checkpoint does not
fit, 130 after Ctrl-C."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `schuss train` to its parser, under the names they have in `Options`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    default = Options()

    training = parser.add_argument_group("training").add_argument
    names = (
        f"all, or any of {', '.join(RECIPES)}, separated by commas (default: adam); "
        f"with --full-batch of {', '.join(MINIMIZERS)}"
    )
    training("--optimizer", type=_optimizers, default=default.optimizers, dest="optimizers", metavar="NAME", help=names)
    full_batch = "minimise the loss of logistic regression on scikit-learn's breast cancer data, all examples at once"
    training("--full-batch", action="store_true", help=full_batch)
    training("--epochs", type=_count, default=default.epochs, metavar="N", help="at most (default: %(default)s)")
    patience = "epochs to go on without a lower validation loss (default: %(default)s)"
    training("--patience", type=_count, default=default.patience, metavar="N", help=patience)
    training("--batch-size", type=_count, default=default.batch_size, metavar="N", help="default: %(default)s")
    training("--lr", type=_learning_rate, metavar="RATE", help="learning rate (default: one that suits the optimizer)")
    threads = "threads of the optimizer (default: %(default)s, as the network is small)"
    training("--threads", type=_count, default=default.threads, metavar="N", help=threads)

    task = parser.add_argument_group("network and data").add_argument
    hidden = f"widths of the hidden layers, separated by commas (default: {default.widths()})"
    task("--hidden", type=_widths, default=default.hidden, metavar="WIDTHS", help=hidden)
    normalized = "normalize the hidden layers over the minibatch, by their running statistics in evaluation"
    task("--batch-norm", action="store_true", help=normalized)
    task("--dtype", choices=("float32", "float64"), default=default.dtype, help="default: %(default)s")
    seed = "decides the split, the initial weights and the shuffling (default: %(default)s)"
    task("--seed", type=_seed, default=default.seed, metavar="N", help=seed)

    output = parser.add_argument_group("output").add_argument
    output("--out", type=Path, default=default.out, metavar="FOLDER", help="default: %(default)s")
    resume = "continue from the checkpoints in --out; of the options above, only --epochs and --threads may differ"
    output("--resume", action="store_true", help=resume)


def train(options: Options, command: list[str]) -> int:
    """Train, and print the results; returns the exit status.

    Args:
        options: What to do.
        command: The command line that asks for it, to be repeated for a resumption.
    """
    if options.batch_size < options.least_batch():
        return _fail(f"--batch-norm needs a --batch-size of at least 2, got {options.batch_size}")
    missing = [package for module, package in EXTRA.items() if importlib.util.find_spec(module) is None]
    if missing:
        return _fail(f"{missing[0]} is missing: pip install 'schuss[train]'")
    for name in options.optimizers:
        if options.full_batch and name not in MINIMIZERS:
            return _fail(f"--full-batch takes --optimizer of {', '.join(MINIMIZERS)}, got {name}")
        if not options.full_batch and name in MINIMIZERS:
            return _fail(f"--optimizer {name} needs --full-batch")
    if options.full_batch:
        return _full_batch(options)
    from schuss.training import report
    from schuss.training.checkpoint import CheckpointError
    from schuss.training.run import run

    try:
        results, interrupted = run(options)
    except CheckpointError as error:
        return _fail(f"cannot resume: {error}")
    except OSError as error:
        return _fail(f"cannot write to --out {options.out}: {error}")
    if results:
        report.show(results)
        print(f"Metrics, curves and checkpoints are in {options.out}")
    diverged = [optimizer for optimizer, result in results.items() if result.diverged]
    for optimizer in diverged:
        print(f"schuss train: {optimizer} {results[optimizer].outcome}: a smaller --lr may help", file=sys.stderr)
    if interrupted:
        again = command if options.resume else [*command, "--resume"]
        print(f"schuss train: interrupted; to continue: {shlex.join(again)}", file=sys.stderr)
        return INTERRUPTED
    return 1 if diverged else 0


def _full_batch(options: Options) -> int:
    from schuss.training import full_batch

    if options.resume:
        return _fail("--resume goes without --full-batch only: it takes no checkpoints")
    try:
        results, interrupted = full_batch.run(options)
    except OSError as error:
        return _fail(f"cannot write to --out {options.out}: {error}")
    full_batch.show(results)
    print(f"Metrics are in {options.out}")
    if interrupted:
        print("schuss train: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _fail(message: str) -> int:
    print(f"schuss train: error: {message}", file=sys.stderr)
    return 2


# ---- the values of options ----


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0, got {text!r}")
    return int(text)


def _learning_rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def _widths(text: str) -> tuple[int, ...]:
    return tuple(_count(width) for width in text.split(","))


def _optimizers(text: str) -> tuple[str, ...]:
    if text == "all":
        return tuple(RECIPES)
    names = [name.strip().lower().replace("_", "-") for name in text.split(",")]
    for name in names:
        if name not in (*RECIPES, *MINIMIZERS):
            raise argparse.ArgumentTypeError(f"must be all or of {', '.join(RECIPES)}, got {name!r}")
    return tuple(dict.fromkeys(names))
