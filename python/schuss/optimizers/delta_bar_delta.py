"""Delta-bar-delta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class DeltaBarDelta(Optimizer):
    """Delta-bar-delta: a learning rate of its own for each parameter, raised while its gradient keeps its sign.

    Formula (κ = `kappa`, φ = `phi`, γ = `gamma`):
        ε ← ε + κ where δ̄·g > 0, ε(1 - φ) where δ̄·g < 0; δ̄ ← (1 - γ)g + γδ̄; θ ← θ - ε·g

    Source: Jacobs 1988; Deep Learning, section 8.5. State: `rate` (ε, at first `lr`), `delta_bar` (δ̄).
    It is a method for gradients of the whole training set: signs of minibatch gradients change by chance.

    Args:
        params: What to optimize; see below.
        lr: The learning rate of all parameters at first, in [0, ∞). No schedule: the method adapts it.
        kappa: κ in [0, ∞), what is added to a rate.
        phi: φ in [0, 1], the fraction by which a rate falls.
        gamma: γ in [0, 1), the decay of the average gradient δ̄.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, 2.0])
        >>> opt = schuss.DeltaBarDelta([theta], lr=0.1, kappa=0.05, phi=0.5, gamma=0.7)
        >>> for _ in range(3):
        ...     opt.step([theta.copy()])
        >>> opt.state["rate"][0]
        array([0.2, 0.2])
    """

    schedulable = ()
    fixed = ("lr",)

    def __init__(
        self,
        params: Arrays,
        lr: float,
        *,
        kappa: float,
        phi: float,
        gamma: float,
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
            kappa=kappa,
            phi=phi,
            gamma=gamma,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "delta_bar_delta"
