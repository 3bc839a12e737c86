"""AdaGrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention, Default, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class AdaGrad(Optimizer):
    """AdaGrad: each parameter's rate falls with the root of the sum of its squared gradients.

    Formula (ε = `lr`, δ = `eps`, t the step from 1):
        r ← r + g²; θ ← θ - ε·g/(δ + √r); in torch's convention ε is lr/(1 + (t - 1)·lr_decay)

    Source: Duchi, Hazan and Singer 2011; Deep Learning, algorithm 8.4. State: `r`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), default 0.01, or a function of the number of steps taken so far.
        eps: δ in [0, ∞), default 1e-7 (torch: 1e-10).
        lr_decay: In [0, ∞), default 0, in torch's convention only.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, -2.0])
        >>> schuss.AdaGrad([theta], lr=0.1).step([np.array([3.0, -0.5])])
        >>> theta.round(6)
        array([ 0.9, -1.9])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule = 0.01,
        *,
        eps: float = Default(1e-7, torch=1e-10),
        lr_decay: float = 0.0,
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
            eps=eps,
            lr_decay=lr_decay,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "adagrad"
