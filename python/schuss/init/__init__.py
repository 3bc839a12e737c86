"""Initial weights and biases (Deep Learning, section 8.4).

Weights of a dense layer y = xW + b have the shape (inputs, outputs). Those of a convolution have the shape
(*kernel, inputs, outputs), for images (height, width, inputs, outputs): an output sees inputs·height·width values, and
an input reaches outputs·height·width. Arrays with the outputs first, such as torch's, are these transposed.

`SCHEMES` and `BIASES` are the schemes by name.
"""

from schuss.init.biases import BIASES, constant, log_odds, ones, zeros
from schuss.init.lsuv import lsuv
from schuss.init.weights import (
    SCHEMES,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    orthogonal,
    sparse,
    uniform,
)

__all__ = [
    "BIASES",
    "SCHEMES",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "log_odds",
    "lsuv",
    "ones",
    "orthogonal",
    "sparse",
    "uniform",
    "zeros",
]
