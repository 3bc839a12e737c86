"""Objectives in all their forms: Python functions with and without gradients, and compiled ones."""

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SCHEMES = ("2-point", "3-point", "cs")


@dataclass(frozen=True)
class Compiled:
    """A compiled objective: its address and that of its user data, which `owner` keeps alive."""

    address: int
    user: int
    owner: Any


def compiled(fun: Any) -> Compiled | None:
    """The compiled objective that `fun` is, or None if it is none.

    numba's `cfunc`, a ctypes function pointer, a cffi pointer, a PyCapsule, or a `scipy.LowLevelCallable` of one of
    these, of the form `int32 fg(int64 n, const T* x, T* f, T* g, void* user)`.
    """
    found = _compiled(fun)
    if found is not None and found.address == 0:
        raise ValueError(f"fun is a null pointer, got {fun!r}")
    return found


def _compiled(fun: Any) -> Compiled | None:
    kind = type(fun).__name__
    if kind == "LowLevelCallable":
        function = compiled(fun.function)
        if function is None:
            raise TypeError(f"fun is a LowLevelCallable of {type(fun.function).__name__}, which has no address")
        return Compiled(function.address, _pointer(fun.user_data), fun)
    if isinstance(fun, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        return Compiled(ctypes.cast(fun, ctypes.c_void_p).value or 0, 0, fun)
    if kind == "PyCapsule":
        return Compiled(_of_capsule(fun), _capsule_context(fun), fun)
    if isinstance(getattr(fun, "address", None), int):
        return Compiled(fun.address, 0, fun)
    if _is_cffi(fun):
        return Compiled(_of_cffi(fun), 0, fun)
    return None


def _pointer(data: Any) -> int:
    if data is None:
        return 0
    if type(data).__name__ == "PyCapsule":
        return _of_capsule(data)
    if _is_cffi(data):
        return _of_cffi(data)
    if isinstance(data, (ctypes.c_void_p, ctypes._Pointer)):
        return ctypes.cast(data, ctypes.c_void_p).value or 0
    raise TypeError(f"the user data is {type(data).__name__}, expected a pointer of ctypes, cffi or a PyCapsule")


def _capsule_call(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(ctypes.pythonapi, name)
    function.restype, function.argtypes = result, [ctypes.py_object, ctypes.c_char_p][: len(arguments)]
    return function(*arguments)


def _of_capsule(capsule: Any) -> int:
    name = _capsule_call("PyCapsule_GetName", ctypes.c_char_p, capsule)
    return _capsule_call("PyCapsule_GetPointer", ctypes.c_void_p, capsule, name) or 0


def _capsule_context(capsule: Any) -> int:
    return _capsule_call("PyCapsule_GetContext", ctypes.c_void_p, capsule) or 0


def _is_cffi(thing: Any) -> bool:
    return "_cffi_backend" in sys.modules and isinstance(thing, sys.modules["_cffi_backend"].FFI.CData)


def _of_cffi(pointer: Any) -> int:
    return int(sys.modules["_cffi_backend"].FFI().cast("uintptr_t", pointer))


class FiniteDifferences:
    """f and its gradient by differences, from f alone.

    The steps are ε^½ max(1, |xᵢ|) for "2-point" and ε^⅓ max(1, |xᵢ|) for "3-point", ε being that of x's dtype, or as
    `step` (absolute) or `relative_step` say. A function that returns a pair (f, g) is taken at its word.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        args: tuple[Any, ...],
        scheme: str = "2-point",
        step: Any = None,
        relative_step: Any = None,
    ) -> None:
        self._fun, self._args, self._scheme = fun, args, scheme
        self._step, self._relative = step, relative_step
        self.calls = 0

    def __call__(self, x: Array) -> Any:
        """(f, g)."""
        value = self._f(x)
        if isinstance(value, tuple) and len(value) == 2:
            return value
        return value, self._gradient(x, value)

    def _f(self, x: Array) -> Any:
        self.calls += 1
        return self._fun(x.copy(), *self._args)

    def _gradient(self, x: Array, f: Any) -> Array:
        if self._scheme == "cs":
            return self._by_complex_steps(x)
        central = self._scheme == "3-point"
        g = np.empty_like(x)
        for i, h in enumerate(self._steps(x, 1 / 3 if central else 1 / 2)):
            above = x.copy()
            above[i] += h
            below, below_f = x, f
            if central:
                below = x.copy()
                below[i] -= h
                below_f = self._f(below)
            with np.errstate(invalid="ignore"):
                difference = np.asarray(self._f(above), np.float64) - np.asarray(below_f, np.float64)
                g[i] = difference.item() / (float(above[i]) - float(below[i]))
        return g

    def _steps(self, x: Array, power: float) -> Array:
        if self._step is not None and self._relative is None:
            return np.broadcast_to(np.asarray(self._step, x.dtype), x.shape)
        scale = np.maximum(1, np.abs(x)) if self._relative is None else np.abs(x)
        relative = np.finfo(x.dtype).eps ** power if self._relative is None else self._relative
        steps: Array = np.copysign(relative * scale, x if self._scheme == "2-point" else 1).astype(x.dtype)
        steps[steps == 0] = np.finfo(x.dtype).eps ** power
        return steps

    def _by_complex_steps(self, x: Array) -> Array:
        g = np.empty_like(x)
        tiny = 1e-20
        for i in range(x.size):
            z = x.astype(np.complex128)
            z[i] += tiny * 1j
            self.calls += 1
            g[i] = np.asarray(self._fun(z, *self._args)).imag.item() / tiny
        return g


class HessianByDifferences:
    """The Hessian by forward differences of the gradient, made symmetric."""

    def __init__(self, gradient: Callable[[Array], Any]) -> None:
        self._gradient = gradient
        self.calls = 0

    def __call__(self, x: Array) -> Array:
        """The matrix, of shape (n, n)."""
        g = self._at(x)
        h = np.empty((x.size, x.size), x.dtype)
        for i in range(x.size):
            moved = x.copy()
            moved[i] += np.finfo(x.dtype).eps ** (1 / 2) * max(1.0, abs(float(x[i])))
            h[i] = (self._at(moved) - g) / (moved[i] - x[i])
        return (h + h.T) / 2

    def _at(self, x: Array) -> Array:
        self.calls += 1
        return np.array(self._gradient(x.copy()), x.dtype).reshape(-1)


def memoized(fun: Any, jac: Any) -> Any:
    """The function behind the pair that `scipy.optimize.minimize(jac=True)` makes of it, or None."""
    if getattr(jac, "__self__", None) is fun and getattr(jac, "__name__", "") == "derivative":
        return getattr(fun, "fun", None)
    return None
