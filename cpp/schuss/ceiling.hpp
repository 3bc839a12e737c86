// The machine's limit: what moving a step's memory takes when nothing is computed. Benchmarks divide by it.
#pragma once

#include <cstdint>

#include "schuss/engine.hpp"

namespace schuss {

// Reads and writes the same arrays as a rule with `States` states, as words of the same width, and passes every value
// on unchanged but for one bitwise operation, without which the gradient need not be read.
template <class Word, int States>
void move(const void*, const Tensor& tensor, Index begin, Index end) {
  Word* theta = static_cast<Word*>(tensor.theta);
  const Word* gradient = static_cast<const Word*>(tensor.gradient);
  std::array<Word*, States> state{};
  for (int k = 0; k < States; ++k) state[k] = static_cast<Word*>(tensor.states[k]);
#ifdef __clang__  // no array overlaps another one
#pragma clang loop vectorize(assume_safety)
#else
#pragma GCC ivdep
#endif
  for (Index i = begin; i < end; ++i) {
    Word carried = theta[i] | gradient[i];
    for (int k = 0; k < States; ++k) {
      const Word next = state[k][i];
      state[k][i] = carried;
      carried = next;
    }
    theta[i] = carried;
  }
}

}  // namespace schuss
