// A Cholesky factorization for small systems, the same bits on every instruction set.
#pragma once

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

// UᵀU of a symmetric positive definite matrix. A millionth of a millionth is added to each diagonal element, so that
// equal columns have a factor, too.
class Cholesky {
 public:
  template <class Element>
  bool factor(Index size, const Element& element) {
    constexpr double kRidge = 1e-12;
    size_ = size, stride_ = padded(size);
    rows_.assign(size_ * stride_, 0);
    for (Index i = 0; i < size_; ++i) {
      for (Index j = i; j < size_; ++j) row(i)[j] = element(i, j);
      row(i)[i] *= 1 + kRidge;
    }
    for (Index k = 0; k < size_; ++k) {
      double* const u = row(k);
      if (!(u[k] > 0)) return false;
      const double scale = 1 / std::sqrt(u[k]);
      for (Index j = k; j < size_; ++j) u[j] *= scale;
      for (Index i = k + 1; i < size_; ++i) {  // from the block of i on; what is left of the diagonal is not read
        const Index from = i / 8 * 8;
        subtract_multiple(row(i) + from, u[i], u + from, stride_ - from);
      }
    }
    return true;
  }

  // b ← (UᵀU)⁻¹b; b is padded with zeros.
  void solve(double* b) {
    for (Index k = 0; k < size_; ++k) {
      const double* const u = row(k);
      b[k] /= u[k];
      for (Index j = k + 1; j < size_; ++j) b[j] -= b[k] * u[j];
    }
    for (Index k = size_ - 1; k >= 0; --k) {
      const double* const u = row(k);
      double sum = 0;
      for (Index j = k + 1; j < size_; ++j) sum += u[j] * b[j];
      b[k] = (b[k] - sum) / u[k];
    }
  }

 private:
  double* row(Index i) { return rows_.data() + i * stride_; }

  Index size_ = 0, stride_ = 0;
  std::vector<double> rows_;
};

}  // namespace schuss::coordinate
