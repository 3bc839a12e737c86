"""Adam and AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Default, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class Adam(Optimizer):
    """Adam: momentum and RMSProp with the bias of their zero start undone.

    Formula (ε = `lr`, (ρ₁, ρ₂) = `betas`, δ = `eps`, t the step from 1):
        s ← ρ₁s + (1 - ρ₁)g; r ← ρ₂r + (1 - ρ₂)g²
        book: ŝ = s/(1 - ρ₁ᵗ); r̂ = r/(1 - ρ₂ᵗ); θ ← θ - ε·ŝ/(√r̂ + δ)
        torch: the same in another order: s by lerp, √r/√(1 - ρ₂ᵗ) for √r̂

    Source: Kingma and Ba 2015; Deep Learning, algorithm 8.7. State: `s`, `r`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.001, or a function of the number of steps taken so far.
        betas: (ρ₁, ρ₂), each in [0, 1), default (0.9, 0.999).
        eps: δ in [0, ∞), default 1e-8.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.Adam([theta], lr=0.1).step([np.array([3.0, -0.5])])
        >>> theta.round(6)
        array([ 0.9, -1.9])
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
        return "adam"


class AdamW(Adam):
    """AdamW: Adam, whose weight decay acts on the parameters and not through the gradient.

    Formula (λ = `weight_decay`): θ ← (1 - ελ)θ, then as `Adam`.

    Source: Loshchilov and Hutter 2019, algorithm 2. State: `s`, `r`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.001, or a function of the number of steps taken so far.
        betas: (ρ₁, ρ₂), each in [0, 1), default (0.9, 0.999).
        eps: δ in [0, ∞), default 1e-8.
        weight_decay: λ in [0, ∞), default 0 (torch: 0.01).

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.AdamW([theta], lr=0.1, weight_decay=0.5).step([np.array([3.0, -0.5])])
        >>> theta.round(6)
        array([ 0.85, -1.8 ])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 0.001,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        convention: Convention = "book",
        weight_decay: float = Default(0.0, torch=0.01),
        maximize: bool = False,
        num_threads: int | None = None,
        **phase: Unpack[Phase],
    ) -> None:
        super().__init__(
            params,
            lr,
            betas=betas,
            eps=eps,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=True,
            maximize=maximize,
            num_threads=num_threads,
            **phase,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "adamw"
