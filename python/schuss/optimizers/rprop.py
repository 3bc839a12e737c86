"""Rprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import Arrays
from schuss.options import Convention

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class Rprop(Optimizer):
    """Rprop: steps whose sizes depend on the signs of the gradients only.

    Formula (Δ the step size, at first `lr`; (η₋, η₊) = `etas`; (Δ₋, Δ₊) = `step_sizes`; p the previous gradient):
        Δ′ = Δη₊ where pg > 0, Δη₋ where pg < 0, else Δ; clipped to [Δ₋, Δ₊]
        where pg ≥ 0: θ ← θ - sign(g)Δ′; p ← g
        where pg < 0: book: θ ← θ - sign(g)Δ, which takes the last step back; torch: θ stays; in both p ← 0

    Source: Riedmiller and Braun 1993. State: `size` (Δ), `previous` (p).
    It is a method for gradients of the whole training set: signs of minibatch gradients change by chance.

    Args:
        params: What to optimize; see below.
        lr: The step size of all parameters at first, in [0, ∞), default 0.01. No schedule: the method adapts it.
        etas: (η₋, η₊), the factors by which a step size falls and rises, in [0, 1) and [1, ∞), default (0.5, 1.2).
        step_sizes: (Δ₋, Δ₊), the least and the largest step size, in [0, ∞), default (1e-6, 50).

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, 2.0])
        >>> opt = schuss.Rprop([theta], lr=0.1)
        >>> for _ in range(3):
        ...     opt.step([theta.copy()])
        >>> opt.state["size"][0]
        array([0.144, 0.144])
    """

    schedulable = ()
    fixed = ("lr",)

    def __init__(
        self,
        params: Arrays,
        lr: float = 0.01,
        *,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
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
            etas=etas,
            step_sizes=step_sizes,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        return "rprop"
