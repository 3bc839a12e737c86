"""Minibatches, and the standard error of their gradients by their size (Deep Learning, section 8.1.3)."""

from schuss.data.minibatches import Minibatches
from schuss.data.standard_error import StandardErrors, gradient_standard_error

__all__ = ["Minibatches", "StandardErrors", "gradient_standard_error"]
