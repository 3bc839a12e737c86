"""What hinders an optimization: norms and noise of gradients, curvature, critical points, learning rates.

Parameters are a vector x of shape (n,), of float32 or float64; `gradient(x)` gives the gradient there. Second
derivatives enter as products with vectors only, by `hvp(x, v)` or, without one, by differences of the gradient. Each
`plot_…` draws one diagnostic with matplotlib and returns the axes.
"""

from schuss.data.standard_error import StandardErrors, gradient_standard_error
from schuss.diagnostics.curvature import Conditioning, hessian_vector_product, ill_conditioning
from schuss.diagnostics.lanczos import RitzValues, lanczos
from schuss.diagnostics.learning_rate import RangeTest, range_test
from schuss.diagnostics.norms import GradientNorms
from schuss.diagnostics.plots import (
    plot_gradient_norms,
    plot_ill_conditioning,
    plot_range_test,
    plot_spectrum,
    plot_standard_error,
)
from schuss.diagnostics.spectrum import ConditionNumber, CriticalPoint, condition_number, critical_point

__all__ = [
    "ConditionNumber",
    "Conditioning",
    "CriticalPoint",
    "GradientNorms",
    "RangeTest",
    "RitzValues",
    "StandardErrors",
    "condition_number",
    "critical_point",
    "gradient_standard_error",
    "hessian_vector_product",
    "ill_conditioning",
    "lanczos",
    "plot_gradient_norms",
    "plot_ill_conditioning",
    "plot_range_test",
    "plot_spectrum",
    "plot_standard_error",
    "range_test",
]
