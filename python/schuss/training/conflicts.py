"""Which options of `schuss train` do not go together."""

import dataclasses
import math
from collections.abc import Iterator
from itertools import pairwise

from schuss.training.options import Options, flag, joined
from schuss.training.recipes import RECIPES

MINIMIZERS = ("lbfgs", "cg", "bfgs", "newton", "gd")  # for --full-batch

FULL_BATCH = ("optimizers", "epochs", "seed", "threads", "out", "full_batch")  # what --full-batch goes with

RECURRENT = ("depth", "residual", "batch_norm", "pretrain", "hints")  # what --recurrent does not go with


MOST_WEIGHTS = 10**8  # between hidden layers: with gradients and an optimizer's state a few gigabytes


def conflict(options: Options) -> str | None:
    """The first conflict among the options, in one line that names them and their values; None if there is none."""
    return next(_conflicts(options), None)


def _conflicts(options: Options) -> Iterator[str]:
    yield from _of_optimizers(options)
    if options.full_batch:
        yield from _of_full_batch(options)
        return
    yield from _of_network(options)
    yield from _of_initialization(options)
    yield from _of_schedules(options)
    yield from _of_averages_and_stopping(options)
    yield from _of_strategies(options)


def _of_optimizers(options: Options) -> Iterator[str]:
    for name in options.optimizers:
        if options.full_batch and name not in MINIMIZERS:
            yield f"--full-batch takes --optimizer of {', '.join(MINIMIZERS)}, got {name}"
        if not options.full_batch and name in MINIMIZERS:
            yield f"--optimizer {name} needs --full-batch"


def _of_full_batch(options: Options) -> Iterator[str]:
    if options.resume:
        yield "--resume goes without --full-batch only: it takes no checkpoints"
    for field in dataclasses.fields(Options):
        if field.name not in FULL_BATCH and getattr(options, field.name) != field.default:
            yield f"--full-batch does not go with {_shown(options, field.name)}"


def _of_network(options: Options) -> Iterator[str]:
    hidden, layers = options.hidden, options.layers()
    if (weights := sum(math.prod(pair) for pair in pairwise(layers))) > MOST_WEIGHTS:
        yield f"--hidden and --depth make {weights} weights, expected at most {MOST_WEIGHTS}, got {_depth(options)}"
    if options.batch_size < options.least_batch():
        yield f"--batch-norm needs a --batch-size of at least 2, got {options.batch_size}"
    for name in RECURRENT:
        if options.recurrent and getattr(options, name):
            yield f"--recurrent does not go with {_shown(options, name)}"
    if options.recurrent and len(hidden) > 1:
        yield f"--recurrent has one hidden layer, got --hidden {joined(hidden)}"
    if options.recurrent_gain is not None and not options.recurrent:
        yield f"--recurrent-gain {options.recurrent_gain:g} needs --recurrent"
    if options.depth is not None and len(hidden) > 1:
        yield f"--depth {options.depth} repeats one width of --hidden, got --hidden {joined(hidden)}"
    if options.residual and len(set(hidden)) > 1:
        yield f"--residual needs hidden layers of one width, got --hidden {joined(hidden)}"
    if options.residual and len(layers) < 2:
        yield f"--residual needs at least two hidden layers, got {_depth(options)}"


def _of_initialization(options: Options) -> Iterator[str]:
    if options.init == "lsuv" and options.recurrent:
        yield "--init lsuv does not go with --recurrent: one scale cannot suit all steps in time"
    if options.bias_init == "constant" and options.batch_norm:
        yield "--bias-init constant does not go with --batch-norm, which has a bias of its own before each ReLU"
    if options.bias_init == "constant" and options.recurrent:
        yield "--bias-init constant is for ReLUs, which --recurrent has none of"


def _of_schedules(options: Options) -> Iterator[str]:
    got = f"got --optimizer {','.join(options.optimizers)}"
    if options.warmup >= options.epochs:
        yield f"--warmup must be less than --epochs {options.epochs}, got {options.warmup}"
    for name in ("schedule", "warmup"):
        fixed = not any(RECIPES[optimizer].schedulable("lr") for optimizer in options.optimizers)
        if fixed and getattr(options, name) != getattr(Options(), name):
            yield f"{_shown(options, name)} needs an optimizer that takes a schedule, {got}"
    if options.momentum_schedule and not any(RECIPES[name].schedulable("momentum") for name in options.optimizers):
        yield f"--momentum-schedule {options.momentum_schedule} needs an optimizer with momentum, {got}"


def _of_averages_and_stopping(options: Options) -> Iterator[str]:
    if options.average and options.batch_norm:
        yield f"--average {options.average} does not go with --batch-norm: its statistics are not those of the average"
    if options.average_decay is not None and options.average != "ema":
        yield f"--average-decay {options.average_decay:g} needs --average ema"
    for name in ("patience", "min_delta"):
        if not options.early_stopping and getattr(options, name) != getattr(Options(), name):
            yield f"{_shown(options, name)} does not go with --no-early-stopping"


def _of_strategies(options: Options) -> Iterator[str]:
    chosen = [name for name in ("pretrain", "transfer", "hints") if getattr(options, name)]
    if len(chosen) > 1:
        yield f"{_shown(options, chosen[0])} does not go with {_shown(options, chosen[1])}"
    if options.pretrain and options.residual:
        yield f"--pretrain {options.pretrain} does not go with --residual: a block has no layer that stands alone"
    for name in ("pretrain", "hints"):
        if getattr(options, name) and len(options.layers()) < 2:
            yield f"{_shown(options, name)} needs at least two hidden layers, got {_depth(options)}"
    if options.order == "stream" and options.epochs > 1:
        yield f"--order stream goes through the data once, expected --epochs 1, got {options.epochs}"
    if options.order == "stream" and options.lessons() > 1:
        yield f"--order stream goes through the data once, expected {_flag(chosen[0])} 1, got {options.lessons()}"
    if options.curriculum and options.order != "shuffle-each-epoch":
        yield f"--curriculum {options.curriculum} has an order of its own, got --order {options.order}"


def _flag(name: str) -> str:
    return f"--{flag(name)}"


def _shown(options: Options, name: str) -> str:
    """An option and its value, as on the command line."""
    value = getattr(options, name)
    if isinstance(value, bool):
        return _flag(name) if value else f"--no-{flag(name)}"
    return f"{_flag(name)} {joined(value) if isinstance(value, tuple) else value}"


def _depth(options: Options) -> str:
    return f"--hidden {joined(options.hidden)}" if options.depth is None else f"--depth {options.depth}"
