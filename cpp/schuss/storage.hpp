// Values that are stored in fewer bits than they are computed with: float32, bfloat16, float16, and 8 bits with a scale
// for each 256 values.
//
// A value between two that can be stored becomes the nearer one, or one of them by chance with the value itself as the
// mean (stochastic rounding: Gupta et al. 2015): an average that moves by less than half a unit in each step then still
// moves. The noise that decides is some random bits for each value; without it rounding is to the nearest.
//
// The loops are plain so that compilers turn them into vector code for any instruction set.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "schuss/noise.hpp"
#include "schuss/threads.hpp"

namespace schuss {

enum class Format : std::uint8_t { f32, f64, bf16, f16, u8 };

constexpr Index bytes_of(Format format) {
  constexpr Index bytes[] = {4, 8, 2, 2, 1};
  return bytes[static_cast<int>(format)];
}

// The random bits that rounding to a format takes.
constexpr int noise_bits(Format format) { return format == Format::u8 ? 20 : 16; }

// An array and how its values are stored.
struct Stored {
  void* data = nullptr;
  Format format = Format::f32;
  bool positive = false;    // 8 bits only: whether no value is below zero
  float* scales = nullptr;  // 8 bits only: one for each kScaled values

  template <class T>
  T* at(Index i) const {
    return static_cast<T*>(data) + i;
  }
};

namespace storage {

using Bits = std::uint32_t;

inline Bits bits_of(float x) { return std::bit_cast<Bits>(x); }
inline float float_of(Bits bits) { return std::bit_cast<float>(bits); }

constexpr Bits kSign = 0x80000000, kInfinity = 0x7F800000;

// What is said of words and floats here holds for single ones and for registers of them.

// ---- bfloat16: the upper half of a float32 ----

inline float from_bf16(std::uint16_t half) { return float_of(Bits{half} << 16); }

// A word whose upper half is x rounded: with `noise` added below the last bit that is kept, or the half of it, and a
// little less for an even result's sake. A NaN stays one: those that arithmetic gives have the upper bit of the
// mantissa.
template <class Words, class Floats>
Words rounded_to_bf16(Floats x, Words noise) {
  return std::bit_cast<Words>(x) + (x == x ? noise : Words{});
}
template <class Words, class Floats>
Words rounded_to_bf16(Floats x) {
  return rounded_to_bf16(x, 0x7FFF + (std::bit_cast<Words>(x) >> 16 & 1));
}

// ---- float16: five bits of exponent, ten of mantissa ----

inline float from_f16(std::uint16_t half) {
  const Bits magnitude = Bits{half} & 0x7FFF;
  const float finite = float_of(magnitude << 13) * 0x1p112f;
  const float any = magnitude < 0x7C00 ? finite : float_of(magnitude << 13 | kInfinity);
  return float_of(bits_of(any) | Bits{half} << 16 >> 31 << 31);
}

// The two ranges of float16: fixed point below 2⁻¹⁴, and from there a shorter float32.
inline std::uint16_t f16_of(Bits sign, Bits small, Bits normal, Bits magnitude) {
  const Bits finite = magnitude < 0x38800000 ? small : std::min<Bits>(normal, 0x7C00);
  return static_cast<std::uint16_t>(sign >> 16 | (magnitude > kInfinity ? 0x7E00 : finite));
}

inline std::uint16_t to_f16(float x, Bits noise) {
  const Bits magnitude = bits_of(x) & ~kSign;
  const float in_range = std::min(float_of(std::min(magnitude, kInfinity)), 1.0f);
  const Bits small =
      static_cast<Bits>(static_cast<std::int32_t>(in_range * 0x1p24f + static_cast<float>(noise) * 0x1p-16f));
  return f16_of(bits_of(x) & kSign, small, (magnitude + (noise >> 3) - 0x38000000) >> 13, magnitude);
}
inline std::uint16_t to_f16(float x) {
  const Bits magnitude = bits_of(x) & ~kSign;
  const Bits small = bits_of(float_of(std::min(magnitude, kInfinity)) + 0.5f) - bits_of(0.5f);
  return f16_of(bits_of(x) & kSign, small, (magnitude + 0xFFF + (magnitude >> 13 & 1) - 0x38000000) >> 13, magnitude);
}

// ---- 8 bits ----
//
// The scale of 256 values is the power of two in the largest of them, and a floor is a fraction of it. u = |x| + floor
// lies between floor and twice the scale; its exponent and the first three bits of its mantissa, counted from those of
// floor, are the code. So the steps are an eighth of the value for large ones and of the floor for small ones, and zero
// is exact. Signed values have the eighth bit for the sign and a floor of 2⁻¹⁴ scales; those that are never negative
// have one of 2⁻³⁰, and as they are divided by, those above zero stay above it.

constexpr Index kScaled = 256;

constexpr int kDropped = noise_bits(Format::u8);  // of the 23 bits of the mantissa
constexpr Bits kHalf = Bits{1} << (kDropped - 1);

template <bool positive>
struct Code {
  static constexpr float fraction = positive ? 0x1p-30f : 0x1p-14f;  // of the scale, which is the floor

  // The scale for values of which the largest has these bits: 0 if there is none of the size of a normal number, and
  // NaN if not all are finite; then all become NaN. A floor is a normal number.
  static float scale(Bits largest) {
    if (largest >= kInfinity) return std::numeric_limits<float>::quiet_NaN();
    const float power = float_of(largest & kInfinity);
    return power > 0 ? std::max(power, 0x1p-126f / fraction) : 0;
  }

  template <class Words, class Floats>
  static Floats decode(Words code, Floats floor) {
    const Words eighths = positive ? code : code & 0x7F;
    const Floats x = std::bit_cast<Floats>(std::bit_cast<Words>(floor) + (eighths << kDropped)) - floor;
    if constexpr (positive) return std::bit_cast<Floats>(std::bit_cast<Words>(x) & ~kSign);  // of 0 rounded downward
    return std::bit_cast<Floats>(std::bit_cast<Words>(x) | (code << 24 & kSign));
  }

  // Which have the order of the sizes of values.
  template <class Words>
  static Words magnitude(Words bits) {
    return positive ? bits : bits & ~kSign;
  }

  template <class Words, class Floats>
  static Words encode(Floats x, Floats floor, Words noise) {
    const Words bits = std::bit_cast<Words>(x), one = Words{} + 1u;
    const Floats u = std::bit_cast<Floats>(magnitude(bits)) + floor;
    const Words code = (std::bit_cast<Words>(u) - std::bit_cast<Words>(floor) + noise) >> kDropped;
    if constexpr (!positive) return code | (bits >> 24 & 0x80);
    const Words least = one < bits ? one : bits;
    return code > least ? code : least;
  }
};

template <bool positive, class T>
void decode_scaled(const Stored& from, Index at, Index count, T* to) {
  for (Index first = 0; first < count; first += kScaled) {
    const float floor = from.scales[(at + first) / kScaled] * Code<positive>::fraction;
    const std::uint8_t* codes = from.at<std::uint8_t>(at + first);
    const Index length = std::min(kScaled, count - first);
    for (Index i = 0; i < length; ++i) to[first + i] = Code<positive>::decode(Bits{codes[i]}, floor);
  }
}

template <bool positive, class T>
void encode_scaled(const T* from, const Stored& to, Index at, Index count, const Noise& noise) {
  for (Index first = 0; first < count; first += kScaled) {
    std::uint8_t* codes = to.at<std::uint8_t>(at + first);
    const Index length = std::min(kScaled, count - first);
    const auto value = [=](Index i) { return static_cast<float>(from[first + i]); };
    Bits largest = 0;
    for (Index i = 0; i < length; ++i) largest = std::max(largest, Code<positive>::magnitude(bits_of(value(i))));
    const float scale = to.scales[(at + first) / kScaled] = Code<positive>::scale(largest);
    const float floor = scale * Code<positive>::fraction;
    const auto each = [=](auto drawn) {
      for (Index i = 0; i < length; ++i)
        codes[i] = static_cast<std::uint8_t>(Code<positive>::encode(value(i), floor, drawn(i)));
    };
    if (!(scale > 0)) {
      std::fill_n(codes, length, std::uint8_t{0});
    } else if (noise) {
      each([noise](Index i) { return noise[i]; });
    } else {
      each([](Index) { return kHalf; });
    }
  }
}

}  // namespace storage

// Values at … at + count − 1 of an array, as numbers to compute with. `at` is a multiple of 256.
template <class T>
void decode(const Stored& from, Index at, Index count, T* to) {
  using namespace storage;
  const auto each = [&]<class Word>(const Word* words, auto value) {
    for (Index i = 0; i < count; ++i) to[i] = static_cast<T>(value(words[i]));
  };
  switch (from.format) {
    case Format::f32:
      return each(from.at<float>(at), [](float x) { return x; });
    case Format::f64:
      return each(from.at<double>(at), [](double x) { return x; });
    case Format::bf16:
      return each(from.at<std::uint16_t>(at), from_bf16);
    case Format::f16:
      return each(from.at<std::uint16_t>(at), from_f16);
    case Format::u8:
      return (from.positive ? decode_scaled<true, T> : decode_scaled<false, T>)(from, at, count, to);
  }
}

// Writes them back, rounded by chance where there is noise, which is for a row of 256, and to the nearest where there
// is none. In 8 bits "nearest" is so up to the rounding of u, and halves go away from zero.
template <class T>
void encode(const T* from, const Stored& to, Index at, Index count, const Noise& noise) {
  using namespace storage;
  const auto each = [&]<class Word>(Word* words, auto word) {
    for (Index i = 0; i < count; ++i) words[i] = word(static_cast<float>(from[i]), i);
  };
  const auto halves = [&](auto rounded) {
    std::uint16_t* words = to.at<std::uint16_t>(at);
    if (noise) return each(words, [&, n = noise](float x, Index i) { return rounded(x, n[i]); });
    each(words, [&](float x, Index) { return rounded(x); });
  };
  switch (to.format) {
    case Format::f32:
      return each(to.at<float>(at), [](float x, Index) { return x; });
    case Format::f64:
      return std::copy_n(from, count, to.at<double>(at)), void();
    case Format::bf16:
      return halves(
          [](float x, auto... n) { return static_cast<std::uint16_t>(rounded_to_bf16<Bits>(x, n...) >> 16); });
    case Format::f16:
      return halves([](float x, auto... n) { return to_f16(x, n...); });
    case Format::u8:
      return (to.positive ? encode_scaled<true, T> : encode_scaled<false, T>)(from, to, at, count, noise);
  }
}

}  // namespace schuss
