"""`schuss.coordinate.coordinate_descent`: the plain method."""

from collections.abc import Callable
from typing import Any

import numpy as np

from schuss import _core
from schuss.coordinate import arguments
from schuss.coordinate.result import CoordinateResult, ended, run, watch
from schuss.minimizers.arguments import count


def coordinate_descent(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    alpha: float = 0.0,
    tol: float = 1e-8,
    maxiter: int = 10_000,
    callback: Callable[..., Any] | None = None,
) -> CoordinateResult:
    """Minimise a quadratic function, with an L1 penalty or without, one coordinate after the other.

    Formula: f(x) = ½xᵀAx - bᵀx + α‖x‖₁; x_i ← S(b_i - Σ_{j≠i} a_ij·x_j, α)/a_ii for i = 1 … n and again, where S is the
    soft threshold. Each is the exact minimiser over x_i. Nothing speeds it up: where coordinates depend on each other
    strongly it crawls. For f = (x₁ - x₂)² + a(x₁² + x₂²) a sweep takes x to x/(1 + a)², where Newton's method takes one
    step.

    Source: Deep Learning, section 8.7.2.

    Args:
        A: A symmetric array of shape (n, n) with a positive diagonal. Computed with in float64.
        b: An array of shape (n,).
        x0: Where to begin, of shape (n,), default zero.
        alpha: α, in [0, ∞), default 0.
        tol: Converged when no |∂f/∂x_i|, the smallest of the subgradients, is larger than `tol` times the largest at
            the start or at zero, in [0, ∞), default 1e-8.
        maxiter: Sweeps at most, at least 0, default 10000.
        callback: callback(x) or callback(intermediate_result), the latter by that name, at the start and after each
            sweep. It ends the descent by raising StopIteration.

    Returns:
        `x`, of shape (n,); `fun`, f there; `history`, f at the start and after each sweep; `violation`, the largest
        |∂f/∂x_i|; `n_iter`, the number of sweeps; and `success`, `status` and `message`, as in `CoordinateResult`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range or not finite, or A is not symmetric or has a diagonal element that
            is not positive.

    Example:
        >>> import numpy as np, schuss
        >>> a = 0.01
        >>> A = 2 * np.array([[1 + a, -1], [-1, 1 + a]])
        >>> crawls = schuss.coordinate.coordinate_descent(A, np.zeros(2), [1.0, 2.0])
        >>> crawls.n_iter > 500, crawls.success
        (True, True)
        >>> (np.array([1.0, 2.0]) + schuss.linalg.newton_direction(A, A @ [1.0, 2.0])).round(12) + 0.0
        array([0., 0.])
    """
    matrix, right = (np.ascontiguousarray(array, np.float64) for array in arguments.arrays(A=A, b=b))
    arguments.require_shape("b", right, "n")
    arguments.require_shape("A", matrix, len(right), len(right))
    arguments.require_finite("A", matrix)
    arguments.require_finite("b", right)
    x = arguments.initial("x0", x0, np.float64, len(right))
    if not np.array_equal(matrix, matrix.T):
        raise ValueError("A is not symmetric")
    if (least := matrix.diagonal().min()) <= 0:
        raise ValueError(f"A has {least} on its diagonal, expected positive numbers")
    weight = arguments.positive_or_zero("alpha", alpha)
    allowed, most = arguments.positive_or_zero("tol", tol), count("maxiter", maxiter, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        steepest = max(_violation(right - matrix @ x, x, weight), _violation(right, np.zeros_like(x), weight))
    rounds: list[tuple[int, float, float]] = []

    def result(status: int) -> CoordinateResult:
        n_iter, fun, off = rounds[-1] if rounds else (0, np.nan, np.nan)
        history = np.array([entry[1] for entry in rounds])
        return ended(status, x=x, fun=fun, history=history, violation=off, n_iter=n_iter)

    enough, seen = allowed * steepest if np.isfinite(steepest) else 0.0, watch(callback, result)
    return run(lambda: _core.coordinate_descent(matrix, right, x, weight, enough, most, rounds, seen), result)


def _violation(q: arguments.Array, x: arguments.Array, alpha: float) -> float:
    """The largest of the smallest subgradients, with q = b - Ax."""
    off = np.where(x == 0, np.maximum(np.abs(q) - alpha, 0), np.abs(q - alpha * np.sign(x)))
    return float(off.max())
