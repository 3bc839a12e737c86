// Sums in double by lanes, the same for every instruction set: whatever is summed goes to a lane by its position.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "schuss/codec.hpp"
#include "schuss/storage.hpp"

namespace schuss {

constexpr int kLanes = kBlock<double>;

// As many values as a block of doubles holds.
template <class T>
using Narrow = Eigen::Array<T, kLanes, 1>;

template <class T>
Narrow<T> load_narrow(const T* from) {
  return Eigen::Map<const Narrow<T>>(from);
}

inline const Block<double>& widen(const Block<double>& values) { return values; }

// Eigen converts the values one by one, so the conversion is left to the instruction that does a register of them.
inline Block<double> widen(const Narrow<float>& values) {
  Block<double> wide;
#if defined(__AVX512F__)
  _mm512_storeu_pd(wide.data(), _mm512_cvtps_pd(_mm256_loadu_ps(values.data())));
#elif defined(__AVX__)
  _mm256_storeu_pd(wide.data(), _mm256_cvtps_pd(_mm_loadu_ps(values.data())));
  _mm256_storeu_pd(wide.data() + 4, _mm256_cvtps_pd(_mm_loadu_ps(values.data() + 4)));
#else
  wide = values.cast<double>();
#endif
  return wide;
}

// The bits of a bfloat16.
enum class Bfloat16 : std::uint16_t {};

inline Block<double> widen(const std::array<Bfloat16, kLanes>& halves) {
  Narrow<float> values;
  for (int i = 0; i < kLanes; ++i) values[i] = storage::from_bf16(static_cast<std::uint16_t>(halves[i]));
  return widen(values);
}
inline std::array<Bfloat16, kLanes> load_narrow(const Bfloat16* from) {
  std::array<Bfloat16, kLanes> halves;
  std::copy_n(from, kLanes, halves.begin());
  return halves;
}

// Adds up the lanes of `count` channels; lanes[l * stride + c] becomes garbage but for lane 0, which has the sum.
inline void fold(double* lanes, Index stride, Index count) {
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane)
      for (Index c = 0; c < count; ++c) lanes[lane * stride + c] += lanes[(lane + half) * stride + c];
}

}  // namespace schuss
