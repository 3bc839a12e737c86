"""How values are stored in fewer bits than they are computed with, and the random numbers that round them.

A value between two that can be stored becomes the nearer one, or, given random bits as noise, one of the two by chance
with the value as the mean (stochastic rounding: Gupta et al. 2015).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SCALED = 256  # as many values have a scale in common

NOISE_BITS = {"bfloat16": 16, "float16": 16, "uint8": 20}

WORD = 0xFFFF_FFFF
LONG = 0xFFFF_FFFF_FFFF_FFFF


# ---- random words by number ----


def mix(x: int) -> int:
    """Mix 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x + 0x9E37_79B9_7F4A_7C15) & LONG
    x = ((x ^ x >> 30) * 0xBF58_476D_1CE4_E5B9) & LONG
    x = ((x ^ x >> 27) * 0x94D0_49BB_1331_11EB) & LONG
    return x ^ x >> 31


def key_of(seed: int, *numbers: int) -> int:
    """The key of a sequence of random words, told apart from others by any number of numbers."""
    key = mix(seed)
    for number in numbers:
        key = mix(key ^ number)
    return key


def random_words(key: int, indices: Array) -> Array:
    """Words of 32 bits of a sequence: two rounds of multiplying and folding (constants of Wellons 2018)."""
    x = indices.astype(np.uint32) ^ np.uint32(key & WORD)
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB_352D)
    x = x + np.uint32(key >> 32)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846C_A68B)
    return x ^ x >> np.uint32(16)


def noise(size: int, operand: int, bits: int, *, seed: int, step: int, tensor: int, first: int = 0) -> Array:
    """Random bits for each value of an array: the states of a parameter are operands 0, 1, …, itself is 4.

    The array begins at element `first` of its tensor. Element i of that has column i mod 256 XOR row ⌊i / 256⌋; both
    are the upper bits of random words.
    """
    key = key_of(seed, step, tensor, operand)
    index = first + np.arange(size)
    columns, rows = random_words(key, index % SCALED), random_words(mix(key), index // SCALED)
    return (columns >> np.uint32(32 - bits)) ^ (rows >> np.uint32(32 - bits))


# ---- bfloat16 and float16 ----


def encode_bfloat16(x: Array, noise: Array | None = None) -> Array:
    """The upper halves of float32 values, as uint16."""
    bits = np.ravel(x).astype(np.float32).view(np.uint32)
    below = noise if noise is not None else np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    nan = bits & np.uint32(0x7FFF_FFFF) > np.uint32(0x7F80_0000)
    rounded = (bits + np.where(nan, np.uint32(0), below)) >> np.uint32(16)
    return rounded.astype(np.uint16).reshape(np.shape(x))


def decode_bfloat16(halves: Array) -> Array:
    """The float32 values of the bits of bfloat16."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def encode_float16(x: Array, noise: Array | None = None) -> Array:
    """The nearest float16 values, or one of the two around each by chance."""
    x = np.asarray(x, np.float32)
    if noise is None:
        with np.errstate(over="ignore"):
            return x.astype(np.float16)
    bits = np.ravel(x).view(np.uint32)
    sign, magnitude = bits & np.uint32(0x8000_0000), bits & np.uint32(0x7FFF_FFFF)
    small = np.minimum(np.where(np.isnan(np.ravel(x)), 1, np.abs(np.ravel(x))), np.float32(1)).astype(np.float32)
    fixed = (small * np.float32(2**24) + noise.astype(np.float32) * np.float32(2**-16)).astype(np.uint32)
    short = np.minimum((magnitude + (noise >> np.uint32(3)) - np.uint32(0x3800_0000)) >> np.uint32(13), 0x7C00)
    finite = np.where(magnitude < np.uint32(0x3880_0000), fixed, short)
    halves = np.where(magnitude > np.uint32(0x7F80_0000), np.uint32(0x7E00), finite) | sign >> np.uint32(16)
    return np.asarray(halves.astype(np.uint16).view(np.float16).reshape(x.shape))


# ---- 8 bits ----


def _fraction(positive: bool) -> np.float32:
    return np.float32(2.0**-30 if positive else 2.0**-14)


def encode_uint8(x: Array, *, positive: bool, noise: Array | None = None) -> tuple[Array, Array]:
    """Codes of 8 bits and a scale for each 256 values: the power of two in the largest of them.

    A floor is a fraction of the scale, 2⁻¹⁴, or 2⁻³⁰ for values that are never negative. u = |x| + floor lies between
    floor and twice the scale. Its exponent and the first three bits of its mantissa, counted from those of floor, are
    the code. So the steps are an eighth of large values and of the floor for small ones, and zero is exact. Signed
    values have the eighth bit for the sign. Those that are never negative are divided by, so those above zero stay
    above it. Where not all 256 values are finite the scale is NaN, where none has the size of a normal number it is 0,
    and it is never so small that the floor would not be a normal number. What is rounded up to 2¹²⁸ becomes infinite,
    as it does in bfloat16: to the nearest that is from 1.9375·2¹²⁷ on.
    """
    with np.errstate(over="ignore"):
        flat = np.ravel(x).astype(np.float32)
    codes, scales = np.zeros(flat.size, np.uint8), np.zeros(-(-flat.size // SCALED), np.float32)
    half = np.full(flat.size, 1 << 19, np.uint32) if noise is None else noise
    for k in range(scales.size):
        here = slice(k * SCALED, (k + 1) * SCALED)
        values = flat[here]
        if not np.all(np.isfinite(values)):
            scales[k] = np.nan
            continue
        power = (np.abs(values).max().view(np.uint32) & np.uint32(0x7F80_0000)).view(np.float32)
        if power > 0:
            scales[k] = scale = max(power, np.finfo(np.float32).tiny / _fraction(positive))
            floor = scale * _fraction(positive)
            with np.errstate(over="ignore"):
                u = np.abs(values) + floor
            code = (u.view(np.uint32) - floor.view(np.uint32) + half[here]) >> np.uint32(20)
            above = np.maximum(code, values > 0) if positive else code | np.signbit(values) * np.uint32(128)
            codes[here] = above
    return codes.reshape(np.shape(x)), scales


def decode_uint8(codes: Array, scales: Array, *, positive: bool) -> Array:
    """The float32 values of such codes."""
    flat = np.ravel(codes).astype(np.uint32)
    floor = np.repeat(scales * _fraction(positive), SCALED)[: flat.size]
    eighths = flat if positive else flat & np.uint32(127)
    x = (floor.view(np.uint32) + (eighths << np.uint32(20))).view(np.float32) - floor
    return np.asarray(x if positive else np.where(flat > 127, -x, x)).reshape(codes.shape)


# ---- all of them ----


def encode(x: Array, dtype: str, *, positive: bool = False, noise: Array | None = None) -> Any:
    """Values as `dtype` stores them; for `"uint8"` a pair of codes and scales."""
    if dtype == "uint8":
        return encode_uint8(x, positive=positive, noise=noise)
    if dtype == "bfloat16":
        return encode_bfloat16(x, noise)
    return encode_float16(x, noise) if dtype == "float16" else x.astype(dtype)


def decode(stored: Any, dtype: str, *, positive: bool = False) -> Array:
    """The values that `encode` has stored, in float32, or in float64 if they are so."""
    if dtype == "uint8":
        return decode_uint8(*stored, positive=positive)
    if dtype == "bfloat16":
        return decode_bfloat16(stored)
    return np.asarray(stored, np.float32 if dtype == "float16" else dtype)
