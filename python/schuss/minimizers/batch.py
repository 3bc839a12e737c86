"""`schuss.minimize_batch`: many small problems at once."""

from typing import Any

import numpy as np

from schuss import _core
from schuss.minimizers import arguments
from schuss.minimizers.compiled import compiled
from schuss.minimizers.minimize import Method
from schuss.minimizers.result import RUNNING, Array, MinimizeResult


def minimize_batch(
    fun: Any,
    X0: Any,
    *,
    method: Method = "bfgs",
    gtol: float = 1e-5,
    maxiter: int | None = None,
    maxfun: int | None = None,
    maxtime: float | None = None,
    num_threads: int | None = None,
    **options: Any,
) -> MinimizeResult:
    """Minimise from many starts, or many problems of the same size, at once.

    Args:
        fun: Either a compiled objective, as `minimize` takes it, which is called from several threads at once; or a
            function fun(X, idx) that evaluates the problems `idx` (int64, shape (k,)) at the rows of X (shape (k, n))
            and returns their values F, of shape (k,), and their gradients G, of shape (k, n). It is called in
            lock-step, with those problems that are not done yet.
        X0: Where to begin: an array of shape (problems, n). float32 stays float32, everything else becomes float64.
        method: "bfgs" (default), "lbfgs", "cg" or "gd".
        gtol: Converged when the largest magnitude in the gradient is at most this, in [0, ∞), default 1e-5.
        maxiter: Iterations of a problem at most, at least 0, default max(1000, 200n).
        maxfun: Evaluations of a problem at most, at least 1, default any number.
        maxtime: Seconds for a problem at most, in [0, ∞], default ∞.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.
        options: Those of the solver's class but for `hess_inv0`.

    Returns:
        Arrays with an entry for each problem: `x` and `jac` of shape (problems, n), `fun`, `nit`, `nfev`, `status` and
        `success` of shape (problems,), as in `MinimizeResult`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or fun returned something of another shape.

    What fun raises comes through, an interrupt too; the exception then has the result so far as its attribute `result`,
    with status -1 for problems that have not ended.

    Example:
        >>> import numpy as np, schuss
        >>> centres = np.arange(6.0).reshape(3, 2)
        >>> def fun(X, idx):
        ...     away = X - centres[idx]
        ...     return (away**2).sum(1), 2 * away
        >>> res = schuss.minimize_batch(fun, np.zeros((3, 2)))
        >>> bool(np.allclose(res.x, centres)), res.success
        (True, array([ True,  True,  True]))
    """
    if not isinstance(method, str) or method not in arguments.OWN or method == "newton":
        raise ValueError(f"method must be one of 'gd', 'cg', 'bfgs', 'lbfgs', got {method!r}")
    starts = arguments.real_array("X0", X0)
    if starts.ndim != 2:
        raise ValueError(f"X0 has shape {starts.shape}, expected (problems, n)")
    starts = np.array(starts, np.float32 if starts.dtype == np.float32 else np.float64, order="C")
    limits = {"gtol": gtol, "maxiter": maxiter, "maxfun": maxfun, "maxtime": maxtime, "num_threads": num_threads}
    checked = {"maxiter": max(1000, 200 * starts.shape[1]), **arguments.check(method, {**limits, **options})}
    objective = compiled(fun)
    if objective is None and not callable(fun):
        raise TypeError(f"fun is {type(fun).__name__}, expected a function")
    found = _unknown(starts)
    try:
        if objective is not None:
            _core.batch_compiled(method, starts, checked, objective.address, objective.user, found)
        else:
            _core.batch_lock_step(method, starts, checked, fun, found)
    except BaseException as error:
        error.result = _judged(found)  # type: ignore[attr-defined]
        raise
    return _judged(found)


def _unknown(starts: Array) -> MinimizeResult:
    count = len(starts)
    nit, nfev, status = np.zeros((3, count), np.int64)
    status[:] = RUNNING
    return MinimizeResult(
        x=starts.copy(),
        fun=np.full(count, np.nan),
        jac=np.full_like(starts, np.nan),
        nit=nit,
        nfev=nfev,
        status=status,
    )


def _judged(found: MinimizeResult) -> MinimizeResult:
    found["success"] = found["status"] == 0
    return found
