"""Pictures of the diagnostics. Each function takes axes or makes a figure of its own, and returns the axes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from schuss.data.standard_error import StandardErrors
from schuss.diagnostics.curvature import Conditioning
from schuss.diagnostics.lanczos import RitzValues
from schuss.diagnostics.learning_rate import RangeTest
from schuss.diagnostics.norms import GradientNorms
from schuss.diagnostics.spectrum import ConditionNumber, CriticalPoint


def plot_gradient_norms(norms: GradientNorms, ax: Any = None) -> Any:
    """Draw the norm of the gradient by step.

    Args:
        norms: What has recorded them.
        ax: Matplotlib's axes; by default those of a new figure, `ax.figure`.

    Raises:
        ImportError: There is no matplotlib.

    Example:
        >>> import schuss
        >>> norms = schuss.diagnostics.GradientNorms()
        >>> norms.record([3.0, 4.0])
        >>> schuss.diagnostics.plot_gradient_norms(norms).get_xlabel()
        'step'
    """
    ax = _axes(ax, xlabel="step", ylabel="norm of the gradient", yscale="log")
    ax.plot(norms.steps, norms.norms)
    return ax


def plot_ill_conditioning(conditionings: Sequence[Conditioning], ax: Any = None) -> Any:
    """Draw gᵀg and ½εgᵀHg over time: where the second is above the first, a step makes f rise.

    Args:
        conditionings: What `ill_conditioning` found, step by step.
        ax: Matplotlib's axes; by default those of a new figure, `ax.figure`.

    Raises:
        ImportError: There is no matplotlib.

    Example:
        >>> import schuss
        >>> found = schuss.diagnostics.ill_conditioning(lambda x: x, [1.0], lr=0.1)
        >>> schuss.diagnostics.plot_ill_conditioning([found]).get_xlabel()
        'step'
    """
    ax = _axes(ax, xlabel="step", yscale="log")
    steps = range(len(conditionings))
    ax.plot(steps, [found.gg for found in conditionings], label="gᵀg")
    ax.plot(steps, [abs(found.curvature_term) for found in conditionings], label="½ε|gᵀHg|")
    ax.legend()
    return ax


def plot_spectrum(found: CriticalPoint | ConditionNumber | RitzValues, ax: Any = None) -> Any:
    """Draw eigenvalues of a Hessian by rank, with their residuals.

    Args:
        found: What `critical_point`, `condition_number` or `lanczos` found.
        ax: Matplotlib's axes; by default those of a new figure, `ax.figure`.

    Raises:
        ImportError: There is no matplotlib.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.diagnostics.lanczos(lambda v: 2 * v, 3)
        >>> schuss.diagnostics.plot_spectrum(found).get_ylabel()
        'eigenvalue'
    """
    values = found.values if isinstance(found, RitzValues) else found.eigenvalues
    ax = _axes(ax, xlabel="rank", ylabel="eigenvalue")
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.errorbar(np.arange(1, len(values) + 1), values, yerr=found.residuals, fmt=".", capsize=2)
    if isinstance(found, CriticalPoint):
        ax.set_title(found.kind)
    if isinstance(found, ConditionNumber):
        ax.set_title(f"κ = {found.value:.3g}")
    return ax


def plot_range_test(found: RangeTest, ax: Any = None) -> Any:
    """Draw the loss by learning rate, and the suggested rate.

    Args:
        found: What `range_test` found.
        ax: Matplotlib's axes; by default those of a new figure, `ax.figure`.

    Raises:
        ImportError: There is no matplotlib.

    Example:
        >>> import schuss
        >>> found = schuss.diagnostics.range_test(lambda lr: -lr)
        >>> schuss.diagnostics.plot_range_test(found).get_xscale()
        'log'
    """
    ax = _axes(ax, xlabel="learning rate ε", ylabel="loss", xscale="log")
    finite = np.isfinite(found.losses)
    ax.plot(found.rates[finite], found.losses[finite], ".", color="0.7", label="loss")
    ax.plot(found.rates[finite], found.smoothed, label="mean of the losses around")
    if found.suggestion is not None:
        ax.axvline(found.suggestion, color="C1", label=f"steepest descent, ε = {found.suggestion:.2g}")
    if found.diverged_at is not None:
        ax.axvline(found.diverged_at, color="C3", linestyle=":", label="diverged")
    ax.legend()
    return ax


def plot_standard_error(found: StandardErrors, ax: Any = None) -> Any:
    """Draw the standard error of the gradient by the size of the minibatch, and the law σ/√m.

    Args:
        found: What `gradient_standard_error` found.
        ax: Matplotlib's axes; by default those of a new figure, `ax.figure`.

    Raises:
        ImportError: There is no matplotlib.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.diagnostics.gradient_standard_error(lambda i: i.mean(), 100, seed=0)
        >>> schuss.diagnostics.plot_standard_error(found).get_xscale()
        'log'
    """
    ax = _axes(
        ax, xlabel="size of the minibatch m", ylabel="standard error of the gradient", xscale="log", yscale="log"
    )
    ax.plot(found.batch_sizes, found.errors, "o", label="measured")
    ax.plot(found.batch_sizes, found.law, color="0.5", label="σ/√m")
    ax.legend()
    return ax


def _axes(ax: Any, **settings: Any) -> Any:
    """The axes to draw on, with labels and scales."""
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(layout="constrained").subplots()
    ax.set(**settings)
    return ax
