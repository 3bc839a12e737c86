"""The processes that work together, and the few ways in which they talk: a thin layer over an mpi4py communicator."""

import sys
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
T = TypeVar("T")

PASSED_ON = {"TypeError": TypeError, "ValueError": ValueError}


class Ranks:
    """The ranks of a communicator.

    mpi4py is never imported here: whoever has a communicator of it has imported it.

    Args:
        comm: An `mpi4py.MPI.Intracomm`, for instance `MPI.COMM_WORLD`.

    Raises:
        TypeError: `comm` is something else.
        ValueError: `comm` is the null communicator.
    """

    def __init__(self, comm: Any) -> None:
        mpi: Any = sys.modules.get("mpi4py.MPI")
        if mpi is None or not isinstance(comm, mpi.Intracomm):
            raise TypeError(f"comm is {type(comm).__name__}, expected a communicator of mpi4py (mpi4py.MPI.Intracomm)")
        if comm == mpi.COMM_NULL:
            raise ValueError("comm is MPI.COMM_NULL, expected a communicator with ranks")
        self._mpi, self._comm = mpi, comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()

    def agree(self, check: Callable[[], T]) -> T:
        """What `check()` gives here, once it has succeeded on every rank; if it raises on one, all raise."""
        error: Exception | None = None
        try:
            result = check()
        except Exception as raised:  # whatever it is, the others must not wait for this rank
            error = raised
        failed = np.array([error is not None], np.int32)
        self._comm.Allreduce(self._mpi.IN_PLACE, failed, self._mpi.MAX)
        if failed[0]:
            self.fail(error)
        return result

    def fail(self, error: Exception | None) -> NoReturn:
        """Raise on every rank what has gone wrong on some: `error` here, or None; all ranks must call this."""
        messages = self.gathered(None if error is None else (type(error).__name__, str(error)))
        if error is not None:
            raise error
        rank, (name, text) = next((rank, message) for rank, message in enumerate(messages) if message)
        raise PASSED_ON.get(name, RuntimeError)(f"on rank {rank}: {text}")

    def require_alike(self, mine: Mapping[str, Any]) -> None:
        """Raise on every rank, naming it, if something is not the same on all of them."""
        first, *others = self.gathered(mine)
        for rank, theirs in enumerate(others, 1):
            for name in {**first, **theirs}:
                if first.get(name) != theirs.get(name):
                    raise ValueError(f"{name} is not alike on ranks 0 and {rank}, expected the same on every rank")

    def gathered(self, value: Any) -> list[Any]:
        """What each rank passes: any small object."""
        values: list[Any] = self._comm.allgather(value)
        return values

    def rows(self, values: Array) -> Array:
        """The float64 array `values` of every rank, all of one shape, stacked in the order of the ranks."""
        stacked = np.empty((self.size, *values.shape))
        self._comm.Allgather(np.ascontiguousarray(values), stacked)
        return stacked

    def reduce_scatter(self, values: Array, own: Array, counts: list[int]) -> None:
        """Sum `values` over the ranks; rank r receives the next counts[r] of the sums in `own`."""
        self._comm.Reduce_scatter(values, own, counts, self._mpi.SUM)

    def all_gather(self, values: Array, counts: list[int]) -> None:
        """Fill `values`, of which rank r has the r-th counts[r] in place, with those of the others."""
        item = values.itemsize
        starts = [0, *accumulate(counts)][:-1]
        layout = ([count * item for count in counts], [start * item for start in starts])
        # As bytes: MPI knows nothing of bfloat16.
        self._comm.Allgatherv(self._mpi.IN_PLACE, [values.view(np.uint8), layout, self._mpi.BYTE])
