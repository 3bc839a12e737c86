// A Cholesky factorization for small systems, the same bits on every instruction set.
#pragma once

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

// LLᵀ of a symmetric positive definite matrix, row by row. A millionth of a millionth is added to each diagonal
// element, so that equal columns have a factor, too.
class Cholesky {
 public:
  template <class Element>
  bool factor(Index size, const Element& element) {
    constexpr double kRidge = 1e-12;
    size_ = size, stride_ = padded(size);
    rows_.assign(size_ * stride_, 0);
    for (Index i = 0; i < size_; ++i) {
      double* const row = rows_.data() + i * stride_;
      for (Index j = 0; j < i; ++j) {
        const double* const other = rows_.data() + j * stride_;
        row[j] = (element(i, j) - dot(row, other, padded(j))) / other[j];  // row[j …] is still zero
      }
      const double pivot = element(i, i) * (1 + kRidge) - dot(row, row, padded(i));
      if (!(pivot > 0)) return false;
      row[i] = std::sqrt(pivot);
    }
    return true;
  }

  // b ← (LLᵀ)⁻¹b; b is padded with zeros.
  void solve(double* b) const {
    std::vector<double> y(stride_, 0);
    for (Index i = 0; i < size_; ++i) {
      const double* const row = rows_.data() + i * stride_;
      y[i] = (b[i] - dot(row, y.data(), padded(i))) / row[i];
    }
    for (Index i = size_ - 1; i >= 0; --i) {
      const double* const row = rows_.data() + i * stride_;
      b[i] = y[i] / row[i];
      for (Index j = 0; j < i; ++j) y[j] -= b[i] * row[j];
    }
  }

 private:
  Index size_ = 0, stride_ = 0;
  std::vector<double> rows_;
};

}  // namespace schuss::coordinate
