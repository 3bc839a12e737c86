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
import itertools
import math
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from schuss.minimizers import minimize
from schuss.minimizers.result import LbfgsInverse

RENAMED = {"maxcor": "memory", "maxfev": "maxfun", "xtol": "xrtol"}

IGNORED = ("workers", "maxls", "iprint")  # SciPy's, without a counterpart

UNUSED = {  # in the words by which programs filter SciPy's warnings
    "hess": "does not use Hessian information (hess)",
    "hessp": "does not use Hessian-vector product information (hessp)",
    "bounds": "cannot handle bounds",
    "constraints": "cannot handle constraints",
}

DOC = """{name} as a method of `scipy.optimize.minimize`.

Args:
    fun, x0, args, jac, hess, callback: As SciPy passes them; see `schuss.minimize`. The Hessian may be sparse or a
        LinearOperator.
    hessp: hessp(x, p, *args), the Hessian times p, from which Newton's method makes the Hessian if there is no hess.
        The others use neither: a warning says so if one is given.
    bounds, constraints: Not supported: likewise.
    options: SciPy's names (`gtol`, `norm`, `eps`, `finite_diff_rel_step`, `maxiter`, `maxfun`, `disp`, `return_all`,
        `xrtol`, `xtol` for the same, `c1`, `c2`, `hess_inv0`, `maxcor`) and those of `schuss.minimize`.

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

        if name == "newton":
            hess, hessp = _matrix(hess, hessp), None
        _refuse(name, bounds, hess=hess if name != "newton" else None, hessp=hessp, constraints=constraints)
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
        disp = isinstance(disp, (int, np.bool_)) and bool(disp)  # SciPy's own functions pass a word for "not given"
        if disp and not found.success:
            warnings.warn(found.message, OptimizeWarning, stacklevel=3)
        if disp:
            print(f"{found.message}\n         Current function value: {found.fun:f}\n         Iterations: {found.nit}")
        return OptimizeResult(found)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = DOC.format(name=title)
    return method


def _matrix(hess: Any, hessp: Any) -> Any:
    """The Hessian, of whichever of SciPy's kinds it is, as arrays."""
    if hess is None and callable(hessp):
        return lambda x, *args: np.stack([hessp(x, e, *args) for e in np.eye(x.size, dtype=x.dtype)])
    if not callable(hess):
        return hess

    def matrix(x: Any, *args: Any) -> Any:
        h = hess(x, *args)
        if hasattr(h, "toarray"):
            return h.toarray()
        return h @ np.eye(x.size) if hasattr(h, "matmat") else h

    return matrix


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """SciPy's options under our names, with its leniency about numbers of iterations: fractions, and less than none."""
    options = {RENAMED.get(name, name): value for name, value in given.items() if name not in IGNORED}
    tol = options.pop("tol", None)
    options.setdefault("gtol", tol if tol is not None else 1e-5)
    for name in ("maxiter", "maxfun"):
        if isinstance(options.get(name), (float, np.floating)) and math.isfinite(options[name]):
            options[name] = int(options[name])
    if isinstance(options.get("maxiter"), (int, np.integer)):
        options["maxiter"] = max(0, options["maxiter"])
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
        ends = (bounds.lb, bounds.ub) if hasattr(bounds, "lb") else itertools.chain.from_iterable(bounds)
        bounded = any(np.isfinite(np.array(end, float)).any() for end in ends)  # None becomes NaN
        given["bounds"] = bounds if bounded else None
    for argument, value in given.items():
        if value is not None and (not hasattr(value, "__len__") or len(value) > 0):
            warnings.warn(f"Method {name} {UNUSED[argument]}.", RuntimeWarning, stacklevel=4)


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
