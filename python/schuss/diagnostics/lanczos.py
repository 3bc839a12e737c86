"""Extreme eigenvalues of a symmetric matrix that is known by its products with vectors only."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss.diagnostics.curvature import vector
from schuss.diagnostics.norms import length
from schuss.options import POSITIVE_OR_ZERO, count, floating, function, number
from schuss.streams import Purpose, stream

Array = NDArray[Any]


class RitzValues(NamedTuple):
    """Approximate eigenvalues.

    Attributes:
        values: They, rising, of shape (iterations,).
        residuals: For each the bound r: some eigenvalue lies within [value - r, value + r].
        converged: Whether the residuals of the least and the greatest are as small as was asked for.
    """

    values: Array
    residuals: Array
    converged: bool


def lanczos(
    product: Callable[[Array], Any],
    n: int,
    *,
    iterations: int | None = None,
    rtol: float = 1e-6,
    seed: int = 0,
    dtype: Any = np.float64,
    callback: Callable[[int, float, float], None] | None = None,
) -> RitzValues:
    """Lanczos' method with full reorthogonalisation: the extremes of a spectrum from a few products.

    Formula: β_k q_{k+1} = Aq_k - α_k q_k - β_{k-1} q_{k-1}, made orthogonal to all q before it, twice. The eigenvalues
    of the tridiagonal matrix of α and β are the Ritz values, with the residuals β_k|s_k|, s being the eigenvector.

    Source: Lanczos 1950; Golub and Van Loan 2013, sections 10.1 and 10.3; Parlett 1998 (twice is enough).

    Args:
        product: product(v) gives Av, of shape (n,), A being symmetric.
        n: The size of A, at least 1.
        iterations: Products at most, at least 1, default 200; never more than n. Each takes n numbers of memory.
        rtol: Converged when the residuals of the least and the greatest value are at most this times the greatest
            magnitude of a value, in [0, ∞), default 1e-6.
        seed: Of the random q₁, an integer in [0, 2¹²⁸), default 0.
        dtype: What `product` is called with, float32 or float64 (default). The recursion is in float64.
        callback: callback(k, least, greatest) after each product.

    Returns:
        A `RitzValues`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or a product has another shape or is not finite.

    Example:
        >>> import numpy as np, schuss
        >>> found = schuss.diagnostics.lanczos(lambda v: np.arange(1.0, 101.0) * v, 100)
        >>> found.values[[0, -1]].round(6), len(found.values) < 100
        (array([  1., 100.]), True)
    """
    function("product", product)
    n, kind = count("n", n, 1), floating(dtype)
    most = min(n, 200 if iterations is None else count("iterations", iterations, 1))
    allowed = number("rtol", rtol, POSITIVE_OR_ZERO)
    q = stream(seed, Purpose.LANCZOS).normal(size=n)
    basis, alpha, beta = (q / length(q))[None], np.empty(0), np.empty(0)
    while True:
        w = vector("product(v)", product(basis[-1].astype(kind)), q)
        alpha = np.append(alpha, basis[-1] @ w)
        for _ in range(2):
            w = w - basis.T @ (basis @ w)
        last = length(w)
        found = _ritz(alpha, beta, last, allowed)
        if callback is not None:
            callback(len(alpha), float(found.values[0]), float(found.values[-1]))
        if found.converged or len(alpha) == most:
            return found
        beta = np.append(beta, last)
        basis = np.vstack([basis, w / last])


def _ritz(alpha: Array, beta: Array, last: float, rtol: float) -> RitzValues:
    """The Ritz values after some products, the last of which has left a remainder of this norm."""
    values, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))
    residuals = last * np.abs(vectors[-1])
    scale = np.abs(values).max()
    # At a remainder of rounding alone all eigenvalues that q₁ takes part in are found, whatever rtol is.
    exhausted = last <= len(alpha) * np.finfo(np.float64).eps * scale
    return RitzValues(values, residuals, bool(exhausted or residuals[[0, -1]].max() <= rtol * scale))
