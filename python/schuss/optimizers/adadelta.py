"""AdaDelta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Default, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class AdaDelta(Optimizer):
    """AdaDelta: RMSProp whose learning rate is the root mean square of the steps themselves.

    Formula (ε = `lr`, ρ = `rho`, δ = `eps`), the same in both conventions:
        r ← ρr + (1 - ρ)g²; Δ = √((u + δ)/(r + δ))·g; u ← ρu + (1 - ρ)Δ²; θ ← θ - εΔ

    Source: Zeiler 2012, algorithm 1 (where ε = 1). State: `r`, `u`.

    Args:
        params: What to optimize; see below.
        lr: The factor ε in [0, ∞), default 1, or a function of the number of steps taken so far.
        rho: ρ in [0, 1), default 0.95 (torch: 0.9).
        eps: δ in [0, ∞), default 1e-6.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.AdaDelta([theta], rho=0.75).step([np.array([3.0, -3.0])])
        >>> theta.round(6)
        array([ 0.998, -1.998])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 1.0,
        *,
        rho: float = Default(0.95, torch=0.9),
        eps: float = 1e-6,
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
            rho=rho,
            eps=eps,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "adadelta"
