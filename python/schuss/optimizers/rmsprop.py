"""RMSProp, plain, centered, with momentum and with Nesterov momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.layout import Arrays
from schuss.optimizers.look_ahead import LookAhead
from schuss.options import Convention, Default, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class RMSProp(LookAhead):
    """RMSProp: the gradient divided by the root of the running average of its square.

    Formula (ε = `lr`, ρ = `rho`, δ = `eps`, α = `momentum`):
        r ← ρr + (1 - ρ)g²; centered: ḡ ← ρḡ + (1 - ρ)g and r - ḡ², at least 0, in the place of r
        book: v ← αv - ε·g/√(δ + r); θ ← θ + v; with Nesterov g is taken at θ + αv, and `params` hold that point
        torch: b ← αb + g/(√r + δ); θ ← θ - εb

    Source: Hinton 2012; Graves 2013 (centered); Deep Learning, algorithms 8.5 and 8.6.
    State: `r`; `g_bar` (ḡ) if centered; `v` with momentum.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.001 (torch: 0.01), or a function of the number of steps so far.
        rho: ρ in [0, 1), default 0.9 (torch: 0.99).
        eps: δ in [0, ∞), default 1e-6 (torch: 1e-8).
        momentum: α in [0, 1), default 0, or a function of the number of steps taken so far.
        nesterov: Take the gradient at the look-ahead point (algorithm 8.6). Needs momentum; not in torch's convention.
        centered: Divide by the standard deviation in the place of the root mean square.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.RMSProp([theta], lr=0.1, rho=0.75).step([np.array([3.0, -3.0])])
        >>> theta.round(5)
        array([ 0.8, -1.8])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = Default(0.001, torch=0.01),
        *,
        rho: float = Default(0.9, torch=0.99),
        eps: float = Default(1e-6, torch=1e-8),
        momentum: float | Schedule = 0.0,
        nesterov: bool = False,
        centered: bool = False,
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
            momentum=momentum,
            nesterov=nesterov,
            centered=centered,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "rmsprop"
