"""Minibatches without replacement (Deep Learning, section 8.1.3)."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from schuss.options import count
from schuss.streams import Purpose, check_seed, stream

Array = NDArray[Any]

Order = Literal["shuffle_once", "shuffle_each_epoch", "stream"]

ORDERS = ("shuffle_once", "shuffle_each_epoch", "stream")


class Minibatches:
    """A set of examples in minibatches, an epoch at a time, without replacement.

    Formula: an epoch is the set in some order, cut into pieces of `batch_size`. The order is a random permutation, the
    same in each epoch ("shuffle_once") or that of the epoch's own random stream ("shuffle_each_epoch"); or, for one
    pass only, that in which the examples come ("stream").

    `for batch in minibatches` goes through what is left of the current epoch: all of it, unless a loop before has been
    left early or a state has been loaded. Seed and epoch determine the order, so that nothing random is kept.

    Source: Deep Learning, section 8.1.3 (one pass gives unbiased gradients of the generalization error); Bottou 2009.

    State: `epoch`, the number of epochs completed, and `position`, the number of examples of the current one that have
    been given out.

    Args:
        data: What a minibatch is taken from: a number of examples n, then it is an array of indices; an array of shape
            (n, …), then it is an array of rows; or a tuple of such arrays, then it is a tuple like it, named if that
            is. With "stream", any iterable of examples, arrays or tuples of them, which are stacked.
        batch_size: The number of examples in a minibatch, at least 1. The last one of an epoch has what is left.
        order: "shuffle_once" (default), "shuffle_each_epoch" or "stream".
        seed: An integer in [0, 2¹²⁸), needed to shuffle.
        drop_last: Whether to leave out a last minibatch that is not full, default False.
        least: The fewest examples that are a minibatch, from 1 (default) to batch_size; if fewer are left, they join
            the one before, for which a stream is read ahead. Batch normalization wants 2.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, arrays have different lengths, or there is not one minibatch.

    Example:
        >>> import numpy as np, schuss
        >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
        >>> minibatches = schuss.data.Minibatches((x, y), 2, order="shuffle_each_epoch", seed=0)
        >>> [len(y_batch) for x_batch, y_batch in minibatches], minibatches.epoch
        ([2, 2, 1], 1)
        >>> np.concatenate(list(schuss.data.Minibatches(5, 2, order="stream")))
        array([0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        data: Any,
        batch_size: int,
        *,
        order: Order = "shuffle_once",
        seed: int | None = None,
        drop_last: bool = False,
        least: int = 1,
    ) -> None:
        if order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(map(repr, ORDERS))}, got {order!r}")
        if not isinstance(drop_last, (bool, np.bool_)):
            raise TypeError(f"drop_last must be True or False, got {drop_last!r}")
        self.batch_size, self.least = count("batch_size", batch_size, 1), count("least", least, 1)
        if self.least > self.batch_size:
            raise ValueError(f"least must be at most batch_size={batch_size}, got {least}")
        if seed is None and order != "stream":
            raise TypeError(f"order {order!r} needs a seed")
        self.order: Order = order
        self.seed = None if seed is None else check_seed(seed)
        self.drop_last, self.epoch, self.position = bool(drop_last), 0, 0
        self.data, self.n = _examples(data, order)
        self._reading: Iterator[Any] | None = None  # what has begun to read a stream
        fewest = self.batch_size if self.drop_last else self.least
        if self.n is not None and self.n < fewest:
            raise ValueError(f"data has {self.n} examples, expected at least {fewest}")

    def __len__(self) -> int:
        """The number of minibatches in an epoch.

        Raises:
            TypeError: The length of a stream is not known.
        """
        if self.n is None:
            raise TypeError("a stream has no length")
        return self.n // self.batch_size if self.drop_last else (self.n - self.least) // self.batch_size + 1

    def __iter__(self) -> Iterator[Any]:
        """The minibatches that are left of the current epoch.

        Raises:
            RuntimeError: The one pass over a stream is over.
            ValueError: A stream has no minibatch, or ends before what `load_state_dict` says it had given out.
        """
        if self.order == "stream" and self.epoch:
            raise RuntimeError("the stream has been used up, it is for one pass")
        if self.n is None and self._reading is None:
            self._reading = self._from_stream()
        for size, batch in self._reading or self._from_examples(self.n or 0):
            self.position += size
            yield batch
        if self.position == 0:
            raise ValueError(f"data has too few examples for a minibatch of {self.batch_size}")
        self.epoch, self.position = self.epoch + 1, 0

    def _from_examples(self, n: int) -> Iterator[tuple[int, Any]]:
        """The sizes and the minibatches from the current position on."""
        if self.order == "stream":
            order = np.arange(n)
        else:
            epoch = self.epoch if self.order == "shuffle_each_epoch" else 0
            order = stream(self.seed, Purpose.MINIBATCHES, epoch).permutation(n)
        while self.position < self._end(n):
            left = n - self.position
            size = self.batch_size if self.drop_last or left >= self.batch_size + self.least else left
            yield size, _taken(self.data, order[self.position : self.position + size])

    def _from_stream(self) -> Iterator[tuple[int, Any]]:
        """The same for a stream. What has been given out already is skipped."""
        examples = iter(self.data)
        if sum(1 for _ in itertools.islice(examples, self.position)) < self.position:
            raise ValueError(f"data has fewer than the {self.position} examples that had been given out")
        batch = list(itertools.islice(examples, self.batch_size))
        while len(batch) == self.batch_size:
            ahead = list(itertools.islice(examples, self.least))
            if not self.drop_last and len(ahead) < self.least:
                batch, ahead = batch + ahead, []
            yield len(batch), _stacked(batch)
            batch = ahead + list(itertools.islice(examples, self.batch_size - len(ahead)))
        if batch and not self.drop_last:
            yield len(batch), _stacked(batch)

    def _end(self, n: int) -> int:
        """The number of examples that an epoch gives out."""
        return n // self.batch_size * self.batch_size if self.drop_last else n

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, and what it must be to continue there; all of it numbers and words that JSON can say."""
        names = ("order", "n", "batch_size", "seed", "drop_last", "least", "epoch", "position")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where `state_dict` was taken: the minibatches to come are the same ones, bit for bit.

        A stream must begin anew: the examples that had been given out are skipped.

        Raises:
            RuntimeError: The stream is an iterator that has been read from.
            TypeError: An entry has another type.
            ValueError: The state is of other minibatches, or damaged. Nothing has been modified then.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"state has the entries {sorted(state)}, expected {sorted(own)}")
        for name in own.keys() - {"epoch", "position"}:
            if state[name] != own[name]:
                raise ValueError(f"state[{name!r}] is {state[name]!r}, expected {own[name]!r}")
        epoch, position = (count(f"state[{name!r}]", state[name], 0) for name in ("epoch", "position"))
        if self.n is not None and (position > self._end(self.n) or (position % self.batch_size and position < self.n)):
            raise ValueError(f"state['position'] is {position}, where no minibatch begins")
        if self._reading is not None and iter(self.data) is self.data:
            raise RuntimeError("the stream has been read from already, load the state into new Minibatches")
        self.epoch, self.position, self._reading = epoch, position, None


def _examples(data: Any, order: str) -> tuple[Any, int | None]:
    """What minibatches are taken from, and the number of examples, None where it is not known."""
    if hasattr(data, "__index__") and not getattr(data, "ndim", 0):
        n = count("data", data, 1)
        return np.arange(n), n
    arrays = data if isinstance(data, tuple) else (data,)
    if not all(isinstance(array, np.ndarray) and array.ndim for array in arrays):
        if order != "stream" or not isinstance(data, Iterable):
            raise TypeError(f"data must be a number, an array or a tuple of arrays, got {type(data).__name__}")
        return data, None
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) != 1:
        raise ValueError(f"data has arrays of the lengths {lengths}, expected one length for all of at least one array")
    return data, lengths[0]


def _taken(data: Any, chosen: Array) -> Any:
    return _like(data, [array[chosen] for array in data]) if isinstance(data, tuple) else data[chosen]


def _stacked(examples: Sequence[Any]) -> Any:
    """Examples as a minibatch; raises TypeError or ValueError if they are not alike."""
    first = examples[0]
    if isinstance(first, tuple):
        return _like(first, [_stacked(part) for part in zip(*examples, strict=True)])
    array = np.stack(examples)
    if array.dtype == object:
        raise TypeError(
            f"data has an example of type {type(first).__name__}, expected numbers, arrays or tuples of them"
        )
    return array


def _like(model: tuple[Any, ...], parts: list[Array]) -> tuple[Any, ...]:
    """A tuple of parts, named as the model is."""
    return type(model)(*parts) if hasattr(model, "_fields") else tuple(parts)
