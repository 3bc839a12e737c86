// The sum of the squares of all gradients of a step, in an order that depends on nothing but their shapes.
//
// Each gradient is cut into pieces of 4096 values. In a piece, value i belongs to lane i mod 32, each lane is summed in
// the order of its values, and the lanes are added in pairs, halves upon halves. The pieces are added in their order.
// All sums are in double, in which the square of a float32 is exact.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "schuss/lanes.hpp"
#include "schuss/phase.hpp"

namespace schuss {

constexpr Index kPiece = 4096;
constexpr int kNormLanes = 32;

namespace norm {

// The sum over one piece, of values times a power of two.
template <class T>
[[gnu::flatten]] double sum_piece(const T* values, Index count, double power) {
  constexpr int blocks = kNormLanes / kLanes;
  std::array<Block<double>, blocks> sums;
  sums.fill(Block<double>::Zero());
  const auto add = [&](const T* from) {
    for (int b = 0; b < blocks; ++b) {
      const Block<double> x = widen(load_narrow(from + b * kLanes)) * power;
      sums[b] += x * x;
    }
  };
  const auto add_exactly = [&](const T* from) {
    for (int b = 0; b < blocks; ++b) {
      const Block<double> x = widen(load_narrow(from + b * kLanes));
      sums[b] = add_exact_product(sums[b], x, x);
    }
  };
  const auto each = [&](const auto& work) {
    Index i = 0;
    for (; i + kNormLanes <= count; i += kNormLanes) work(values + i);
    if (i == count) return;
    T last[kNormLanes] = {};
    std::copy(values + i, values + count, last);
    work(last);
  };
  if (!std::is_same_v<T, double> && power == 1) {
    each(add_exactly);
  } else {
    each(add);
  }
  for (int half = blocks / 2; half > 0; half /= 2)
    for (int b = 0; b < half; ++b) sums[b] += sums[b + half];
  fold(sums[0].data(), 1, 1);
  return sums[0][0];
}

inline double sum_piece(const Stored& gradient, Index begin, Index count, double power) {
  if (gradient.format == Format::f64) return sum_piece(gradient.at<const double>(begin), count, power);
  if (gradient.format == Format::f32) return sum_piece(gradient.at<const float>(begin), count, power);
  if (gradient.format == Format::bf16) return sum_piece(gradient.at<const Bfloat16>(begin), count, power);
  alignas(64) float values[kPiece];
  decode(gradient, begin, count, values);
  return sum_piece(values, count, power);
}

// The sums, over each piece of each gradient in their order, of the squares of all values times a power of two.
inline std::vector<double> sums_of_pieces(std::span<const Job> jobs, std::span<const Staging> stagings, double power,
                                          int max_threads) {
  const Line line(jobs, kPiece);
  std::vector<double> parts(line.length());
  Index bytes = 0;
  for (std::size_t k = 0; k < jobs.size(); ++k) bytes += jobs[k].tensor.size * bytes_of(stagings[k].gradient.format);
  const Index together = std::max<Index>(4, line.length() / (kTasksPerThread * max_threads));
  const Index tasks = (line.length() + together - 1) / together;
  threads.team().run(tasks, threads.helpers(bytes, max_threads), [&](Index task) {
    Index piece = task * together;
    line.visit(piece, std::min(piece + together, line.length()), [&](Index k, Index begin, Index end) {
      for (; begin < end; begin += kPiece)
        parts[piece++] = sum_piece(stagings[k].gradient, begin, std::min(kPiece, end - begin), power);
    });
  });
  return parts;
}

inline double sum_of_squares(std::span<const Job> jobs, std::span<const Staging> stagings, double power,
                             int max_threads) {
  double sum = 0;
  for (const double part : sums_of_pieces(jobs, stagings, power, max_threads)) sum += part;
  return sum;
}

}  // namespace norm

// ‖g‖ of all gradients together. Only squares of float64 values can be too large or too small for double; then they
// are summed once more at another scale.
inline double gradient_norm(std::span<const Job> jobs, std::span<const Staging> stagings, int max_threads) {
  const double sum = norm::sum_of_squares(jobs, stagings, 1, max_threads);
  if (std::isfinite(sum) && sum > 0x1p-900) return std::sqrt(sum);
  const auto is_double = [](const Staging& staging) { return staging.gradient.format == Format::f64; };
  if (std::none_of(stagings.begin(), stagings.end(), is_double)) return std::sqrt(sum);
  const double power = std::isfinite(sum) ? 0x1p600 : 0x1p-600;
  return std::sqrt(norm::sum_of_squares(jobs, stagings, power, max_threads)) / power;
}

}  // namespace schuss
