"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Default, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class ASGD(Optimizer):
    """ASGD: stochastic gradient descent with a falling rate, and the average of the parameters it passes.

    Formula (ε = `lr`, λ = `lambd`, α = `alpha`, t the step from 1, θ̄ the average):
        book: η = ε/tᵅ; θ ← θ - ηg; θ̄ ← θ̄ + (θ - θ̄)/max(1, t - t₀)
        torch: with t - 1 for t in all schedules: η = ε/(1 + λεt)ᵅ; θ ← (1 - λη)θ - ηg

    Source: Polyak and Juditsky 1992; torch's rate is Bottou's of 2010. State: `theta_bar` (θ̄).

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.01, or a function of the number of steps taken so far.
        lambd: λ in [0, ∞), in torch's convention only, where the default is 1e-4.
        alpha: α in [0, 1], default 0.75: the rate falls with this power of the step.
        t0: t₀ in [0, ∞), default 0 (torch: 10⁶). Until then the average is the last point.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([4.0])
        >>> opt = schuss.ASGD([theta], lr=1.0, alpha=0.5)
        >>> for _ in range(4):
        ...     opt.step([np.ones(1)])
        >>> theta.round(3), opt.state["theta_bar"][0].round(3)
        (array([1.216]), array([2.056]))
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 0.01,
        *,
        lambd: float = Default(0.0, torch=1e-4),
        alpha: float = 0.75,
        t0: float = Default(0.0, torch=1e6),
        convention: Convention = "book",
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        num_threads: int | None = None,
        **phase: Unpack[Phase],
    ) -> None:
        super().__init__(
            params,
            num_threads,
            phase,
            lr=lr,
            lambd=lambd,
            alpha=alpha,
            t0=t0,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "asgd"
