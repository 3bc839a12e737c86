"""`schuss.coordinate.lasso` and `elastic_net`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from schuss import _core
from schuss.coordinate import arguments
from schuss.coordinate.result import CoordinateResult, ended, run, watch
from schuss.minimizers.arguments import count
from schuss.options import number

MAXITER = 10_000
TOL = 1e-8


def lasso(
    X: Any,
    y: Any,
    alpha: float,
    *,
    fit_intercept: bool = True,
    w0: Any = None,
    tol: float = TOL,
    maxiter: int = MAXITER,
    callback: Callable[..., Any] | None = None,
    num_threads: int | None = None,
) -> CoordinateResult:
    """Fit a linear model with few non-zero coefficients: least squares with an L1 penalty.

    Formula: minimise (1/2n)‖y - Xw - b‖² + α‖w‖₁ over w and b; scikit-learn's `Lasso` has the same.

    Source: Tibshirani 1996; Friedman, Hastie and Tibshirani 2010 (coordinate descent); Fercoq, Gramfort and Salmon 2015
    (the duality gap); Massias, Gramfort and Salmon 2018 (the working set); Deep Learning, sections 7.1.2 and 8.7.2.

    Args:
        X: The design, of shape (n, p), n at least 1, in any memory order. Its dtype is float32 if y's is, too;
            everything else becomes float64. It is copied once, into columns.
        y: The target, of shape (n,).
        alpha: α, in [0, ∞). With 0 it is least squares, whose gap is known for p ≤ 1024 or where y is met exactly.
        fit_intercept: Whether there is a b (default), which is not penalised; otherwise it is 0.
        w0: Where to begin, of shape (p,), default zero. A start that is no better than zero is not used.
        tol: Converged when the duality gap is at most `tol` times the objective at w = 0, in [0, ∞), default 1e-8.
        maxiter: Sweeps over the working set at most, at least 0, default 10000.
        callback: callback(x) or callback(intermediate_result), the latter by that name, after each look at all
            columns. It ends the run by raising StopIteration.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

    Returns:
        `x` or `coef` is w, of shape (p,) and X's dtype; `intercept` is b, a float; `fun` the objective, `history` what
        it was at each look at all columns; `gap` a bound on the objective above its minimum, rounding errors included,
        and `relative_gap` the same over the objective at zero; `n_iter` the number of sweeps; and `success`, `status`
        and `message`, as in `CoordinateResult`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range or not finite.

    What callback raises comes through, an interrupt too; the exception then has the result so far as its attribute
    `result`.

    Example:
        >>> import numpy as np, schuss
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> found = schuss.coordinate.lasso(X, [3.0, 0.5, -3.0, -0.5], 0.25)
        >>> found.coef, found.success
        (array([2.5, 0. ]), True)
    """
    options: dict[str, Any] = {"fit_intercept": fit_intercept, "w0": w0, "tol": tol, "maxiter": maxiter}
    return elastic_net(X, y, alpha, 1.0, **options, callback=callback, num_threads=num_threads)


def elastic_net(
    X: Any,
    y: Any,
    alpha: float,
    l1_ratio: float = 0.5,
    *,
    fit_intercept: bool = True,
    w0: Any = None,
    tol: float = TOL,
    maxiter: int = MAXITER,
    callback: Callable[..., Any] | None = None,
    num_threads: int | None = None,
) -> CoordinateResult:
    """Fit a linear model: least squares with an L1 and an L2 penalty.

    Formula: minimise (1/2n)‖y - Xw - b‖² + α·ρ·‖w‖₁ + ½α(1 - ρ)‖w‖² over w and b, with ρ for `l1_ratio`;
    scikit-learn's `ElasticNet` has the same.

    Source: Zou and Hastie 2005; the others of `lasso`.

    Args:
        X: The design, of shape (n, p), as in `lasso`.
        y: The target, of shape (n,).
        alpha: α, in [0, ∞).
        l1_ratio: ρ, in [0, 1], default 0.5. 1 is the lasso, 0 ridge regression.
        fit_intercept: Whether there is a b (default), which is not penalised; otherwise it is 0.
        w0: Where to begin, of shape (p,), default zero. A start that is no better than zero is not used.
        tol: Converged when the duality gap is at most `tol` times the objective at w = 0, in [0, ∞), default 1e-8.
        maxiter: Sweeps over the working set at most, at least 0, default 10000.
        callback: callback(x) or callback(intermediate_result), as in `lasso`.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.

    Returns:
        What `lasso` returns.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range or not finite.

    Example:
        >>> import numpy as np, schuss
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> schuss.coordinate.elastic_net(X, [3.0, 0.5, -3.0, -0.5], 0.5, 0.5).coef.round(6)
        array([1.666667, 0.      ])
    """
    design, target = arguments.arrays(X=X, y=y)
    arguments.require_shape("X", design, "n", *(design.shape[1:] if design.ndim == 2 else ("p",)))
    arguments.require_shape("y", target, len(design))
    coef = arguments.initial("w0", w0, design.dtype, design.shape[1])
    if not isinstance(fit_intercept, (bool, np.bool_)):
        raise TypeError(f"fit_intercept must be True or False, got {fit_intercept!r}")
    settings = (
        arguments.positive_or_zero("alpha", alpha),
        number("l1_ratio", l1_ratio, arguments.CLOSED_FRACTION),
        bool(fit_intercept),
        arguments.positive_or_zero("tol", tol),
        count("maxiter", maxiter, 0),
        arguments.thread_count(num_threads),
    )
    rounds: list[tuple[int, float, float, float, float]] = []

    def result(status: int) -> CoordinateResult:
        n_iter, fun, gap, relative_gap, intercept = rounds[-1] if rounds else (0, *[np.nan] * 4)
        found = {"coef": coef, "intercept": intercept, "fun": fun, "gap": gap, "relative_gap": relative_gap}
        history = np.array([entry[1] for entry in rounds])
        return ended(status, x=coef, **found, history=history, n_iter=n_iter)

    seen = watch(callback, result)
    return run(lambda: _core.elastic_net(design, target, coef, *settings, rounds, seen), result)
