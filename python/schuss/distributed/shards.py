"""All parameters of an optimizer, shared out among the ranks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from schuss import _core
from schuss.distributed.pieces import GRAIN, Array, Bucket, Piece, buckets
from schuss.distributed.ranks import Ranks
from schuss.optimizers.storage import computed

ByGroup = list[list[Any]]


class Shards:
    """The pieces of the parameters that each rank owns, and the messages by which they come and go.

    Args:
        ranks: Who shares.
        params: The memory of the parameters, by group. They are numbered through.
        dtypes: What they are stored as.
        length: How many elements travel in one message.

    Attributes:
        pieces: What this rank owns, by group.
    """

    def __init__(self, ranks: Ranks, params: ByGroup, dtypes: list[list[str]], length: int) -> None:
        self._ranks, self._flat = ranks, numbered(params)
        self._group_of = [group for group, arrays in enumerate(params) for _ in arrays]
        self._parts: list[list[list[Piece]]] = [[[] for _ in params] for _ in range(ranks.size)]
        self._buckets: list[tuple[Bucket, Array]] = []  # each with this rank's part of its gradient
        self._grads: ByGroup = [[] for _ in params]  # the same, by group
        self._kept: dict[tuple[str, Any], Array] = {}
        kinds = [dtype for own in dtypes for dtype in own]
        for dtype in dict.fromkeys(kinds):
            sizes = {number: flat.size for number, flat in self._flat.items() if kinds[number] == dtype}
            for bucket in buckets(sizes, ranks.size, length):
                self._add(bucket, np.dtype(computed(dtype)))
        self.pieces = self._parts[ranks.rank]
        self._at, self._sums = self._places_of_sums()

    def _add(self, bucket: Bucket, dtype: Any) -> None:
        for own, part in zip(self._parts, bucket.parts, strict=True):
            for piece in part:
                own[self._group_of[piece.param]].append(piece)
        reduced, at = np.empty(bucket.block if self._ranks.size > 1 else 0, dtype), 0
        for piece in bucket.parts[self._ranks.rank]:
            self._grads[self._group_of[piece.param]].append(reduced[at : (at := at + piece.stop - piece.start)])
        self._buckets.append((bucket, reduced))

    def _memory(self, use: str, length: int, dtype: Any) -> Array:
        """Memory for a message, which is kept for the next one."""
        if len(self._kept.get((use, dtype), ())) < length:
            self._kept[use, dtype] = np.zeros(length, dtype)
        return self._kept[use, dtype][:length]

    # ---- a step ----

    def reduce(self, grads: Mapping[int, Any]) -> ByGroup:
        """Give this rank's pieces, by group, of the sum over the ranks of flat gradients by the parameters' numbers."""
        if self._ranks.size == 1:
            return self.views(grads)
        for bucket, reduced in self._buckets:
            if bucket.row:
                values = bucket.row.of(grads[bucket.row.param])
            else:
                values = self._memory("sent", self._ranks.size * bucket.block, reduced.dtype)
                bucket.pack(grads, range(self._ranks.size), values)
            self._ranks.reduce_scatter(values, reduced, self._memory("received", len(values), reduced.dtype))
        return self._grads

    def gather(self) -> None:
        """Let every rank have the parameters that the others own."""
        if self._ranks.size == 1:
            return
        others = [rank for rank in range(self._ranks.size) if rank != self._ranks.rank]
        for bucket, _ in self._buckets:
            if bucket.row:
                self._ranks.all_gather(bucket.row.of(self._flat[bucket.row.param]))
            else:
                held = self._flat[next(piece.param for part in bucket.parts for piece in part)].dtype
                message = self._memory("sent", self._ranks.size * bucket.block, held)
                bucket.pack(self._flat, [self._ranks.rank], message)
                self._ranks.all_gather(message)
                bucket.unpack(message, others, self._flat)

    # ---- the norm ----

    def _places_of_sums(self) -> tuple[Array, int]:
        """Where the sums of squares over this rank's grains are among those of all parameters, and how many there are.

        The order is that of one process.
        """
        starts = np.cumsum([0, *(-(-flat.size // GRAIN) for flat in self._flat.values())])
        at = [
            starts[piece.param] + np.arange(piece.start // GRAIN, -(-piece.stop // GRAIN))
            for pieces in self.pieces
            for piece in pieces
        ]
        return np.concatenate([np.empty(0, np.intp), *at]), int(starts[-1])

    def sum_of_squares(self, grads: ByGroup, power: float, num_threads: int) -> float:
        """Of the reduced gradients times a power of two, over all ranks and with the bits of one process."""
        sums = np.zeros(self._sums)
        sums[self._at] = _core.square_sums([g for own in grads for g in own], power, num_threads)
        self._ranks.add_up(sums)  # of each sum, all but one rank have zero
        return float(np.add.accumulate(sums)[-1]) if len(sums) else 0.0

    # ---- what the ranks hold ----

    def views(self, flat: Mapping[int, Any]) -> ByGroup:
        """Give this rank's pieces, by group, of flat arrays by the parameters' numbers."""
        return [[piece.of(flat[piece.param]) for piece in pieces] for pieces in self.pieces]

    def places(self) -> list[list[tuple[int, int]]]:
        """Of which parameter each of this rank's pieces is, and where in it that begins, by group."""
        return [[(piece.param, piece.start) for piece in pieces] for pieces in self.pieces]

    def cut(self, whole: Mapping[int, Array], into: list[Array], group: int, unit: int = 1) -> None:
        """Copy this rank's pieces out of whole flat arrays, which have a value for every `unit` elements."""
        for piece, array in zip(self.pieces[group], into, strict=True):
            array[...] = piece.of(whole[piece.param], unit)

    def join(self, pieces: list[Array], into: Mapping[int, Array], group: int, unit: int = 1) -> None:
        """Copy the pieces of all ranks to where they belong in whole flat arrays."""
        for own, arrays in zip(self._parts, self._ranks.gathered(pieces), strict=True):
            for piece, array in zip(own[group], arrays, strict=True):
                piece.of(into[piece.param], unit)[...] = array


def numbered(by_group: ByGroup) -> dict[int, Array]:
    """Arrays by the parameters' numbers, as flat views."""
    return dict(enumerate(array.reshape(-1) for arrays in by_group for array in arrays))
