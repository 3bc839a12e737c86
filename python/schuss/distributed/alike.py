"""What has to be alike: the ranks' parameters and hyperparameters, a gradient and its parameter."""

import zlib
from typing import Any

import numpy as np

from schuss.distributed.pieces import Array
from schuss.distributed.ranks import Ranks
from schuss.optimizers.base import Optimizer
from schuss.optimizers.layout import kind


def require_alike(ranks: Ranks, opt: Optimizer, params: list[list[Array]], arguments: Any) -> None:
    """Raise on every rank unless all have the same parameters, with the same values, and hyperparameters."""
    mine: dict[str, Any] = {"opt": (type(opt).__name__, opt.steps), "the arguments": arguments}
    for layout, arrays in zip(opt._layouts, params, strict=True):
        for label, array in zip(layout.labels, arrays, strict=True):
            values = zlib.crc32(array.reshape(-1).view(np.uint8).data)
            mine[f"params{layout.where}{label}"] = array.shape, str(array.dtype), values
    for index, group in enumerate(opt.groups):
        for name, value in group.items():
            if name != "params":
                mine[f"groups[{index}][{name!r}]"] = "a schedule" if callable(value) else value
    ranks.require_alike(mine)


def like(param: Array, given: Any, name: str, like_name: str) -> Array:
    """A gradient as an array; raises TypeError or ValueError, naming it, unless it is like its parameter."""
    if isinstance(given, np.ndarray):
        array = given
    elif hasattr(given, "detach"):  # a torch tensor, which may carry a gradient of its own
        array = given.detach().numpy()
    elif hasattr(given, "__dlpack__"):
        array = np.from_dlpack(given)
    else:
        raise TypeError(f"{name} is {kind(given)}, expected a NumPy array or another array with __dlpack__")
    if array.dtype != param.dtype:
        raise TypeError(f"{name} has dtype {array.dtype}, expected {param.dtype} like {like_name}")
    if array.shape != param.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {param.shape} like {like_name}")
    return array
