"""Which rank owns which elements of which parameter."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Parameters are cut at multiples of so many elements: whole blocks of a state of 8 bits, and whole pieces of the sum of
# squares, so that nothing depends on the cuts.
GRAIN = 4096


class Piece(NamedTuple):
    """Elements start … stop - 1 of a parameter, counted in C order."""

    param: int
    start: int
    stop: int

    def of(self, flat: Any, unit: int = 1) -> Any:
        """The piece of an array of one dimension that has a value for every `unit` elements, as a view."""
        return flat[self.start // unit : -(-self.stop // unit)]


class Bucket(NamedTuple):
    """Elements that travel in one message: a block for each rank, which owns it.

    Those of one parameter lie in a row, in blocks of one length, and travel from and to where they are. Those of
    several are packed, and the blocks are filled up to one length.

    Attributes:
        parts: The pieces of each rank.
        block: The length of the longest part.
        row: The elements of all parts together if they lie in a row.
    """

    parts: list[list[Piece]]
    block: int
    row: Piece | None

    def pack(self, arrays: Mapping[int, Array], ranks: Sequence[int], into: Array) -> None:
        """Copy what belongs to some ranks from flat arrays to where it lies in a message."""
        for rank in ranks:
            at = rank * self.block
            for piece in self.parts[rank]:
                into[at : (at := at + piece.stop - piece.start)] = piece.of(arrays[piece.param])

    def unpack(self, message: Array, ranks: Sequence[int], arrays: Mapping[int, Array]) -> None:
        """Copy what belongs to some ranks from a message to where it lies in flat arrays."""
        for rank in ranks:
            at = rank * self.block
            for piece in self.parts[rank]:
                piece.of(arrays[piece.param])[...] = message[at : (at := at + piece.stop - piece.start)]


def buckets(sizes: Mapping[int, int], ranks: int, length: int) -> list[Bucket]:
    """Buckets of at most about `length` elements for parameters with these numbers and sizes.

    Parameters of an eighth of that and more have buckets of their own, so that they need not be packed, but for an end
    that cannot be cut into blocks of one length for each rank.
    """
    if ranks == 1:  # nothing travels
        return [_row(param, 0, size, 1) for param, size in sizes.items() if size]
    unit = ranks * GRAIN
    longest = max(length // unit, 1) * unit
    rows: list[Bucket] = []
    rest: list[Piece] = []
    for param, size in sizes.items():
        even = size // unit * unit if size >= length // 8 else 0
        rows += [_row(param, at, min(at + longest, even), ranks) for at in range(0, even, longest)]
        rest.append(Piece(param, even, size))
    return rows + _packed(rest, ranks, length)


def _row(param: int, start: int, stop: int, ranks: int) -> Bucket:
    block = (stop - start) // ranks
    parts = [[Piece(param, start + rank * block, start + (rank + 1) * block)] for rank in range(ranks)]
    return Bucket(parts, block, Piece(param, start, stop))


def _packed(rest: list[Piece], ranks: int, length: int) -> list[Bucket]:
    sizes = [piece.stop - piece.start for piece in rest]
    parts = cut(sizes, ranks * -(-sum(sizes) // length))
    placed = [
        [Piece(rest[k].param, rest[k].start + start, rest[k].start + stop) for k, start, stop in part] for part in parts
    ]
    made = [placed[k : k + ranks] for k in range(0, len(placed), ranks)]
    return [
        Bucket(own, max(sum(piece.stop - piece.start for piece in part) for part in own), None)
        for own in made
        if any(own)
    ]


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
