"""The first-order optimizers, one class for each update rule."""

from schuss.optimizers.adadelta import AdaDelta
from schuss.optimizers.adagrad import AdaGrad
from schuss.optimizers.adam import Adam, AdamW
from schuss.optimizers.adamax import Adamax
from schuss.optimizers.asgd import ASGD
from schuss.optimizers.base import Optimizer
from schuss.optimizers.delta_bar_delta import DeltaBarDelta
from schuss.optimizers.nadam import NAdam
from schuss.optimizers.radam import RAdam
from schuss.optimizers.rmsprop import RMSProp
from schuss.optimizers.rprop import Rprop
from schuss.optimizers.sgd import SGD, Momentum, Nesterov

__all__ = [
    "ASGD",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "DeltaBarDelta",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "Rprop",
]
