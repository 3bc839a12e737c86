"""Adamax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class Adamax(Optimizer):
    """Adamax: Adam with the largest gradient of late, in the place of the root mean square.

    Formula (ε = `lr`, (ρ₁, ρ₂) = `betas`, δ = `eps`, t the step from 1):
        s ← ρ₁s + (1 - ρ₁)g; u ← max(ρ₂u, |g| + δ); θ ← θ - ε/(1 - ρ₁ᵗ)·s/u; in torch's convention s by lerp

    Source: Kingma and Ba 2015, algorithm 2 (where δ = 0). State: `s`, `u`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.002, or a function of the number of steps taken so far.
        betas: (ρ₁, ρ₂), each in [0, 1), default (0.9, 0.999).
        eps: δ in [0, ∞), default 1e-8: u stays above zero where all gradients are zero.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.Adamax([theta], lr=0.1).step([np.array([3.0, -0.5])])
        >>> theta.round(6)
        array([ 0.9, -1.9])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 0.002,
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
        return "adamax"
