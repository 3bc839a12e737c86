"""The Gaussian blur of a function: in closed form where it has one, else by samples."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.continuation.closed_forms import Blurrable
from schuss.options import POSITIVE_OR_ZERO, count, function, number
from schuss.streams import Purpose, check_seed, stream

Array = NDArray[Any]


def gaussian_blur(
    fun: Callable[[Array], Any], sigma: float, *, samples: int = 128, seed: int | None = None
) -> Callable[[Array], Any]:
    """A function blurred by a Gaussian: small features vanish, and local minima with them.

    Formula: f_σ(x) = E f(x + σz) over z ~ N(0, I). In closed form for a `Blurrable`; else the mean over `samples`
    values of z in pairs z and -z, drawn once, so that f_σ is as smooth as f and the same at each call.

    Source: Mobahi and Fisher 2015; Deep Learning, section 8.7.6.

    Args:
        fun: A `Blurrable`, or a function of x, of shape (n,), that returns f or a pair (f, g).
        sigma: σ in [0, ∞); 0 is no blur.
        samples: How many z, an even number of at least 2, default 128; for functions without a closed form.
        seed: An integer in [0, 2¹²⁸), needed for those.

    Returns:
        A function of x that returns what `fun` does.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range.

    Example:
        >>> import numpy as np, schuss
        >>> blurred = schuss.continuation.gaussian_blur(lambda x: x[0] ** 2, 2.0, samples=10000, seed=0)
        >>> bool(abs(blurred(np.array([1.0])) - 5) < 0.2)  # x² + σ²
        True
    """
    function("fun", fun)
    sigma = number("sigma", sigma, POSITIVE_OR_ZERO)
    if isinstance(fun, Blurrable):
        return fun.blurred(sigma)
    half, odd = divmod(count("samples", samples, 2), 2)
    if odd:
        raise ValueError(f"samples must be even, got {samples!r}")
    if sigma == 0:
        return fun
    if seed is None:
        raise TypeError("seed is needed for a blur by samples")
    return SampledBlur(fun, sigma, half, check_seed(seed))


class SampledBlur:
    """The mean of a function over fixed points around x.

    Args:
        fun: The function.
        sigma: The scale of the points' distances.
        pairs: How many pairs of points.
        seed: Draws them.
    """

    def __init__(self, fun: Callable[[Array], Any], sigma: float, pairs: int, seed: int) -> None:
        self.fun, self.sigma, self.pairs, self.seed = fun, sigma, pairs, seed
        self._offsets = np.empty((0, 0))

    def __call__(self, x: Array) -> Any:
        """What the function returns, averaged."""
        x = np.asarray(x)
        if self._offsets.shape[1] != x.size:
            z = stream(self.seed, Purpose.SMOOTHING).normal(0, self.sigma, (self.pairs, x.size))
            self._offsets = np.concatenate([z, -z])
        found = [self.fun((x + offset).astype(x.dtype, copy=False)) for offset in self._offsets]
        if isinstance(found[0], tuple):
            values, gradients = zip(*found, strict=True)
            return float(np.mean(values)), np.mean(gradients, axis=0)
        return float(np.mean(found))
