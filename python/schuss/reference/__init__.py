"""The update rules, batch normalization and the kernels of the minimisers in NumPy, as the book writes them.

Each function of a rule updates `theta` and the states in place and computes in their own dtype. The compiled kernels
of the same name give the same result bit for bit. Symbols of the book are Greek names; where a hyperparameter has a
name that everybody uses, it keeps it: `lr` is the book's ε, `momentum` its α, `eps` its δ, `betas` its (ρ₁, ρ₂).

`bfgs_update`, `newton_direction` and `cg` are what `schuss.linalg` computes, up to rounding; `minimizers` has the
directions of the minimisers. `coordinate` has coordinate descent as plain sweeps, which reach the same minima.
"""

from schuss.reference import coordinate, minimizers
from schuss.reference.minimizers import bfgs_update, cg, newton_direction
from schuss.reference.normalization import batch_norm, batch_norm_backward
from schuss.reference.rules import (
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    asgd,
    delta_bar_delta,
    momentum,
    nadam,
    nesterov,
    radam,
    rmsprop,
    rprop,
    sgd,
)

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "asgd",
    "batch_norm",
    "batch_norm_backward",
    "bfgs_update",
    "cg",
    "coordinate",
    "delta_bar_delta",
    "minimizers",
    "momentum",
    "nadam",
    "nesterov",
    "newton_direction",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
]
