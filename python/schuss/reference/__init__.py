"""The update rules and batch normalization in NumPy, statement by statement as the book writes them.

Each function of a rule updates `theta` and the states in place and computes in their own dtype. The compiled kernels
of the same name give the same result bit for bit. Symbols of the book are Greek names; where a hyperparameter has a
name that everybody uses, it keeps it: `lr` is the book's ε, `momentum` its α, `eps` its δ, `betas` its (ρ₁, ρ₂).
"""

from schuss.reference.normalization import batch_norm, batch_norm_backward
from schuss.reference.rules import (
    adadelta,
    adagrad,
    adam,
    adamw,
    delta_bar_delta,
    momentum,
    nesterov,
    rmsprop,
    sgd,
)

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamw",
    "batch_norm",
    "batch_norm_backward",
    "delta_bar_delta",
    "momentum",
    "nesterov",
    "rmsprop",
    "sgd",
]
