"""RAdam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class RAdam(Optimizer):
    """RAdam: Adam whose first steps are plain momentum, while too few gradients make up the average of the squares.

    Formula (ε = `lr`, (ρ₁, ρ₂) = `betas`, δ = `eps`, t the step from 1):
        s ← ρ₁s + (1 - ρ₁)g; r ← ρ₂r + (1 - ρ₂)g²; ŝ = s/(1 - ρ₁ᵗ); r̂ = r/(1 - ρ₂ᵗ)
        the length of the average r: κ = 2/(1 - ρ₂) - 1; κₜ = κ - 2tρ₂ᵗ/(1 - ρ₂ᵗ)
        book: where κₜ > 4: c = √((κₜ - 4)(κₜ - 2)κ/((κ - 4)(κ - 2)κₜ)); θ ← θ - ε·c·ŝ/(√r̂ + δ); else θ ← θ - ε·ŝ
        torch: the same where κₜ > 5, with √(1 - ρ₂ᵗ)/(√r + δ) for 1/(√r̂ + δ), s by lerp

    Source: Liu et al. 2020, algorithm 2 (where δ = 0). State: `s`, `r`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.001, or a function of the number of steps taken so far.
        betas: (ρ₁, ρ₂), each in [0, 1), default (0.9, 0.999).
        eps: δ in [0, ∞), default 1e-8.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.RAdam([theta], lr=0.1).step([np.array([3.0, -0.5])])
        >>> theta.round(6)
        array([ 0.7 , -1.95])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
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
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "radam"
