"""schuss: fused CPU optimizers and minimisers for Python, with a readable NumPy reference."""

from schuss import distributed, kernels, linalg, reference
from schuss._core import version as __version__
from schuss.info import show_config
from schuss.minimizers import (
    BFGS,
    LBFGS,
    ConjugateGradient,
    GradientDescent,
    Minimizer,
    MinimizeResult,
    Newton,
    minimize,
    minimize_batch,
)
from schuss.normalization import BatchNorm, batch_norm, batch_norm_backward
from schuss.optimizers import (
    ASGD,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    DeltaBarDelta,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RAdam,
    RMSProp,
    Rprop,
)
from schuss.threads import get_num_threads, set_num_threads

__all__ = [
    "ASGD",
    "BFGS",
    "LBFGS",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "BatchNorm",
    "ConjugateGradient",
    "DeltaBarDelta",
    "GradientDescent",
    "MinimizeResult",
    "Minimizer",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Newton",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "Rprop",
    "__version__",
    "batch_norm",
    "batch_norm_backward",
    "distributed",
    "get_num_threads",
    "kernels",
    "linalg",
    "minimize",
    "minimize_batch",
    "reference",
    "set_num_threads",
    "show_config",
]
