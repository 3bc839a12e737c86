"""The ceiling of the benchmarks moves memory and leaves every value as it is. No times are judged."""

import re

import numpy as np
import pytest

from cases import LEVELS
from schuss import _core

HELD = {"float32": np.float32, "float64": np.float64, "bfloat16": np.uint16, "float16": np.float16, "uint8": np.uint8}

SIZES = (0, 1, 3, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1000, 70_001)

GUARD = 64  # bytes before and after each array

AROUND = 0xA5


class Guarded:
    """Arrays of random bits, NaNs of all kinds among them, with guards around them."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._buffers: list[np.ndarray] = []
        self._expected: list[np.ndarray] = []

    def array(self, size: int, dtype, offset: int = 0, becomes_zero: bool = False) -> np.ndarray:
        """An array that begins `offset` elements after an address that registers are aligned to."""
        itemsize = np.dtype(dtype).itemsize
        buffer = np.full(2 * GUARD + (size + offset) * itemsize + 64, AROUND, np.uint8)
        first = GUARD + -(buffer.ctypes.data + GUARD) % 64 + offset * itemsize
        where = slice(first, first + size * itemsize)
        buffer[where] = self._rng.integers(256, size=size * itemsize, dtype=np.uint8)
        self._buffers.append(buffer)
        self._expected.append(buffer.copy())
        if becomes_zero:
            self._expected[-1][where] = 0
        return buffer[where].view(dtype)

    def wrong(self) -> list[int]:
        """The numbers of the arrays that are not what they must be, guards included."""
        pairs = zip(self._buffers, self._expected, strict=True)
        return [i for i, (buffer, expected) in enumerate(pairs) if not np.array_equal(buffer, expected)]


def scales_for(size: int) -> int:
    return -(-size // 256)


def labels(count: int) -> list[str]:
    return [f"[{i}]" for i in range(count)]


# ---- what it leaves ----


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", HELD)
@pytest.mark.parametrize("how", ["r", "rr", "rw", "rrw"])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_no_bit_changes(level, dtype, how, offset):
    memory = Guarded()
    arrays = [memory.array(size, HELD[dtype], offset) for size in SIZES]
    LEVELS[level].move([("a", how, arrays)], labels(len(arrays)), 2)
    assert memory.wrong() == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("theta", HELD)
@pytest.mark.parametrize("threads", [1, 3])
def test_no_bit_changes_in_a_step_of_many_formats(level, theta, threads):
    memory = Guarded(1)
    lists = [
        ("params", "rw", [memory.array(size, HELD[theta]) for size in SIZES]),
        ("grads", "rr", [memory.array(size, np.uint16, 1) for size in SIZES]),
        *((name, "rw", [memory.array(size, np.uint8) for size in SIZES]) for name in "mv"),
        *((f"{name}_scale", "rw", [memory.array(scales_for(size), np.float32) for size in SIZES]) for name in "mv"),
        ("average", "rrw", [memory.array(size, np.float64) for size in SIZES]),
    ]
    LEVELS[level].move(lists, labels(len(SIZES)), threads)
    assert memory.wrong() == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", range(1, 11))
def test_no_bit_changes_in_any_number_of_arrays_of_one_width(level, count):
    memory = Guarded(2)
    lists = [(f"a{i}", ("rw", "r")[i % 2], [memory.array(size, np.float32) for size in SIZES]) for i in range(count)]
    LEVELS[level].move(lists, labels(len(SIZES)), 2)
    assert memory.wrong() == []


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", HELD)
@pytest.mark.parametrize("beside", HELD)
def test_what_is_only_written_becomes_zero(level, dtype, beside):
    memory = Guarded(3)
    read = [memory.array(size, HELD[beside]) for size in SIZES]
    written = [memory.array(size, HELD[dtype], 1, becomes_zero=True) for size in SIZES]
    LEVELS[level].move([("params", "rw", read), ("copies", "w", written)], labels(len(SIZES)), 2)
    assert memory.wrong() == []


def test_there_may_be_nothing_to_move():
    _core.move([], [], 1)
    _core.move([("params", "rw", [])], [], 1)


# ---- what it refuses ----

ONES = np.ones(300, np.float32)


def read_only() -> np.ndarray:
    array = np.ones(300, np.float32)
    array.flags.writeable = False
    return array


REFUSED = [  # params hold one array of 300 values
    (("grads", "wr", [ONES]), ValueError, "grads is moved as 'wr', expected 'r', 'rr', 'w', 'rw' or 'rrw'"),
    (("grads", "", [ONES]), ValueError, "grads is moved as ''"),
    (("grads", "r", []), ValueError, "grads has 0 arrays, expected 1"),
    (("grads", "r", [ONES, ONES]), ValueError, "grads has 2 arrays, expected 1"),
    (
        ("grads", "r", [np.ones(301, np.float32)]),
        ValueError,
        "grads[0] has shape (301,), expected (300,) like params[0]",
    ),
    (("grads", "r", [np.ones((3, 100), np.float32)]), ValueError, "grads[0] has shape (3, 100), expected (300,)"),
    (("m_scale", "rw", [np.ones(3, np.float32)]), ValueError, "m_scale[0] has shape (3,), expected (300,)"),
    (("grads", "r", [np.ones(300, np.int32)]), TypeError, "grads[0] has dtype int32, expected float32, float64"),
    (("grads", "r", [None]), TypeError, "grads[0] is NoneType, expected a NumPy array"),
    (("m", "rw", [read_only()]), ValueError, "m[0] is read-only, expected a writable array"),
    (("m", "w", [read_only()]), ValueError, "m[0] is read-only, expected a writable array"),
    (("grads", "r", [np.ones(600, np.float32)[::2]]), ValueError, "grads[0] has shape (300,) and strides (8,)"),
]


@pytest.mark.parametrize(("wrong", "exception", "message"), REFUSED, ids=lambda value: None)
def test_bad_lists_are_refused(wrong, exception, message):
    params, copies = np.ones(300, np.float32), np.ones(300, np.float32)
    with pytest.raises(exception, match=re.escape(message)):
        _core.move([("params", "rw", [params]), ("copies", "w", [copies]), wrong], labels(1), 1)
    assert copies.all()  # nothing had been moved


@pytest.mark.parametrize(("how", "other"), [("rw", "r"), ("r", "w"), ("rrw", "rw")])
def test_what_is_written_overlaps_nothing(how, other):
    both = np.ones(600, np.float32)
    with pytest.raises(ValueError, match=r"^b\[0\] overlaps a\[0\] in memory"):
        _core.move([("a", how, [both[:300]]), ("b", other, [both[299:599]])], labels(1), 1)


def test_what_is_only_read_may_be_read_only_and_overlap():
    array = read_only()
    _core.move([("a", "r", [array]), ("b", "rr", [array])], labels(1), 1)
    assert (array == 1).all()
