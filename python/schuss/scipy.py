"""The minimisers as methods of `scipy.optimize.minimize`.

`scipy.optimize.minimize(fun, x0, method=schuss.scipy.bfgs)` works like `method="BFGS"`: with `jac=True` (fun is then
called once for both), a function or None, `tol`, `options` under SciPy's names, and both styles of callback.

Example:
    >>> import pytest; scipy = pytest.importorskip("scipy")
    >>> import schuss.scipy
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> res = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=schuss.scipy.bfgs)
    >>> res.x.round(6), res.success
    (array([1., 1.]), True)
"""

import contextlib
import math
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from schuss.minimizers import minimize
from schuss.minimizers.result import LbfgsInverse

RENAMED = {"maxcor": "memory", "maxfev": "maxfun"}

IGNORED = ("workers", "maxls", "iprint")  # SciPy's, without a counterpart

DOC = """{name} as a method of `scipy.optimize.minimize`.

Args:
    fun, x0, args, jac, hess, callback: As SciPy passes them; see `schuss.minimize`.
    hessp, bounds, constraints: Not supported: a warning says so if they are given.
    options: SciPy's names (`gtol`, `norm`, `eps`, `finite_diff_rel_step`, `maxiter`, `maxfun`, `disp`, `return_all`,
        `xrtol`, `c1`, `c2`, `hess_inv0`, `maxcor`) and those of `schuss.minimize`.

Returns:
    A `scipy.optimize.OptimizeResult`.
"""


def _method(name: str, title: str) -> Callable[..., Any]:
    def method(
        fun: Any,
        x0: Any,
        args: tuple[Any, ...] = (),
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Any = None,
        disp: bool = False,
        return_all: bool = False,
        **options: Any,
    ) -> Any:
        from scipy.optimize import LbfgsInvHessProduct, OptimizeResult, OptimizeWarning

        _refuse(name, hessp=hessp, bounds=bounds, constraints=constraints)
        both = _memoized(fun, jac)
        if both is not None:
            fun, jac = both, True
        given = _options(options)
        allvecs = [np.array(x0, ndmin=1)] if return_all else None
        watch = _watching(callback, allvecs, OptimizeResult)
        with _in_scipys_words():
            found = minimize(fun, x0, method=name, jac=jac or None, hess=hess, args=args, callback=watch, **given)  # type: ignore[arg-type]
        known = found.get("hess_inv")
        if isinstance(known, LbfgsInverse):
            found["hess_inv"] = LbfgsInvHessProduct(known.s.astype(np.float64), known.y.astype(np.float64))
        if allvecs is not None:
            found["allvecs"] = allvecs
        if disp and not found.success:
            warnings.warn(found.message, OptimizeWarning, stacklevel=3)
        if disp:
            print(f"{found.message}\n         Current function value: {found.fun:f}\n         Iterations: {found.nit}")
        return OptimizeResult(found)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = DOC.format(name=title)
    return method


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """SciPy's options under our names, with its leniency about numbers of iterations that are no integers."""
    options = {RENAMED.get(name, name): value for name, value in given.items() if name not in IGNORED}
    tol = options.pop("tol", None)
    options.setdefault("gtol", tol if tol is not None else 1e-5)
    for name in ("maxiter", "maxfun"):
        if isinstance(options.get(name), float) and math.isfinite(options[name]):
            options[name] = int(options[name])
    return options


def _memoized(fun: Any, jac: Any) -> Any:
    """The function behind the pair that `scipy.optimize.minimize(jac=True)` makes of it, or None."""
    if getattr(jac, "__self__", None) is fun and getattr(jac, "__name__", "") == "derivative":
        return getattr(fun, "fun", None)
    return None


WORDS = {
    "hess_inv0 is not": "'hess_inv0' matrix isn't positive definite.",
    "c1 must be": "'c1' and 'c2' do not satisfy '0 < c1 < c2 < 1'.",
    "c2 must be": "'c1' and 'c2' do not satisfy '0 < c1 < c2 < 1'.",
    "fun returned an array": "The user-provided objective function must return a scalar value.",
}


@contextlib.contextmanager
def _in_scipys_words() -> Iterator[None]:
    """Gives errors of ours that programs know by SciPy's messages those messages; errors of fun keep their own."""
    try:
        yield
    except ValueError as error:
        *_, (last, _) = traceback.walk_tb(error.__traceback__)
        for ours, theirs in WORDS.items():
            if str(error).startswith(ours) and last.f_globals["__name__"].startswith("schuss."):
                error.args = (theirs,)
        raise


def _refuse(name: str, bounds: Any, **given: Any) -> None:
    if bounds is not None:
        pairs = (bounds.lb, bounds.ub) if hasattr(bounds, "lb") else bounds
        ends = np.array(pairs, float)  # None becomes NaN
        given["bounds"] = bounds if np.isfinite(ends).any() else None
    for argument, value in given.items():
        if value is not None and (callable(value) or np.size(value) > 0):
            warnings.warn(f"Method {name} does not use {argument}.", RuntimeWarning, stacklevel=4)


def _watching(callback: Any, allvecs: list[Any] | None, result: Any) -> Any:
    """The callback, which keeps the iterates if they are wanted, and is shown results of SciPy's own type."""
    if callback is None and allvecs is None:
        return None
    from schuss.minimizers.minimize import wants_result

    by_name = wants_result(callback)

    def watch(intermediate_result: Any) -> None:
        if allvecs is not None:
            allvecs.append(intermediate_result.x)
        if callback is not None and by_name:
            callback(intermediate_result=result(intermediate_result))
        elif callback is not None:
            callback(np.copy(intermediate_result.x))

    return watch


bfgs = _method("bfgs", "BFGS")
lbfgs = _method("lbfgs", "L-BFGS")
cg = _method("cg", "Nonlinear conjugate gradients")
newton = _method("newton", "Newton's method")
gd = _method("gd", "Gradient descent")

__all__ = ["bfgs", "cg", "gd", "lbfgs", "newton"]
