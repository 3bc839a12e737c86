"""The processes that work together, and the few ways in which they talk: a thin layer over an mpi4py communicator."""

import sys
import zlib
from collections.abc import Callable, Mapping
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

    def agree(self, check: Callable[[], T], alike: Callable[[T], Any] = lambda _: None) -> T:
        """What `check()` gives here, once it has succeeded on every rank; if it raises on one, all raise.

        So they do unless `alike` of it, or rather what that prints as, is the same on all of them.
        """
        error: Exception | None = None
        try:
            result = check()
            token = zlib.crc32(repr(alike(result)).encode())
        except Exception as raised:  # whatever it is, the others must not wait for this rank
            error, token = raised, 0
        most = np.array([error is not None, token, -token], np.int64)
        self._comm.Allreduce(self._mpi.IN_PLACE, most, self._mpi.MAX)
        if most[0]:
            self.fail(error)
        if most[1] != -most[2]:
            raise ValueError("phase or groups are not alike on all ranks, expected the same on every rank")
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

    def add_up(self, values: Array) -> None:
        """Let every rank have the sums over all ranks in `values`."""
        self._comm.Allreduce(self._mpi.IN_PLACE, values, self._mpi.SUM)

    def reduce_scatter(self, values: Array, own: Array, received: Array) -> None:
        """The sum over the ranks, in their order, of this rank's block of `values`, which has one for each rank.

        MPI's Reduce_scatter copies more and leaves the order open.

        Args:
            values: What this rank adds: blocks of one length.
            own: Receives the sum.
            received: Memory of the length of `values`.
        """
        blocks, terms = values.reshape(self.size, -1), received.reshape(self.size, -1)
        for distance in range(1, self.size):
            to, source = (self.rank + distance) % self.size, (self.rank - distance) % self.size
            self._comm.Sendrecv(blocks[to], to, recvbuf=terms[source], source=source)
        ordered = [*terms[: self.rank], blocks[self.rank], *terms[self.rank + 1 :]]
        with np.errstate(all="ignore"):  # gradients may be infinite
            np.add(ordered[0], ordered[1], out=own)
            for term in ordered[2:]:
                own += term

    def all_gather(self, values: Array) -> None:
        """Fill `values`, of which each rank has its block in place, with those of the others."""
        self._comm.Allgather(self._mpi.IN_PLACE, values.view(np.uint8))  # MPI knows nothing of bfloat16
