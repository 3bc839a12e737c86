"""Deterministic minimisers: gradient descent, conjugate gradients, BFGS, L-BFGS, Newton's method."""

from schuss.minimizers.base import Minimizer
from schuss.minimizers.batch import minimize_batch
from schuss.minimizers.minimize import minimize
from schuss.minimizers.result import MinimizeResult
from schuss.minimizers.solvers import BFGS, LBFGS, ConjugateGradient, GradientDescent, Newton

__all__ = [
    "BFGS",
    "LBFGS",
    "ConjugateGradient",
    "GradientDescent",
    "MinimizeResult",
    "Minimizer",
    "Newton",
    "minimize",
    "minimize_batch",
]
