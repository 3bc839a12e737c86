"""Stochastic gradient descent, plain, with momentum and with Nesterov momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schuss.optimizers.layout import Arrays
from schuss.optimizers.look_ahead import LookAhead
from schuss.options import Convention, Schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from schuss.optimizers.phase import Phase


class SGD(LookAhead):
    """Stochastic gradient descent.

    Formula (α = `momentum`, ε = `lr`, τ = `dampening`, μ = `momentum`):
        plain               θ ← θ - εg
        momentum, book      v ← αv - εg; θ ← θ + v
        momentum, torch     b ← μb + (1 - τ)g, at first b = g; θ ← θ - εb
        nesterov, book      as momentum, with g taken at θ + αv; `params` hold that point, `theta()` gives θ
        nesterov, torch     b ← μb + g, at first b = g; θ ← θ - ε(g + μb)

    Source: Robbins and Monro 1951; Polyak 1964; Nesterov 1983 as in Sutskever et al. 2013; Deep Learning,
    algorithms 8.1, 8.2 and 8.3. State: `v` (torch's momentum buffer), where there is momentum.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), or a function of the number of steps taken so far.
        momentum: α in [0, 1), default 0, or such a function.
        nesterov: Take the gradient at the look-ahead point. Needs momentum.
        dampening: τ in [0, 1], default 0, in torch's convention only.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, 2.0])
        >>> opt = schuss.SGD([theta], lr=0.1, momentum=0.5)
        >>> opt.step([theta.copy()])  # the gradient of |θ|²/2
        >>> opt.step([theta.copy()])
        >>> theta
        array([0.76, 1.52])
    """

    def __init__(
        self,
        params: Arrays,
        lr: float | Schedule,
        *,
        momentum: float | Schedule = 0.0,
        nesterov: bool = False,
        dampening: float = 0.0,
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
            momentum=momentum,
            nesterov=nesterov,
            dampening=dampening,
            convention=convention,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def _rule(self, group: dict[str, Any]) -> str:
        if group["nesterov"]:
            return "nesterov"
        return "momentum" if group["momentum"] else "sgd"


class Momentum(SGD):
    """Gradient descent with momentum: `SGD` with a default momentum of 0.9.

    Formula: v ← αv - εg; θ ← θ + v, with α = `momentum` and ε = `lr`; torch's as in `SGD`.

    Source: Polyak 1964; Deep Learning, algorithm 8.2. State: `v`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), or a function of the number of steps taken so far.
        momentum: α in [0, 1), default 0.9, or such a function.
        options: The further options of `SGD`.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, 2.0])
        >>> schuss.Momentum([theta], lr=0.1).step([theta.copy()])
        >>> theta
        array([0.9, 1.8])
    """

    def __init__(
        self, params: Arrays, lr: float | Schedule, *, momentum: float | Schedule = 0.9, **options: Any
    ) -> None:
        super().__init__(params, lr, momentum=momentum, **options)


class Nesterov(SGD):
    """Gradient descent with Nesterov momentum: `SGD` with `nesterov=True` and a default momentum of 0.9.

    Formula: v ← αv - εg; θ ← θ + v, with g taken at θ + αv, α = `momentum` and ε = `lr`. `params` hold that look-ahead
    point, `theta()` gives θ; torch's as in `SGD`.

    Source: Nesterov 1983 as in Sutskever et al. 2013; Deep Learning, algorithm 8.3. State: `v`.

    Args:
        params: What to optimize; see below.
        lr: The learning rate ε in [0, ∞), or a function of the number of steps taken so far.
        momentum: α in (0, 1), default 0.9, or such a function.
        options: The further options of `SGD`.

    Example:
        >>> import numpy as np, schuss
        >>> theta = np.array([1.0, 2.0])
        >>> opt = schuss.Nesterov([theta], lr=0.1, momentum=0.5)
        >>> opt.step([theta.copy()])
        >>> theta, opt.theta()  # θ + αv, and θ
        (array([0.85, 1.7 ]), [array([0.9, 1.8])])
    """

    def __init__(
        self, params: Arrays, lr: float | Schedule, *, momentum: float | Schedule = 0.9, **options: Any
    ) -> None:
        super().__init__(params, lr, momentum=momentum, nesterov=True, **options)
