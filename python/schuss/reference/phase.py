"""What a step does to the gradient and the parameters before the update rule: direction and weight decay."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def phase(*, decoupled_weight_decay: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give an update rule the options `weight_decay`, `decoupled_weight_decay` and `maximize`."""

    def with_options(rule: Callable[..., None]) -> Callable[..., None]:
        lr_default = inspect.signature(rule).parameters["lr"].default

        @functools.wraps(rule)
        def update(
            theta: Array,
            g: Array,
            *states: Array | None,
            weight_decay: float = 0.0,
            decoupled_weight_decay: bool = decoupled_weight_decay,
            maximize: bool = False,
            **options: Any,
        ) -> None:
            # NumPy's own scalars would lift float32 arrays to float64.
            options = {name: float(x) if isinstance(x, np.floating) else x for name, x in options.items()}
            lr, weight_decay = options.get("lr", lr_default), float(weight_decay)
            if maximize:
                g = -g
            if weight_decay != 0 and decoupled_weight_decay:
                theta[...] = (1 - lr * weight_decay) * theta
            elif weight_decay != 0:
                g = g + weight_decay * theta
            rule(theta, g, *states, **options)

        own = list(inspect.signature(rule).parameters.values())
        added = [p for p in inspect.signature(update, follow_wrapped=False).parameters.values() if p.name in ADDED]
        update.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        return update

    return with_options


ADDED = ("weight_decay", "decoupled_weight_decay", "maximize")
