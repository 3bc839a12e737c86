"""What has to be alike: the ranks' parameters and hyperparameters, a gradient and its parameter."""

import sys
import zlib
from typing import Any

import numpy as np

from schuss.distributed.pieces import Array
from schuss.distributed.ranks import Ranks
from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import kind
from schuss.optimizers.snapshots import COUNTS
from schuss.optimizers.storage import decoded

HALVES = ("bfloat16", "float16")


def require_alike(ranks: Ranks, opt: Optimizer, params: list[list[Array]], arguments: Any) -> None:
    """Raise on every rank unless all have the same parameters, with the same values, and options."""
    counts = tuple(getattr(opt, name) for name in COUNTS)
    copied = tuple(bool(extras["copies"]) for extras in opt._extras)
    mine: dict[str, Any] = {"opt": (type(opt).__name__, counts, copied), "the arguments": arguments}
    for layout, arrays in zip(opt._layouts, params, strict=True):
        for label, array in zip(layout.labels, arrays, strict=True):
            values = zlib.crc32(array.reshape(-1).view(np.uint8).data)
            mine[f"params{layout.where}{label}"] = array.shape, str(array.dtype), values
    for index, group in enumerate(opt.groups):
        for name, value in group.items():
            if name != "params":
                mine[f"groups[{index}][{name!r}]"] = "a schedule" if callable(value) else value
    mine.update({f"phase[{name!r}]": value for name, value in opt.phase.items()})
    ranks.require_alike(mine)


class Wide:
    """A flat array of 16-bit numbers whose slices are float32."""

    def __init__(self, stored: Array, dtype: str) -> None:
        self._stored, self._dtype = stored, dtype

    def __getitem__(self, part: slice) -> Array:
        return decoded(self._stored[part], self._dtype)


def gradient(param: Array, dtype: str, given: Any, name: str, like_name: str) -> tuple[Array, Array | Wide]:
    """A gradient as an array, and flat in the type to compute with.

    Raises TypeError or ValueError, naming it, unless it is like its parameter, which is stored as `dtype`.
    """
    array, found = _in_numpy(given, name)
    expected = ("float64",) if dtype == "float64" else ("float32", *HALVES)
    if found not in expected:
        raise TypeError(f"{name} has dtype {found}, expected {' or '.join(expected)} like {like_name}")
    if array.shape != param.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {param.shape} like {like_name}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} is not contiguous, expected a C-contiguous array")
    flat = array.reshape(-1)
    return array, Wide(flat, found) if found in HALVES else flat


def _in_numpy(given: Any, name: str) -> tuple[Array, str]:
    """An array on the same memory, and its format; torch's bfloat16 comes as its bits."""
    if hasattr(given, "detach"):  # a torch tensor, which may carry a gradient of its own
        tensor, bits = given.detach(), str(given.dtype) == "torch.bfloat16"
        return (tensor.view(sys.modules["torch"].int16) if bits else tensor).numpy(), str(given.dtype)[6:]
    if not isinstance(given, np.ndarray) and not hasattr(given, "__dlpack__"):
        raise TypeError(f"{name} is {kind(given)}, expected a NumPy array or another array with __dlpack__")
    array = given if isinstance(given, np.ndarray) else np.from_dlpack(given)
    return array, str(array.dtype)


def sliceable(param: Any, array: Array, dtype: str, name: str) -> Any:
    """A parameter of one dimension, of which slices can be stepped."""
    if str(array.dtype) == dtype:
        return array.reshape(-1)
    if not hasattr(param, "detach"):
        raise TypeError(f"{name} is {kind(param)} of {dtype}, expected a NumPy array or a torch tensor of it")
    return param.detach().reshape(-1)
