"""The command `schuss train`: its options, what it prints, and its exit status."""

import argparse
import importlib.util
import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from schuss.streams import SEEDS
from schuss.training.conflicts import MINIMIZERS, conflict
from schuss.training.options import (
    AVERAGE_DECAY,
    AVERAGES,
    BIAS_INITS,
    CURRICULA,
    CURRICULUM_EPOCHS,
    INITS,
    MOMENTUM_SCHEDULES,
    ORDERS,
    PATIENCE,
    SCHEDULES,
    Options,
    joined,
)
from schuss.training.recipes import RECIPES

INTERRUPTED = 128 + 2  # what a shell reports of a program that SIGINT has ended

DEFAULT = Options()

MOST = 10**9  # epochs, examples in a minibatch, threads
DEEPEST, WIDEST = 10_000, 100_000  # layers, units
GREATEST_GAIN = 1e6  # with which weights and what comes of them are far from float32's end
DIGITS = 4000  # of an integer: Python reads no more

Add = Callable[..., argparse.Action]

EXTRA = {"sklearn": "scikit-learn", "threadpoolctl": "threadpoolctl", "rich": "rich", "matplotlib": "matplotlib"}

DESCRIPTION = "Train a multi-layer perceptron on scikit-learn's digits, with one optimizer or with several."

EPILOG = """The output folder gets metrics.json, curves.png and, anew after every epoch, a checkpoint for each
optimizer, NAME.safetensors. The exit status is 0, or 1 if a training diverged, 2 if an option or a checkpoint does not
fit, 130 after Ctrl-C."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `schuss train` to its parser, under the names they have in `Options`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    _add_training(parser.add_argument_group("training").add_argument)
    _add_optimizer(parser.add_argument_group("optimizer").add_argument)
    _add_stopping(parser.add_argument_group("early stopping").add_argument)
    _add_network(parser.add_argument_group("network and data").add_argument)
    _add_strategies(parser.add_argument_group("strategies").add_argument)
    output = parser.add_argument_group("output").add_argument
    output("--out", type=Path, default=DEFAULT.out, metavar="FOLDER", help="default: %(default)s")
    resume = "continue from the checkpoints in --out; of the options above, only --epochs and --threads may differ"
    output("--resume", action="store_true", help=f"{resume} (--epochs only where no schedule is laid out over them)")


def _add_training(add: Add) -> None:
    names = (
        f"all, or any of {', '.join(RECIPES)}, separated by commas (default: adam); "
        f"with --full-batch of {', '.join(MINIMIZERS)}"
    )
    add("--optimizer", type=_optimizers, default=DEFAULT.optimizers, dest="optimizers", metavar="NAME", help=names)
    full_batch = "minimise the loss of logistic regression on scikit-learn's breast cancer data, all examples at once"
    add("--full-batch", action="store_true", help=full_batch)
    add("--epochs", type=_count, default=DEFAULT.epochs, metavar="N", help="at most (default: %(default)s)")
    add("--batch-size", type=_count, default=DEFAULT.batch_size, metavar="N", help="default: %(default)s")
    order = "shuffle anew in each epoch (default), once, or take one pass over the data as they come"
    add("--order", choices=ORDERS, default=DEFAULT.order, help=order)
    threads = "threads of the optimizer (default: %(default)s, as the network is small)"
    add("--threads", type=_count, default=DEFAULT.threads, metavar="N", help=threads)


def _add_optimizer(add: Add) -> None:
    add("--lr", type=_positive, metavar="RATE", help="learning rate (default: one that suits the optimizer)")
    schedule = "how the learning rate falls over --epochs (default: %(default)s)"
    add("--schedule", choices=SCHEDULES, default=DEFAULT.schedule, help=schedule)
    warmup = "epochs over which the learning rate rises from near 0 (default: %(default)s)"
    add("--warmup", type=_count_or_none, default=DEFAULT.warmup, metavar="N", help=warmup)
    momentum = "raise the momentum from 0.5 to 0.9: on a line, or half of what is left with each doubling of epochs"
    add("--momentum-schedule", choices=MOMENTUM_SCHEDULES, help=f"{momentum}; for optimizers with momentum")
    average = "validate and keep an average of the parameters over the steps, exponential or uniform"
    add("--average", choices=AVERAGES, help=average)
    decay = f"decay of --average ema, in [0, 1) (default: {AVERAGE_DECAY})"
    add("--average-decay", type=_fraction, metavar="DECAY", help=decay)
    add("--clip-norm", type=_positive, metavar="NORM", help="scale gradients of a greater norm down to this one")
    add("--clip-value", type=_positive, metavar="VALUE", help="clip the gradient's elements to ± this value")


def _add_stopping(add: Add) -> None:
    stopping = "stop when the validation loss does not fall any more, and keep the best weights (default: yes)"
    add("--early-stopping", action=argparse.BooleanOptionalAction, default=DEFAULT.early_stopping, help=stopping)
    patience = f"epochs to go on without a lower validation loss (default: {PATIENCE})"
    add("--patience", type=_count, metavar="N", help=patience)
    least = "by how much lower it has to be (default: %(default)g)"
    add("--min-delta", type=_not_negative, default=DEFAULT.min_delta, metavar="LOSS", help=least)


def _add_network(add: Add) -> None:
    hidden = f"widths of the hidden layers, separated by commas (default: {joined(DEFAULT.hidden)})"
    add("--hidden", type=_widths, default=DEFAULT.hidden, metavar="WIDTHS", help=hidden)
    add(
        "--depth", type=_depth, metavar="N", help="number of dense layers, the hidden ones of the one width of --hidden"
    )
    add("--residual", action="store_true", help="skip connections around every two hidden layers")
    recurrent = "a recurrent layer of --hidden units that reads the pixels one by one, 64 steps in time"
    add("--recurrent", action="store_true", help=recurrent)
    gain = "λ of its initial weights, an orthogonal matrix times λ: above 1 gradients may explode (default: 1)"
    add("--recurrent-gain", type=_gain, metavar="GAIN", help=gain)
    normalized = "normalize the hidden layers over the minibatch, by their running statistics in evaluation"
    add("--batch-norm", action="store_true", help=normalized)
    add("--init", choices=INITS, default=DEFAULT.init, help="initial weights (default: %(default)s)")
    biases = "initial biases: 0 (default), 0.1 before each ReLU, or those with which the output begins as the marginals"
    add("--bias-init", choices=BIAS_INITS, default=DEFAULT.bias_init, help=biases)
    add("--dtype", choices=("float32", "float64"), default=DEFAULT.dtype, help="default: %(default)s")
    seed = "decides the split, the initial weights and the shuffling (default: %(default)s)"
    add("--seed", type=_seed, default=DEFAULT.seed, metavar="N", help=seed)


def _add_strategies(add: Add) -> None:
    pretrain = "pretrain the hidden layers one after the other, N epochs each, then train all of them"
    add("--pretrain", type=_count, metavar="N", help=pretrain)
    transfer = "learn the digits 0 to 4 for N epochs, then 5 to 9 with the hidden layers found"
    add("--transfer", type=_count, metavar="N", help=transfer)
    hints = "for N epochs learn what a wide shallow teacher, trained as long before, has in its middle layer, too"
    add("--hints", type=_count, metavar="N", help=hints)
    curriculum = f"over {CURRICULUM_EPOCHS} epochs take more and more examples: the easiest, any, or some of each"
    add("--curriculum", choices=CURRICULA, help=curriculum)


def train(options: Options, command: list[str]) -> int:
    """Train, and print the results; returns the exit status.

    Args:
        options: What to do.
        command: The command line that asks for it, to be repeated for a resumption.
    """
    problem = conflict(options)
    if problem is not None:
        return _fail(problem)
    missing = [package for module, package in EXTRA.items() if importlib.util.find_spec(module) is None]
    if missing:
        return _fail(f"{missing[0]} is missing: pip install 'schuss[train]'")
    if options.full_batch:
        return _full_batch(options)
    from schuss.training import report
    from schuss.training.build import InitializationError
    from schuss.training.checkpoint import CheckpointError
    from schuss.training.run import run

    try:
        results, interrupted = run(options)
    except CheckpointError as error:
        return _fail(f"cannot resume: {error}")
    except InitializationError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail(f"not enough memory for --hidden {joined(options.hidden)}, a narrower network is needed")
    except OSError as error:
        return _fail(f"cannot write to --out {options.out}: {error}")
    if results:
        report.show(results)
        for optimizer, result in results.items():
            if memory := report.memory(result):
                print(f"{optimizer}: {memory}")
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


def _integer(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or int(text[:DIGITS]) < least:
        raise argparse.ArgumentTypeError(f"must be an integer of at least {least}, got {text!r}")
    if len(text) > DIGITS or int(text) > most:
        raise argparse.ArgumentTypeError(f"must be an integer of at most {most}, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    return _integer(text, 1, MOST)


def _count_or_none(text: str) -> int:
    return _integer(text, 0, MOST)


def _seed(text: str) -> int:
    return _integer(text, 0, SEEDS - 1)


def _depth(text: str) -> int:
    return _integer(text, 2, DEEPEST)


def _gain(text: str) -> float:
    if (value := _positive(text)) > GREATEST_GAIN:
        raise argparse.ArgumentTypeError(f"must be at most {GREATEST_GAIN:g}, got {text!r}")
    return value


def _positive(text: str) -> float:
    if not 0 < (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def _not_negative(text: str) -> float:
    if not 0 <= (value := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return value


def _fraction(text: str) -> float:
    if not 0 <= (value := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1), got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _widths(text: str) -> tuple[int, ...]:
    return tuple(_integer(width, 1, WIDEST) for width in text.split(","))


def _optimizers(text: str) -> tuple[str, ...]:
    if text == "all":
        return tuple(RECIPES)
    names = [name.strip().lower().replace("_", "-") for name in text.split(",")]
    for name in names:
        if name not in (*RECIPES, *MINIMIZERS):
            raise argparse.ArgumentTypeError(f"must be all or of {', '.join(RECIPES)}, got {name!r}")
    return tuple(dict.fromkeys(names))
