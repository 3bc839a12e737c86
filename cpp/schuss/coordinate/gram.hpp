// ZᵀZ of some columns, to which more may be added. Its products are Eigen's, one task for each few rows on one thread,
// so the bits do not depend on the number of threads.
#pragma once

#include <Eigen/Core>

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;

inline Rows rows_of(const double* from, Index rows, Index columns, Index stride) {
  return Rows(from, rows, columns, Eigen::OuterStride<>(stride));
}

class Products {
 public:
  Index count() const { return count_; }
  Index stride() const { return stride_; }
  Index length() const { return padded(count_); }
  const double* data() const { return g_.data(); }

  // Adds the columns of such numbers.
  void add(const Columns& columns, const std::vector<Index>& ids, int max_threads) {
    const Index before = count_, n = columns.stride;
    count_ += std::ssize(ids);
    reserve(before);
    packed_.resize(count_ * n);
    for (Index k = before; k < count_; ++k) std::memcpy(&packed_[k * n], columns[ids[k - before]], n * sizeof(double));
    constexpr Index kRows = 32;
    const auto task = [&](Index i) {
      const Index begin = before + i * kRows, size = std::min(kRows, count_ - begin);
      const Rows some = rows_of(&packed_[begin * n], size, n, n), all = rows_of(packed_.data(), count_, n, n);
      Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>(g_.data() + begin * stride_, size, count_,
                                                    Eigen::OuterStride<>(stride_))
          .noalias() = some * all.transpose();
    };
    const Index added = count_ - before, bytes = added * count_ * n;
    threads.team().run((added + kRows - 1) / kRows, threads.helpers(bytes, max_threads), task);
    for (Index i = before; i < count_; ++i)  // one of each pair, so that it is symmetric to the last bit
      for (Index j = 0; j < i; ++j) g_.data()[j * stride_ + i] = g_.data()[i * stride_ + j];
  }

 private:
  void reserve(Index before) {
    if (count_ <= stride_) return;
    const Index stride = padded(std::max(count_, std::min<Index>(2 * stride_, 1024)));
    Buffer<double> larger(stride * stride);
    for (Index i = 0; i < before; ++i)
      std::memcpy(larger.data() + i * stride, g_.data() + i * stride_, before * sizeof(double));
    g_ = std::move(larger);
    stride_ = stride;
  }

  Index count_ = 0, stride_ = 0;
  Buffer<double> g_;
  std::vector<double> packed_;
};

}  // namespace schuss::coordinate
