// The random bits by which the arrays of a step are rounded: functions of seed, step, tensor, array and place, and of
// nothing else.
#pragma once

#include <array>
#include <optional>

#include "schuss/random.hpp"
#include "schuss/threads.hpp"

namespace schuss {

// Random bits for each value of a row of 256. Without columns there are none, and rounding is to the nearest.
struct Noise {
  const std::uint32_t* columns = nullptr;
  std::uint32_t row = 0;

  explicit operator bool() const { return columns; }
  std::uint32_t operator[](Index i) const { return columns[i] ^ row; }
};

// What is rounded of a tensor: states are operands 0, 1, …, the parameters come last.
template <int operands>
class Dice {
 public:
  Dice(bool stochastic, std::uint64_t seed, std::int64_t step, Index tensor, Index first)
      : stochastic_(stochastic), seed_(seed), step_(step), tensor_(tensor), first_(first) {}

  // So many bits for the row of an operand that begins at `at`, a multiple of 256; always as many for one operand.
  Noise roll(int operand, Index at, int bits) {
    if (!stochastic_) return {};
    if (!grids_[operand]) make(operand, bits);
    return {grids_[operand]->columns(), grids_[operand]->row((first_ + at) / RandomGrid::kColumns)};
  }

 private:
  [[gnu::noinline]] void make(int operand, int bits) {
    grids_[operand].emplace(key_of(seed_, step_, tensor_, operand), bits);
  }

  const bool stochastic_;
  const std::uint64_t seed_;
  const std::int64_t step_;
  const Index tensor_, first_;  // the array begins at this element of the tensor
  std::array<std::optional<RandomGrid>, operands> grids_;
};

}  // namespace schuss
