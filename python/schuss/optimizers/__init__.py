"""The first-order optimizers, one class for each update rule."""

from schuss.optimizers.adadelta import AdaDelta
from schuss.optimizers.adagrad import AdaGrad
from schuss.optimizers.adam import Adam, AdamW
from schuss.optimizers.base import Optimizer
from schuss.optimizers.delta_bar_delta import DeltaBarDelta
from schuss.optimizers.rmsprop import RMSProp
from schuss.optimizers.sgd import SGD, Momentum, Nesterov

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "DeltaBarDelta",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
]
