"""Which rank owns which elements of which parameter."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss.distributed.ranks import Ranks

Array = NDArray[Any]

GRAIN = 256  # parameters are cut at multiples of so many elements, which is a block of 8-bit state


class Piece(NamedTuple):
    """Elements start … stop - 1 of a parameter, counted in C order."""

    param: int
    start: int
    stop: int

    def of(self, flat: Array) -> Array:
        """The piece of an array of one dimension, as a view."""
        return flat[self.start : self.stop]


def cut(sizes: Sequence[int], count: int) -> list[list[Piece]]:
    """Parameters of these sizes, laid end to end and cut into `count` parts of nearly one length."""
    ends = list(accumulate(sizes))
    starts = [end - size for end, size in zip(ends, sizes, strict=True)]
    total, cuts, param = sum(sizes), [], 0
    for k in range(count):
        at = total * k // count
        while param < len(sizes) and ends[param] <= at:
            param += 1
        inside = at - starts[param] if param < len(sizes) else 0
        cuts.append(at - inside % GRAIN)
    cuts.append(total)
    return [_between(starts, ends, first, last) for first, last in pairwise(cuts)]


def _between(starts: list[int], ends: list[int], first: int, last: int) -> list[Piece]:
    """The pieces that make up elements first … last - 1 of all parameters laid end to end."""
    low, high = np.searchsorted(ends, first, "right"), np.searchsorted(starts, last, "left")
    return [
        Piece(param, max(first, starts[param]) - starts[param], min(last, ends[param]) - starts[param])
        for param in range(int(low), int(high))
        if max(first, starts[param]) < min(last, ends[param])
    ]


class Bucket:
    """Elements that travel in one message: a part for each rank, which owns it.

    Those of one parameter lie in a row and travel from and to where they are; those of several are packed.

    Attributes:
        parts: The pieces of each rank.
        counts: The number of their elements.
    """

    def __init__(self, parts: list[list[Piece]]) -> None:
        self.parts = parts
        self.counts = [sum(stop - start for _, start, stop in part) for part in parts]
        self.pieces = [piece for part in parts for piece in part]
        ends = list(accumulate(piece.stop - piece.start for piece in self.pieces))
        self.spans = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]  # where each lies when packed
        self.size = sum(self.counts)
        params = {piece.param for piece in self.pieces}
        self.row = Piece(params.pop(), self.pieces[0].start, self.pieces[-1].stop) if len(params) == 1 else None

    def only(self, params: Mapping[int, Any]) -> "Bucket":
        """The same bucket with the pieces of some parameters only."""
        return Bucket([[piece for piece in part if piece.param in params] for part in self.parts])

    def reduce(self, ranks: Ranks, arrays: Mapping[int, Array], own: Array, staging: Array) -> None:
        """Sum flat `arrays` over the ranks; `own` receives this rank's part."""
        if self.row:
            values = self.row.of(arrays[self.row.param])
        elif self.size:
            values = staging[: self.size]
            np.concatenate([piece.of(arrays[piece.param]) for piece in self.pieces], out=values)
        else:
            return
        ranks.reduce_scatter(values, own, self.counts)

    def gather(self, ranks: Ranks, arrays: Mapping[int, Array], staging: Array) -> None:
        """Fill flat `arrays`, in which each rank has its own pieces, with those of the others."""
        if self.row:
            ranks.all_gather(self.row.of(arrays[self.row.param]), self.counts)
        elif self.size:
            values, mine = staging[: self.size], self.parts[ranks.rank]
            packed = list(zip(self.pieces, self.spans, strict=True))
            for piece, span in packed:
                if piece in mine:
                    values[span] = piece.of(arrays[piece.param])
            ranks.all_gather(values, self.counts)
            for piece, span in packed:
                if piece not in mine:
                    piece.of(arrays[piece.param])[...] = values[span]


def buckets(sizes: Mapping[int, int], ranks: int, length: int) -> list[Bucket]:
    """Buckets of at most about `length` elements for parameters with these numbers and sizes.

    Parameters of an eighth of that and more have buckets of their own, so that they need not be packed.
    """
    large = [[param] for param, size in sizes.items() if size >= max(length // 8, GRAIN)]
    small = [param for param in sizes if [param] not in large]
    return [bucket for params in (*large, small) for bucket in _buckets({p: sizes[p] for p in params}, ranks, length)]


def _buckets(sizes: Mapping[int, int], ranks: int, length: int) -> list[Bucket]:
    params, total = list(sizes), sum(sizes.values())
    parts = cut(list(sizes.values()), ranks * -(-total // length))
    named = [[piece._replace(param=params[piece.param]) for piece in part] for part in parts]
    return [Bucket(named[k : k + ranks]) for k in range(0, len(named), ranks)]
