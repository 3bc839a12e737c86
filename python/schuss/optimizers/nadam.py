"""NAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's look-ahead, and with a momentum that warms up.

    Formula (ε = `lr`, (ρ₁, ρ₂) = `betas`, δ = `eps`, ψ = `momentum_decay`, t the step from 1):
        μₜ = ρ₁(1 - ½·0.96^(tψ)); r ← ρ₂r + (1 - ρ₂)g²; r̂ = r/(1 - ρ₂ᵗ)
        book: s ← μₜs + (1 - μₜ)g; torch: s ← ρ₁s + (1 - ρ₁)g, by lerp
        ŝ = (1 - μₜ)g/(1 - μ₁⋯μₜ) + μₜ₊₁s/(1 - μ₁⋯μₜ₊₁); θ ← θ - ε·ŝ/(√r̂ + δ)

    Source: Dozat 2016, algorithm 2, with the schedule μₜ that it proposes. State: `s`, `r`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.002, or a function of the number of steps taken so far.
        betas: (ρ₁, ρ₂), each in [0, 1), default (0.9, 0.999).
        eps: δ in [0, ∞), default 1e-8.
        momentum_decay: ψ in [0, ∞), default 0.004: how fast the momentum rises from about ρ₁/2 to ρ₁.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.NAdam([theta], lr=0.1).step([np.array([3.0, -0.5])])
        >>> theta.round(6)
        array([ 0.868956, -1.868956])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 0.002,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        momentum_decay: float = 0.004,
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
            betas=betas,
            eps=eps,
            momentum_decay=momentum_decay,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "nadam"
