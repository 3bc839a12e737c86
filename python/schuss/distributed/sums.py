"""Inner products of vectors that are spread over the ranks.

A vector is cut into blocks of 4096 elements. The product of each block is taken in float64, and the products of all
blocks, on all ranks, are added without rounding but the last (Shewchuk 1997). So a sum has the same bits for every
number of ranks, provided that the ranks' parts are cut at whole blocks, as `share` does.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.distributed.ranks import Ranks

Array = NDArray[Any]

BLOCK = 4096

PARTS = 3  # as many float64 hold the sum of a rank: 159 bits of it


def share(n: int, comm: Any) -> slice:
    """The part of n unknowns that this rank should have for results that do not depend on the number of ranks.

    Args:
        n: The number of unknowns on all ranks together, at least 0.
        comm: A communicator of mpi4py.

    Raises:
        TypeError: An argument has another type.
        ValueError: `n` is negative.

    Example:
        # on the second of two ranks: slice(8192, 10000)
        part = schuss.distributed.share(10_000, comm)
    """
    ranks = Ranks(comm)
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"n must be an integer of at least 0, got {n!r}")
    if n < 0:
        raise ValueError(f"n must be an integer of at least 0, got {n!r}")
    blocks = -(-int(n) // BLOCK)
    first, last = (min(n, BLOCK * -(-blocks * k // ranks.size)) for k in (ranks.rank, ranks.rank + 1))
    return slice(first, last)


def products(rows: Array | Sequence[Array], columns: Sequence[Array]) -> Array:
    """Inner products of every row with every column, for each block: an array of shape (blocks, rows · columns)."""
    n = len(columns[0])
    taken = np.empty((-(-n // BLOCK), len(rows), len(columns)))
    for i, block in enumerate(taken):
        part = slice(i * BLOCK, (i + 1) * BLOCK)
        np.matmul(_wide(rows, part), _wide(columns, part).T, out=block)
    return taken.reshape(len(taken), len(rows) * len(columns))


def _wide(vectors: Array | Sequence[Array], part: slice) -> Array:
    if isinstance(vectors, np.ndarray):
        return vectors[:, part].astype(np.float64, copy=False)
    return np.array([v[part] for v in vectors], np.float64)


def collect(ranks: Ranks, terms: Iterable[Sequence[float]], largest: Sequence[float]) -> tuple[list[float], Array]:
    """The sums of each list of terms over all ranks, and the largest of each of some numbers: one message."""
    lists = [_expansion(list(column)) for column in terms]
    mine = np.array([*(part for expansion in lists for part in expansion), *largest])
    everyone = ranks.rows(mine)
    split = PARTS * len(lists)
    sums = [total(everyone[:, k : k + PARTS].ravel().tolist()) for k in range(0, split, PARTS)]
    return sums, everyone[:, split:].max(axis=0)


def _expansion(terms: list[float]) -> list[float]:
    """The sum of the terms as a sum of few numbers, each of which is what rounding has left of those before."""
    parts = [0.0] * PARTS
    for k in range(PARTS):
        parts[k] = total(terms)
        if parts[k] == 0 or not math.isfinite(parts[k]):
            break
        terms.append(-parts[k])
    return parts


def total(terms: list[float]) -> float:
    """The sum, rounded once; where it is not finite, whatever that is."""
    try:
        return math.fsum(terms)
    except (OverflowError, ValueError):
        return sum(terms)
