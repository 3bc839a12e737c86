"""`schuss.minimize`: one call that minimises."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from schuss.minimizers import arguments
from schuss.minimizers.base import Minimizer
from schuss.minimizers.compiled import compiled
from schuss.minimizers.differences import (
    SCHEMES,
    Budget,
    FiniteDifferences,
    HessianByDifferences,
    HessianByUpdates,
    OutOfBudgetError,
    check_step,
    is_strategy,
)
from schuss.minimizers.result import EVALUATION_LIMIT, Array, MinimizeResult
from schuss.minimizers.solvers import SOLVERS

Method = Literal["bfgs", "lbfgs", "cg", "newton", "gd"]


def minimize(
    fun: Any,
    x0: Any,
    *,
    method: Method = "bfgs",
    jac: Any = None,
    hess: Any = None,
    args: tuple[Any, ...] = (),
    callback: Callable[..., Any] | None = None,
    gtol: float = 1e-5,
    maxiter: int | None = None,
    maxfun: int | None = None,
    maxtime: float | None = None,
    warm_start: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
    **options: Any,
) -> MinimizeResult:
    """Minimise a function of n unknowns.

    Args:
        fun: The objective. fun(x, *args) returns f, or a pair (f, g) with `jac=True`; x is an array of shape (n,) and
            of x0's dtype, which fun may keep. Or a compiled function
            `int32 fg(int64 n, const T* x, T* f, T* g, void* user)` that returns 1 for success: numba's `cfunc`, a
            ctypes or cffi pointer, a PyCapsule or a `scipy.LowLevelCallable`; it runs without the GIL, and takes no
            jac, hess or args.
        x0: Where to begin: n numbers. float32 stays float32, everything else becomes float64.
        method: "bfgs" (default), "lbfgs", "cg", "newton" or "gd": `BFGS`, `LBFGS`, `ConjugateGradient`, `Newton` or
            `GradientDescent`.
        jac: True if fun returns the gradient too; jac(x, *args), which returns the gradient; or None (default),
            "2-point", "3-point" or "cs" for finite differences. A fun that returns a pair is taken at its word.
        hess: For "newton": hess(x, *args), which returns the Hessian, a symmetric array of shape (n, n), of which the
            upper half is read; "2-point" (default), "3-point" or "cs" for differences of the gradient; or a
            quasi-Newton formula such as `scipy.optimize.SR1()`. "cs" wants a `jac`, which is called with complex
            numbers.
        args: Passed on to fun, jac and hess.
        callback: callback(x) or callback(intermediate_result), the latter by that name, after each iteration. It ends
            the minimisation by raising StopIteration.
        gtol: Converged when the norm of the gradient is at most this, in [0, ∞), default 1e-5.
        maxiter: Iterations at most, at least 0, default max(1000, 200n).
        maxfun: Evaluations at most, at least 1, default any number. Those of finite differences count.
        maxtime: Seconds at most, in [0, ∞], default ∞.
        warm_start: A former result: "bfgs" and "lbfgs" begin with what it knows of the curvature.
        num_threads: At least 1; by default what `schuss.get_num_threads()` says. The result does not depend on it.
        options: Those of the solver's class, such as `hess_inv0`, `memory`, `beta`, `line_search`, `xrtol`, `norm`;
            and `eps` or `finite_diff_rel_step`, the absolute steps of finite differences, or those over |x|: positive,
            one number or of shape (n,). One that does not change x is replaced by the default.

    Returns:
        The best finite point that was found, under SciPy's names; `status` says how the minimisation ended.
        See `MinimizeResult`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, or fun returned something of another shape.

    What fun, jac, hess or callback raise comes through, an interrupt too; the exception then has the result so far as
    its attribute `result`.

    Example:
        >>> import numpy as np, schuss
        >>> def rosenbrock(x):
        ...     a, b = x[1] - x[0] ** 2, 1 - x[0]
        ...     return 100 * a**2 + b**2, np.array([-400 * a * x[0] - 2 * b, 200 * a])
        >>> res = schuss.minimize(rosenbrock, [-1.2, 1.0], jac=True)
        >>> res.x.round(6), res.success
        (array([1., 1.]), True)
    """
    x = arguments.start(x0)
    most = None if maxfun is None else arguments.plain("maxfun", maxfun)
    steps = {name: check_step(name, options.pop(name, None), x.size) for name in ("eps", "finite_diff_rel_step")}
    objective = Objective(method, fun, jac, hess, args, most, **steps)
    solver = make_solver(
        method,
        x,
        gtol=gtol,
        maxiter=maxiter,
        maxfun=None if objective.counts else most,
        maxtime=maxtime,
        num_threads=num_threads,
        **options,
    )
    if warm_start is not None:
        solver.warm_start(warm_start)
    try:
        objective.run(solver, _after(callback))
    except BaseException as error:
        error.result = objective.result(solver)  # type: ignore[attr-defined]
        raise
    return objective.result(solver)


def make_solver(method: str, x0: Any, **options: Any) -> Minimizer:
    """A solver of the class for `method`; raises ValueError if there is none."""
    if not isinstance(method, str) or method not in SOLVERS:
        raise ValueError(f"method must be one of {', '.join(map(repr, SOLVERS))}, got {method!r}")
    return SOLVERS[method](x0, **options)


class Objective:
    """The functions of a minimisation in the form in which the solver wants them.

    Attributes:
        counts: Whether it counts the evaluations of fun, and ends the minimisation when `maxfun` is reached: where one
            gradient or Hessian takes several.
    """

    def __init__(
        self,
        method: str,
        fun: Any,
        jac: Any,
        hess: Any,
        args: Any,
        maxfun: int | None,
        eps: Array | None = None,
        finite_diff_rel_step: Array | None = None,
    ) -> None:
        self.compiled = compiled(fun)
        if self.compiled is not None:
            _require_none(jac=None if isinstance(jac, (bool, np.bool_)) else jac, hess=hess, args=args or None, eps=eps)
            _require_none(finite_diff_rel_step=finite_diff_rel_step)
            if method == "newton":
                raise ValueError("method 'newton' wants the Hessian, which a compiled objective does not give")
        elif not callable(fun):
            raise TypeError(f"fun is {type(fun).__name__}, expected a function")
        if not (jac is None or callable(jac) or isinstance(jac, (bool, np.bool_)) or _is_scheme(jac)):
            raise TypeError(f"jac is {jac!r}, expected a function, True or one of {', '.join(map(repr, SCHEMES))}")
        if not (hess is None or callable(hess) or _is_scheme(hess) or is_strategy(hess)):
            raise TypeError(f"hess is {hess!r}, expected a function or one of {', '.join(map(repr, SCHEMES))}")

        self._jac, self._args = jac if callable(jac) else None, args if isinstance(args, tuple) else (args,)
        self._budget = Budget(math.inf if maxfun is None else maxfun)
        gives_both = self.compiled is not None or (isinstance(jac, (bool, np.bool_)) and bool(jac))
        by_differences = self._jac is None and not gives_both
        hessian_from_gradients = method == "newton" and not callable(hess)
        if hessian_from_gradients and hess == "cs" and by_differences:
            raise ValueError("hess is 'cs', which wants a gradient of complex numbers, but there is no jac")
        self.counts = by_differences or (hessian_from_gradients and self._jac is None)
        self._differences: FiniteDifferences | None = None
        self._hessian: HessianByDifferences | HessianByUpdates | None = None
        self._fun, self._hess = self._budget.counted(fun) if self.counts else fun, hess
        if by_differences:
            scheme = jac if isinstance(jac, str) else "2-point"
            self._fun = self._differences = FiniteDifferences(fun, scheme, self._budget, eps, finite_diff_rel_step)
        if hessian_from_gradients:
            gradient = self._jac or (lambda x, *args: self._fun(x, *args)[1])
            if is_strategy(hess):
                self._hess = self._hessian = HessianByUpdates(gradient, hess)
            else:
                self._hess = self._hessian = HessianByDifferences(gradient, hess or "2-point")

    def run(self, solver: Minimizer, after: Callable[[Minimizer], Callable[[Array, float], bool]] | None) -> None:
        """Minimise."""
        watch = after and after(solver)
        try:
            if self.compiled is not None:
                solver.run_compiled(self.compiled, watch)
            else:
                solver.run(self._fun, self._jac, self._hess, self._args, watch)
        except OutOfBudgetError:
            solver.stop(EVALUATION_LIMIT)

    def result(self, solver: Minimizer) -> MinimizeResult:
        """The result, with the evaluations that the solver does not know of."""
        found = solver.result()
        if self._hessian is not None:
            found["njev"] += self._hessian.calls
        if self.counts:
            found["nfev"] = self._budget.spent
        if self._differences is not None and math.isnan(found.fun) and self._differences.first is not None:
            found["fun"] = self._differences.first
        return found


def _require_none(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise TypeError(f"{name} is {value!r}, which a compiled fun does not take")


def _is_scheme(jac: Any) -> bool:
    return isinstance(jac, str) and jac in SCHEMES


def _after(callback: Callable[..., Any] | None) -> Callable[[Minimizer], Callable[[Array, float], bool]] | None:
    """The callback in the form in which the solver calls it."""
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(f"callback is {type(callback).__name__}, expected a function")
    by_name = wants_result(callback)

    def after(solver: Minimizer) -> Callable[[Array, float], bool]:
        def call(x: Array, f: float) -> bool:
            try:
                if by_name:
                    callback(intermediate_result=MinimizeResult(x=x, fun=f, nit=solver.nit))
                else:
                    callback(x)
            except StopIteration:
                return True
            return False

        return call

    return after


def wants_result(callback: Any) -> bool:
    """Whether a callback takes the result so far, by the name `intermediate_result`, and not x."""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):
        return False
