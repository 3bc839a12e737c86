"""Functions that make schedules, with the defaults of their sources."""

from collections.abc import Callable, Sequence
from typing import Any

from schuss.options import FRACTION, count, number
from schuss.schedules import forms
from schuss.schedules.forms import Schedule, as_schedule


def constant(eps: float) -> Schedule:
    """The same value for ever.

    Formula: ε_k = ε.

    Args:
        eps: ε in [0, ∞).

    Raises:
        TypeError: `eps` is no number.
        ValueError: `eps` is out of its range.

    Example:
        >>> import schuss
        >>> schuss.schedules.constant(0.1)(1000)
        0.1
    """
    return forms.Constant(eps)


def linear_decay(eps0: float, tau: int, eps_tau: float | None = None) -> Schedule:
    """Linear decay until step τ, constant after it.

    Formula: ε_k = (1 - α)ε₀ + αε_τ with α = min(k/τ, 1).

    Source: Deep Learning, equation 8.14, and ε_τ = 0.01ε₀ after it.

    Args:
        eps0: ε₀ in [0, ∞).
        tau: τ, an integer of at least 1.
        eps_tau: ε_τ in [0, ε₀], default 0.01ε₀.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.linear_decay(1.0, 100)
        >>> lr(0), lr(50), lr(100), lr(1000)
        (1.0, 0.505, 0.01, 0.01)
    """
    made = forms.Linear(eps0, tau, 0.0 if eps_tau is None else eps_tau)
    if eps_tau is None:
        return forms.Linear(made.eps0, made.tau, 0.01 * made.eps0)
    _require_descent(made)
    return made


def linear_ramp(start: float, tau: int, end: float) -> Schedule:
    """A momentum that is raised on a line until step τ, constant after it.

    Formula: α_k = (1 - β)α₀ + βα_τ with β = min(k/τ, 1).

    Source: Deep Learning, section 8.3.2: begin with a small α, raise it later.

    Args:
        start: α₀ in [0, 1).
        tau: τ, an integer of at least 1.
        end: α_τ in [α₀, 1).

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> momentum = schuss.schedules.linear_ramp(0.5, 100, 0.9)
        >>> momentum(0), momentum(50), momentum(100)
        (0.5, 0.7, 0.9)
    """
    first, last = number("start", start, FRACTION), number("end", end, FRACTION)
    if first > last:
        raise ValueError(f"end must be at least start={start!r}, got {end!r}")
    return forms.Linear(first, tau, last)


def momentum_ramp(maximum: float = 0.99, every: int = 250) -> Schedule:
    """Momentum that halves its distance to 1 with each doubling of time: the schedule for Nesterov momentum.

    Formula: α_k = min(1 - 2^(-1 - log₂(⌊k/every⌋ + 1)), α_max) = min(1 - ½/(⌊k/every⌋ + 1), α_max).

    Source: Sutskever et al. 2013, equation 5.

    Args:
        maximum: α_max in [0, 1), default 0.99.
        every: An integer of at least 1, default 250.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> momentum = schuss.schedules.momentum_ramp()
        >>> momentum(0), momentum(250), momentum(750), momentum(10**6)
        (0.5, 0.75, 0.875, 0.99)
    """
    return forms.MomentumRamp(maximum, every)


def inverse_time(eps0: float, tau: float = 1.0, power: float = 1.0) -> Schedule:
    """Decay by 1/t, or by a power of it.

    Formula: ε_k = ε₀/(1 + k/τ)^p. It fulfils the conditions of Robbins and Monro where ½ < p ≤ 1.

    Source: Robbins and Monro 1951; Bottou 2012.

    Args:
        eps0: ε₀ in [0, ∞).
        tau: τ in (0, ∞), default 1; with p = 1, ε is ε₀/2 after τ steps.
        power: p in (0, ∞), default 1.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.inverse_time(0.5, tau=100)
        >>> lr(0), lr(100), lr(900)
        (0.5, 0.25, 0.05)
    """
    return forms.InverseTime(eps0, tau, power)


def step(eps0: float, every: int, factor: float = 0.1) -> Schedule:
    """Decay by a factor every so many steps.

    Formula: ε_k = ε₀·γ^⌊k/every⌋.

    Source: He et al. 2016, section 3.4 (by 10 when the error stagnates).

    Args:
        eps0: ε₀ in [0, ∞).
        every: An integer of at least 1.
        factor: γ in (0, 1], default 0.1.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.step(1.0, 30, factor=0.5)
        >>> lr(29), lr(30), lr(60)
        (1.0, 0.5, 0.25)
    """
    return forms.Step(eps0, every, factor)


def exponential(eps0: float, factor: float) -> Schedule:
    """Decay by a factor in each step.

    Formula: ε_k = ε₀·γ^k.

    Source: Li and Arora 2020.

    Args:
        eps0: ε₀ in [0, ∞).
        factor: γ in (0, 1].

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.exponential(1.0, 0.5)
        >>> lr(0), lr(3)
        (1.0, 0.125)
    """
    return forms.Step(eps0, 1, factor)


def cosine(eps0: float, tau: int, eps_tau: float = 0.0) -> Schedule:
    """Decay along half a period of a cosine until step τ, constant after it.

    Formula: ε_k = ε_τ + ½(ε₀ - ε_τ)(1 + cos πk/τ) for k < τ, then ε_τ.

    Source: Loshchilov and Hutter 2017, equation 5.

    Args:
        eps0: ε₀ in [0, ∞).
        tau: τ, an integer of at least 1.
        eps_tau: ε_τ in [0, ε₀], default 0.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.cosine(1.0, 100)
        >>> lr(0), lr(50), lr(100)
        (1.0, 0.5, 0.0)
    """
    made = forms.Cosine(eps0, tau, eps_tau)
    _require_descent(made)
    return made


def warmup(schedule: float | Callable[[int], float], steps: int) -> Schedule:
    """A linear rise to a schedule's first value, then the schedule, as if from its own first step.

    Formula: ε_k = ε(0)·(k + 1)/(n + 1) for k < n = `steps`, then ε(k - n).

    Source: Goyal et al. 2017, section 2.2.

    Args:
        schedule: ε, a schedule or, for a constant, a number in [0, ∞).
        steps: How long to rise, an integer of at least 1.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.warmup(schuss.schedules.cosine(1.0, 100), steps=3)
        >>> lr(0), lr(1), lr(2), lr(3), lr(53)
        (0.25, 0.5, 0.75, 1.0, 0.5)
    """
    return forms.Warmup(as_schedule("schedule", schedule), steps)


def chain(schedules: Sequence[float | Callable[[int], float]], milestones: Sequence[int]) -> Schedule:
    """One schedule after another, each counting its own steps.

    Formula: ε_k = ε⁽ⁱ⁾(k - mᵢ) for mᵢ ≤ k < mᵢ₊₁, with m₀ = 0.

    Args:
        schedules: ε⁽⁰⁾, ε⁽¹⁾, …: schedules or, for constants, numbers in [0, ∞); at least one.
        milestones: m₁, m₂, …, the steps at which the second, the third, … begins: integers of at least 1, rising.

    Raises:
        TypeError: An argument has another type.
        ValueError: A milestone is out of order, or there is not one for each schedule but the first.

    Example:
        >>> import schuss
        >>> lr = schuss.schedules.chain([0.1, schuss.schedules.inverse_time(0.1)], milestones=[10])
        >>> lr(9), lr(10), lr(11)
        (0.1, 0.1, 0.05)
    """
    for name, value in (("schedules", schedules), ("milestones", milestones)):
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"{name} must be a list, got {value!r}")
    parts = tuple(as_schedule(f"schedules[{i}]", part) for i, part in enumerate(schedules))
    return forms.Chain(parts, _milestones(milestones, len(parts)))


def _milestones(milestones: Sequence[Any], schedules: int) -> tuple[int, ...]:
    if len(milestones) != schedules - 1:
        raise ValueError(f"milestones has {len(milestones)} entries for {schedules} schedules, expected one fewer")
    last, checked = 0, []
    for i, milestone in enumerate(milestones):
        last = count(f"milestones[{i}]", milestone, last + 1)
        checked.append(last)
    return tuple(checked)


def _require_descent(made: forms.Linear | forms.Cosine) -> None:
    if made.eps_tau > made.eps0:
        raise ValueError(f"eps_tau must be at most eps0={made.eps0!r}, got {made.eps_tau!r}")
