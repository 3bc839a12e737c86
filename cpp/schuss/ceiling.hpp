// The machine's limit: what moving a step's memory takes when nothing is computed. Benchmarks divide by it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "schuss/engine.hpp"
#include "schuss/layout.hpp"

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

// Two passes as batch normalization makes them: the first reads x, and dy unless it is null; the second reads them once
// more and writes y. In inference there is no first pass. Each unit's values of the first pass are
// combined into one word that the second uses, so that no reading can be left out.
template <class Word>
void move_in_passes(const Word* x, const Word* dy, Word* y, Index size, bool first_pass, int max_threads) {
  constexpr Index step = 8 * 1024;
  const Index units = (size + step - 1) / step;
  const Index bytes = size * static_cast<Index>(sizeof(Word)) * (dy ? 2 : 1);
  const Word* other = dy ? dy : x;
  std::vector<Word> seen(units);
  if (first_pass)
    for_units(units, bytes, max_threads, [&, x, other](Index unit) {
      const Index end = std::min(size, (unit + 1) * step);
      Word any = 0;
      for (Index i = unit * step; i < end; ++i) any |= x[i] | other[i];
      seen[unit] = any;
    });
  for_units<Order::outwards>(units, bytes + size * sizeof(Word), max_threads, [&, x, other, y](Index unit) {
    const Index end = std::min(size, (unit + 1) * step);
    const Word any = seen[unit];
#pragma GCC ivdep
    for (Index i = unit * step; i < end; ++i) y[i] = x[i] | other[i] | any;
  });
}

}  // namespace schuss
