"""From easy to hard: blurred objectives one after another, and examples in the order of their difficulty.

Deep Learning, section 8.7.6.
"""

from schuss.continuation.closed_forms import Blurrable, Cosines, Gaussians, Polynomial
from schuss.continuation.curriculum import Curriculum
from schuss.continuation.method import Continuation, continuation
from schuss.continuation.sampled import gaussian_blur

__all__ = [
    "Blurrable",
    "Continuation",
    "Cosines",
    "Curriculum",
    "Gaussians",
    "Polynomial",
    "continuation",
    "gaussian_blur",
]
