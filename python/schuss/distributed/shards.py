"""All parameters of an optimizer, shared out among the ranks."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from schuss.distributed.pieces import Array, Bucket, Piece, buckets
from schuss.distributed.ranks import Ranks

ByGroup = list[list[Array]]


class Shards:
    """The pieces of the parameters that this rank owns, and the messages by which they come and go.

    Args:
        ranks: Who shares.
        params: The arrays, by group. They are numbered through.
        length: How many elements travel in one message.

    Attributes:
        pieces: What this rank owns, by group.
        grads: Its part of the reduced gradient: an array for each of these pieces.
        flat: All parameters as arrays of one dimension, by number.
    """

    def __init__(self, ranks: Ranks, params: ByGroup, length: int) -> None:
        self._ranks, self._group_of = ranks, [group for group, arrays in enumerate(params) for _ in arrays]
        self.flat = dict(enumerate(array.reshape(-1) for arrays in params for array in arrays))
        self.pieces: list[list[Piece]] = [[] for _ in params]
        self.grads: ByGroup = [[] for _ in params]
        self._reduced: list[tuple[Bucket, Array]] = []  # each bucket with this rank's part of its gradient
        self._staging: dict[Any, Array] = {}  # by dtype, what a bucket is packed in
        for dtype in dict.fromkeys(flat.dtype for flat in self.flat.values()):
            sizes = {number: flat.size for number, flat in self.flat.items() if flat.dtype == dtype}
            made = buckets(sizes, ranks.size, length)
            self._staging[dtype] = np.empty(max([0, *(bucket.size for bucket in made if not bucket.row)]), dtype)
            for bucket in made:
                self._add(bucket, dtype)

    def _add(self, bucket: Bucket, dtype: Any) -> None:
        own = np.empty(bucket.counts[self._ranks.rank], dtype)
        self._reduced.append((bucket, own))
        at = 0
        for piece in bucket.parts[self._ranks.rank]:
            group = self._group_of[piece.param]
            self.pieces[group].append(piece)
            self.grads[group].append(own[at : at + piece.stop - piece.start])
            at += piece.stop - piece.start

    def reduced(self) -> Iterator[Array]:
        """The gradient's part that is this rank's: a flat array for each bucket."""
        return (own for _, own in self._reduced)

    def reduce(self, grads: Mapping[int, Array]) -> None:
        """Sum flat gradients, by the parameters' numbers, over the ranks into `grads`."""
        for bucket, own in self._reduced:
            bucket.reduce(self._ranks, grads, own, self._staging[own.dtype])

    def views(self) -> ByGroup:
        """The pieces of the parameters that this rank owns, in their memory."""
        return [[piece.of(self.flat[piece.param]) for piece in pieces] for pieces in self.pieces]

    def gather(self, arrays: Mapping[int, Array]) -> None:
        """Fill whole flat arrays, by the parameters' numbers, in which each rank has the pieces that it owns."""
        for bucket, reduced in self._reduced:
            some = bucket if len(arrays) == len(self.flat) else bucket.only(arrays)
            some.gather(self._ranks, arrays, self._staging[reduced.dtype])

    def place(self, by_group: list[list[Array] | None], into: Mapping[int, Array]) -> None:
        """Copy what belongs to the pieces that this rank owns, by group, to where it belongs in whole flat arrays."""
        for pieces, arrays in zip(self.pieces, by_group, strict=True):
            if arrays is not None:
                for piece, array in zip(pieces, arrays, strict=True):
                    piece.of(into[piece.param])[...] = array
