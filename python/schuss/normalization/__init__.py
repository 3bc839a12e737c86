"""Batch normalization: as functions, and as a layer that keeps their state."""

from schuss.normalization.functions import Saved, batch_norm, batch_norm_backward
from schuss.normalization.layer import BatchNorm

__all__ = ["BatchNorm", "Saved", "batch_norm", "batch_norm_backward"]
