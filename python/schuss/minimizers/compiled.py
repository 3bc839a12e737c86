"""Compiled objectives, in all the forms in which they come."""

import ctypes
import sys
from dataclasses import dataclass
from typing import Any


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
