"""`schuss.minimize`: one call that minimises."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from schuss.minimizers import arguments
from schuss.minimizers.objective import SCHEMES, FiniteDifferences, HessianByDifferences, compiled
from schuss.minimizers.result import MinimizeResult
from schuss.minimizers.solvers import SOLVERS, Minimizer

Array = NDArray[Any]

Method = Literal["bfgs", "lbfgs", "cg", "newton", "gd"]


def minimize(
    fun: Any,
    x0: Any,
    *,
    method: Method = "bfgs",
    jac: Any = None,
    hess: Callable[..., Any] | None = None,
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
            ctypes or cffi pointer, a PyCapsule or a `scipy.LowLevelCallable`; it runs without the GIL.
        x0: Where to begin: n numbers. float32 stays float32, everything else becomes float64.
        method: "bfgs" (default), "lbfgs", "cg", "newton" or "gd": `BFGS`, `LBFGS`, `ConjugateGradient`, `Newton` or
            `GradientDescent`.
        jac: True if fun returns the gradient too; jac(x, *args), which returns the gradient; or None (default),
            "2-point", "3-point" or "cs" for finite differences. A fun that returns a pair is taken at its word.
        hess: hess(x, *args) returns the Hessian, an array of shape (n, n), for "newton". By default it comes from
            differences of the gradient.
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
            and `eps` or `finite_diff_rel_step`, the absolute or relative steps of finite differences.

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
    objective = Objective(
        fun, jac, hess, args, x.size, options.pop("eps", None), options.pop("finite_diff_rel_step", None)
    )
    solver = make_solver(
        method,
        x,
        gtol=gtol,
        maxiter=maxiter,
        maxfun=objective.solvers_limit(maxfun),
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
    if method not in SOLVERS:
        raise ValueError(f"method must be one of {', '.join(map(repr, SOLVERS))}, got {method!r}")
    return SOLVERS[method](x0, **options)


class Objective:
    """The functions of a minimisation, in the form in which the solver wants them, and how often they were called."""

    def __init__(
        self, fun: Any, jac: Any, hess: Any, args: Any, n: int, step: Any = None, relative_step: Any = None
    ) -> None:
        self._args = args if isinstance(args, tuple) else (args,)
        self.compiled = compiled(fun)
        if self.compiled is None and not callable(fun):
            raise TypeError(f"fun is {type(fun).__name__}, expected a function")
        for name, function in (("jac", jac), ("hess", hess)):
            if function is not None and not (callable(function) or (name == "jac" and _is_jac(function))):
                raise TypeError(f"{name} is {function!r}, expected a function{' or True' if name == 'jac' else ''}")
        self._differences: FiniteDifferences | None = None
        self._hessian: HessianByDifferences | None = None
        self._fun, self._jac, self._hess = fun, None, hess
        self._per_gradient = 1
        if self.compiled is None:
            self._prepare(jac, n, step, relative_step)

    def _prepare(self, jac: Any, n: int, step: Any, relative_step: Any) -> None:
        if callable(jac):
            self._jac = jac
        elif jac is not True:
            scheme = jac if isinstance(jac, str) else "2-point"
            self._differences = FiniteDifferences(self._fun, self._args, scheme, step, relative_step)
            self._per_gradient = 1 + (2 if scheme == "3-point" else 1) * n
            self._fun, self._args = self._differences, ()

    def solvers_limit(self, maxfun: Any) -> Any:
        """How many evaluations of f and g at once `maxfun` evaluations of f are."""
        if maxfun is None or self._per_gradient == 1 or not isinstance(maxfun, (int, np.integer)) or maxfun < 1:
            return maxfun
        return math.ceil(maxfun / self._per_gradient)

    def run(self, solver: Minimizer, after: Callable[[Minimizer], Callable[[Array, float], bool]] | None) -> None:
        """Minimise."""
        if self.compiled is not None:
            if solver.method == "newton":
                raise ValueError("method 'newton' wants the Hessian, which a compiled objective does not give")
            solver.run_compiled(self.compiled)
            return
        if self._hess is None and solver.method == "newton":
            self._hess = self._hessian = HessianByDifferences(self._gradient)
            solver.run(self._fun, self._jac, lambda x, *_: self._hessian(x), self._args, after and after(solver))  # type: ignore[misc]
            return
        solver.run(self._fun, self._jac, self._hess, self._args, after and after(solver))

    def _gradient(self, x: Array) -> Any:
        return self._fun(x, *self._args)[1] if self._jac is None else self._jac(x, *self._args)

    def result(self, solver: Minimizer) -> MinimizeResult:
        """The result, with the evaluations that the solver does not know of."""
        found = solver.result()
        if self._hessian is not None:
            found["nfev"] += self._hessian.calls if self._jac is None else 0
            found["njev"] += self._hessian.calls
        if self._differences is not None:
            found["nfev"] = self._differences.calls
        return found


def _is_jac(jac: Any) -> bool:
    return isinstance(jac, (bool, np.bool_)) or jac in SCHEMES


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
