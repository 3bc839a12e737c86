"""Values in fewer bits: the core stores and reads them as the reference does, and the formats are what they say."""

import numpy as np
import pytest

import schuss
from cases import LEVELS
from schuss.reference import storage

ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes has NumPy's bfloat16")

SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1e-45,
    -1e-40,
    6e-8,
    -3e-8,
    6.1e-5,
    65504,
    65520,
    -7e4,
    3e38,
    3.4e38,
    1.0,
]

HELD = {"bfloat16": np.uint16, "float16": np.float16, "float32": np.float32, "uint8": np.uint8}


def samples(size: int, dtype=np.float32, spread: float = 40.0) -> np.ndarray:
    rng = np.random.default_rng(size)
    return (rng.standard_normal(size) * np.exp2(rng.uniform(-spread, spread / 2, size))).astype(dtype)


def scales_for(x: np.ndarray) -> np.ndarray:
    return np.full(-(-x.size // storage.SCALED), 7.0, np.float32)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("format", HELD)
@pytest.mark.parametrize("positive", [False, True])
def test_the_core_stores_and_reads_as_the_reference_does(format, dtype, positive, level):
    core = LEVELS[level]
    for size in (0, 1, 15, 16, 255, 256, 257, 1000, 5000):
        x = np.concatenate([samples(size, dtype), np.array(SPECIAL, dtype)[:size]])
        x = np.abs(x) if positive else x
        stored, scales = np.empty(x.size, HELD[format]), scales_for(x) if format == "uint8" else None
        core.encode(x, stored, scales, positive)
        expected = storage.encode(x, format, positive=positive)
        if format == "uint8":
            np.testing.assert_array_equal(scales, expected[1])
            np.testing.assert_array_equal(stored, expected[0])
        else:
            nan = np.isnan(x)
            np.testing.assert_array_equal(
                stored.view(np.uint8)[0::1][~np.repeat(nan, stored.itemsize)],
                expected.view(np.uint8)[~np.repeat(nan, stored.itemsize)],
            )
        read = np.empty(x.size, dtype)
        core.decode(stored, scales, positive, read)
        np.testing.assert_array_equal(read, storage.decode(expected, format, positive=positive))


def test_bfloat16_is_rounded_as_ml_dtypes_does():
    x = np.concatenate([samples(100_000, spread=120), np.array(SPECIAL, np.float32)])
    finite = ~np.isnan(x)
    ours = storage.encode_bfloat16(x)
    np.testing.assert_array_equal(ours[finite], x.astype(ml_dtypes.bfloat16).view(np.uint16)[finite])
    assert np.isnan(storage.decode_bfloat16(ours[~finite])).all()


@pytest.mark.parametrize("encode", [storage.encode_bfloat16, storage.encode_float16])
def test_chance_is_right_in_the_mean_and_takes_the_neighbours_only(encode):
    rng = np.random.default_rng(0)
    decode = storage.decode_bfloat16 if encode is storage.encode_bfloat16 else lambda h: h.astype(np.float32)
    for value in (1.003, -0.7513, 3e-6, 2.2e-7, 1234.5):
        x = np.full(40_000, value, np.float32)
        drawn = decode(encode(x, rng.integers(0, 2**16, x.size, dtype=np.uint32)))
        neighbours = np.unique(drawn)
        assert neighbours.size == 2
        assert neighbours[0] < np.float32(value) < neighbours[1]
        gap = float(neighbours[1] - neighbours[0])
        assert abs(drawn.mean(dtype=np.float64) - float(np.float32(value))) < 4 * gap / 2 / np.sqrt(x.size)


@pytest.mark.parametrize("positive", [False, True])
def test_codes_of_8_bits_keep_what_they_promise(positive):
    x = samples(256 * 50, spread=8)
    x = np.abs(x) if positive else x
    codes, scales = storage.encode_uint8(x, positive=positive)
    read = storage.decode_uint8(codes, scales, positive=positive)
    # A step is an eighth of u's power of two, rounding errs by half of that: 1/16 of |x| + floor.
    floor = np.repeat(scales, 256) * (2.0**-30 if positive else 2.0**-14)
    assert np.all(np.abs(read - x) <= (np.abs(x) + floor) / 16 * (1 + 1e-5))
    again, scales_again = storage.encode_uint8(read, positive=positive)
    same = np.repeat(scales_again == scales, 256)  # else the largest has fallen below its power of two
    assert same.mean() > 0.9
    np.testing.assert_array_equal(again[same], codes[same])
    zero = np.zeros(300, np.float32)
    assert not storage.decode_uint8(*storage.encode_uint8(zero, positive=positive), positive=positive).any()


def test_what_is_divided_by_stays_above_zero():
    x = np.full(256, 1e-30, np.float32)
    x[0] = 1.0
    assert np.all(storage.decode_uint8(*storage.encode_uint8(x, positive=True), positive=True) > 0)
    noise = np.zeros(256, np.uint32)
    assert np.all(storage.decode_uint8(*storage.encode_uint8(x, positive=True, noise=noise), positive=True) > 0)


def test_codes_of_8_bits_by_chance_are_right_in_the_mean():
    rng = np.random.default_rng(1)
    for positive in (False, True):
        for value in (0.013, 0.3, 2e-5):
            x = np.full(256 * 200, value, np.float32)
            x[::256] = 1.0
            noise = rng.integers(0, 2**20, x.size, dtype=np.uint32)
            read = storage.decode_uint8(*storage.encode_uint8(x, positive=positive, noise=noise), positive=positive)
            read = np.delete(read, np.s_[::256])
            gap = (value + (0 if positive else 2.0**-14)) / 8
            assert abs(read.mean(dtype=np.float64) - value) < 4 * gap / np.sqrt(read.size)


def test_one_value_that_is_not_finite_shows_in_its_256():
    x = np.ones(600, np.float32)
    x[300] = np.inf
    codes, scales = storage.encode_uint8(x, positive=True)
    read = storage.decode_uint8(codes, scales, positive=True)
    np.testing.assert_array_equal(np.isnan(read), np.arange(600) // 256 == 1)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("positive", [False, True])
def test_what_is_rounded_up_to_the_end_of_float32_becomes_infinite_alone(positive, level):
    largest = np.finfo(np.float32).max
    x = np.array([1.93 * 2.0**127, 1.94 * 2.0**127, largest, 1.0e38, 1e36, 0.0], np.float32)
    codes, scales = np.empty(x.size, np.uint8), scales_for(x)
    LEVELS[level].encode(x, codes, scales, positive)
    expected = storage.encode_uint8(x, positive=positive)
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_array_equal(scales, expected[1])
    read = np.empty_like(x)
    LEVELS[level].decode(codes, scales, positive, read)
    np.testing.assert_array_equal(read, storage.decode_uint8(*expected, positive=positive))
    np.testing.assert_array_equal(np.isinf(read), [False, True, True, False, False, False])
    np.testing.assert_allclose(read[[0, 3, 4]], x[[0, 3, 4]], rtol=1 / 16)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("size", [1.2e-38, 1e-36, 1e-33, 1e-30])
def test_floors_are_normal_numbers(size, positive):
    tiny = np.finfo(np.float32).tiny
    x = np.full(256, size, np.float32)
    codes, scales = storage.encode_uint8(x, positive=positive)
    assert scales[0] * (2.0**-30 if positive else 2.0**-14) >= tiny
    read = storage.decode_uint8(codes, scales, positive=positive)
    assert np.all(np.abs(read - x) <= (x + max(tiny, x[0] * 2.0**-14)) / 16)


def test_random_bits_depend_on_every_number_and_are_even():
    drawn = {"seed": 0, "step": 1, "tensor": 0}
    numbers = storage.noise(200_000, 0, 16, **drawn)
    counts = np.bincount(numbers >> 8, minlength=256)
    assert abs(counts - numbers.size / 256).max() < 6 * np.sqrt(numbers.size / 256)
    others = [
        *(
            storage.noise(200_000, 0, 16, **{**drawn, name: value})
            for name, value in [("seed", 1), ("step", 2), ("tensor", 1)]
        ),
        storage.noise(200_000, 1, 16, **drawn),
    ]
    for other in others:
        correlation = np.corrcoef(numbers, other)[0, 1]
        assert abs(correlation) < 5 / np.sqrt(numbers.size)
        assert np.mean(numbers == other) < 1e-4


def test_random_bits_of_one_value_are_even_over_the_steps_and_independent_of_its_neighbours():
    size, steps = 600, 4000
    numbers = np.stack([storage.noise(size, 0, 20, seed=0, step=step, tensor=0) for step in range(steps)])
    uniform = numbers / 2**20
    assert abs(uniform.mean(axis=0) - 0.5).max() < 5 * np.sqrt(1 / 12 / steps)
    centred = uniform - 0.5
    for other in (1, 16, 255, 256, 257):  # neighbours in the row and in the column
        products = (centred[:, other:] * centred[:, :-other]).mean(axis=0) * 12
        assert abs(products).max() < 5 / np.sqrt(steps)
    in_time = (centred[1:] * centred[:-1]).mean(axis=0) * 12
    assert abs(in_time).max() < 5 / np.sqrt(steps)


def test_the_bits_of_a_part_are_those_of_its_place_in_the_tensor():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for first in (0, 512, 2**32 - 256, 2**33 + 256):
        theta = storage.encode_bfloat16(x)
        optimizer = schuss.SGD([theta.view(ml_dtypes.bfloat16)], lr=0.1)
        optimizer._extras[0]["places"] = [(3, first)]
        optimizer.step([x])
        moved = storage.decode_bfloat16(storage.encode_bfloat16(x)) - np.float32(0.1) * x
        noise = storage.noise(x.size, 4, 16, seed=0, step=1, tensor=3, first=first)
        np.testing.assert_array_equal(theta, storage.encode_bfloat16(moved, noise))
    optimizer._extras[0]["places"] = [(3, 100)]
    with pytest.raises(ValueError, match="begins at element 100 of its tensor, expected a multiple of 256"):
        optimizer.step([x])


ERRORS = [
    (np.ones(3), np.empty(4, np.uint16), None, ValueError, "stored has shape (4,), expected (3,) like values"),
    (np.ones(3, int), np.empty(3, np.uint16), None, TypeError, "values has dtype int64, expected float32 or float64"),
    (np.ones(3), np.empty(3, int), None, TypeError, "stored has dtype int64, expected float32, float64, bfloat16, "),
    (np.ones(300), np.empty(300, np.uint8), np.ones(1, np.float32), ValueError, "scales has shape (1,), expected (2,)"),
]


@pytest.mark.parametrize(("values", "stored", "scales", "exception", "message"), ERRORS)
def test_errors(values, stored, scales, exception, message):
    core = next(reversed(LEVELS.values()))
    with pytest.raises(exception, match=__import__("re").escape(message)):
        core.encode(values, stored, scales, False)
