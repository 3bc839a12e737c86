"""The optimizers that `schuss train` offers, with hyperparameters that suit the digits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import schuss


@dataclass(frozen=True)
class Recipe:
    """An optimizer, its learning rate, and its further hyperparameters where they are not its defaults."""

    optimizer: type[schuss.Optimizer]
    lr: float
    hyper: Mapping[str, Any] = field(default_factory=dict)

    def schedulable(self, name: str) -> bool:
        """Whether a hyperparameter may be a schedule: the momentum only where there is one."""
        momentum = self.hyper.get("momentum") or issubclass(self.optimizer, (schuss.Momentum, schuss.Nesterov))
        return name in self.optimizer.schedulable and (name != "momentum" or bool(momentum))


# The learning rates are the optimizers' defaults or, where there is none or a better one, those with the lowest
# validation loss among candidates a factor of two or three apart. Delta-bar-delta is made for the gradient of the whole
# training set: the sign of a minibatch's gradient changes by chance, so here its rates change by little at a time.
RECIPES: dict[str, Recipe] = {
    "sgd": Recipe(schuss.SGD, 0.2),
    "momentum": Recipe(schuss.Momentum, 0.03),
    "nesterov": Recipe(schuss.Nesterov, 0.03),
    "delta-bar-delta": Recipe(schuss.DeltaBarDelta, 0.1, {"kappa": 0.001, "phi": 0.01, "gamma": 0.9}),
    "adagrad": Recipe(schuss.AdaGrad, 0.03),
    "rmsprop": Recipe(schuss.RMSProp, 0.001),
    "rmsprop-nesterov": Recipe(schuss.RMSProp, 0.0001, {"momentum": 0.9, "nesterov": True}),
    "adadelta": Recipe(schuss.AdaDelta, 1.0),
    "adam": Recipe(schuss.Adam, 0.001),
    "adamw": Recipe(schuss.AdamW, 0.001, {"weight_decay": 0.1}),
}
