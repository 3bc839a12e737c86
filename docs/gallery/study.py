"""What the pages have in common: figures, and networks trained on the digits."""

import contextlib
from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import schuss
from schuss.data import Minibatches
from schuss.streams import Purpose, derived_seed, stream
from schuss.training.data import Examples, PacedMinibatches, Split, load_digits
from schuss.training.network import Network
from schuss.training.strategies import Lessons
from schuss.training.trainer import DivergenceError, EarlyStopping, Trainer

Facts = dict[str, float]


def panels(count: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels side by side."""
    figure = Figure(figsize=(4.6 * count + (1.4 if count == 1 else 0), 3.4), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(color="0.92")
    return figure, axes


def label(axes: Axes, x: str, y: str, **options: str) -> None:
    """Name the axes, and show what is what."""
    axes.set(xlabel=x, ylabel=y, **options)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small", frameon=False)


def digits(seed: int = 0) -> Split:
    """The digits, split by a seed."""
    return load_digits(stream(seed, Purpose.SPLIT), "float32")


def train(
    network: Network,
    split: Split,
    epochs: int,
    optimizer: Callable[..., schuss.Optimizer] = schuss.Adam,
    *,
    seed: int = 0,
    batch_size: int = 32,
    averaged: bool = False,
    minibatches: PacedMinibatches | None = None,
    **hyper: float | str,
) -> Trainer:
    """The trainer of a network after so many epochs, or fewer if it has diverged."""
    least = min(batch_size // 2, len(split.training.y))
    shuffled = Minibatches(split.training, batch_size, order="shuffle_each_epoch", seed=seed, least=least)
    made = optimizer(network.params, num_threads=1, **hyper)
    trainer = Trainer(network, made, minibatches or shuffled, split.validation, EarlyStopping(None), averaged)
    with contextlib.suppress(DivergenceError):
        trainer.train(epochs, lambda: None)
    return trainer


def part(examples: Examples, count: int) -> Examples:
    """So many of the examples, evenly spread over them; those of a class follow one another."""
    chosen = np.linspace(0, len(examples.y) - 1, count).round().astype(int)
    return Examples(examples.x[chosen], examples.y[chosen])


def lessons(epochs: int, optimizer: Callable[..., schuss.Optimizer], seed: int) -> Lessons:
    """How to train in preparation."""

    def minibatches(examples: Examples, stage: int) -> Minibatches:
        own = derived_seed(seed, Purpose.PREPARATION, stage)
        return Minibatches(examples, 32, order="shuffle_each_epoch", seed=own)

    return Lessons(epochs, partial(optimizer, num_threads=1), minibatches, lambda *_: None)
