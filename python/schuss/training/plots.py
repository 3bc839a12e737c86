"""The curves of a run as a picture."""

import io
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from schuss.training.report import Result

VALIDATION: dict[str, Any] = {"linewidth": 1.6}
TRAINING: dict[str, Any] = {"linewidth": 1.1, "linestyle": (0, (2, 1.5))}
BEST: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 7, "markeredgecolor": "white"}


def curves(results: Mapping[str, Result]) -> bytes:
    """A PNG with two panels: the losses, and the norm of the gradient, of each optimizer by epoch."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, norms = figure.subplots(1, 2)
    for index, (optimizer, result) in enumerate(results.items()):
        _draw(losses, norms, optimizer, result, f"C{index % 10}")
    _label(losses, "loss (mean negative log-likelihood)", "Loss")
    _label(norms, "gradient norm (mean over the minibatches)", "Gradient norm")
    styles = [
        Line2D([], [], color="0.3", label="validation", **VALIDATION),
        Line2D([], [], color="0.3", label="training", **TRAINING),
        Line2D([], [], color="0.3", label="lowest validation loss", **BEST),
    ]
    losses.legend(handles=styles, loc="best", fontsize="small")
    figure.legend(*norms.get_legend_handles_labels(), loc="outside right center", frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _draw(losses: Axes, norms: Axes, optimizer: str, result: Result, color: str) -> None:
    history, epochs = result.history, range(1, result.epochs + 1)
    marker = "." if result.epochs == 1 else None  # a line needs two points to be seen
    losses.plot(epochs, history["training_loss"], color=color, marker=marker, **TRAINING)
    losses.plot(epochs, history["validation_loss"], color=color, **VALIDATION)
    if result.best_validation_loss is not None:
        losses.plot(result.best_epoch, result.best_validation_loss, color=color, **BEST)
    label = f"{optimizer} (diverged)" if result.diverged else optimizer
    norms.plot(epochs, history["gradient_norm"], color=color, marker=marker, label=label, **VALIDATION)


def _label(axes: Axes, quantity: str, title: str) -> None:
    axes.set(xlabel="epoch", ylabel=quantity, title=title, yscale="log")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
