"""schuss: fused CPU optimizers for Python trainers, equal to a readable NumPy reference bit for bit."""

from schuss import kernels, reference
from schuss._core import version as __version__
from schuss.info import show_config
from schuss.normalization import BatchNorm, batch_norm, batch_norm_backward
from schuss.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    DeltaBarDelta,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
)
from schuss.threads import get_num_threads, set_num_threads

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BatchNorm",
    "DeltaBarDelta",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "__version__",
    "batch_norm",
    "batch_norm_backward",
    "get_num_threads",
    "kernels",
    "reference",
    "set_num_threads",
    "show_config",
]
