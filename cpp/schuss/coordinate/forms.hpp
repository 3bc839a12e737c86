// The two forms in which a working set of coordinates is descended, and what makes each faster than sweeps alone.
//
//   Gram       keeps q = Zᵀr for all coordinates; a move costs as many operations as there are coordinates. On the
//              support the objective is a quadratic, and Newton's step with an exact search along it ends the descent.
//   Residual   keeps r; a move costs as many operations as there are rows. The exact search is along the sum of the
//              moves of a sweep.
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

class Gram {
 public:
  // The rows of g are `stride` numbers apart; each has `length` of them that count, a multiple of eight, and so has q.
  Gram(const double* g, Index stride, Index length, double* q, double uu, const Coordinates& x)
      : g_(g), stride_(stride), length_(length), q_(q), uu_(uu), c_(q, q + length) {
    for (Index j = 0; j < x.count; ++j)
      if (x.v[j] != 0) subtract_multiple(c_.data(), -x.v[j], row(j), length_);
  }

  double gradient(Index j) const { return q_[j]; }
  void move(Index j, double by) { subtract_multiple(q_, by, row(j), length_); }

  void remember(const Coordinates&) {}
  static bool due(const Coordinates& x, Index sweeps) {  // a factorization costs no more than the sweeps before it
    Index support = 0;
    for (Index j = 0; j < x.count; ++j) support += x.v[j] != 0;
    return sweeps >= 2 + support / 8;
  }

  // Newton's step on the support, where the penalty has a gradient, and the exact search along it.
  void accelerate(const Coordinates& x) {
    support_.clear();
    for (Index j = 0; j < x.count; ++j)
      if (x.v[j] != 0) support_.push_back(j);
    const Index size = std::ssize(support_);
    if (size == 0 || size > kLargest) return;
    const auto element = [&](Index i, Index j) {
      return row(support_[i])[support_[j]] + (i == j ? x.l2[support_[i]] : 0);
    };
    if (!cholesky_.factor(size, element)) return;
    newton_.assign(padded(size), 0);
    for (Index i = 0; i < size; ++i) {
      const Index j = support_[i];
      newton_[i] = q_[j] - x.l2[j] * x.v[j] - std::copysign(x.l1[j], x.v[j]);
    }
    cholesky_.solve(newton_.data());
    follow(x);
  }

  // 2 · ½cᵀG⁻¹c, a bound on what is left where nothing is penalised; G then is that of all coordinates.
  double decrement(const Coordinates& x, const double* c) {
    const auto element = [&](Index i, Index j) { return row(i)[j]; };
    if (x.count > kLargest || !cholesky_.factor(x.count, element)) return kInfinity;
    newton_.assign(padded(x.count), 0);
    std::copy_n(c, x.count, newton_.data());
    cholesky_.solve(newton_.data());
    double left = 0;
    for (Index j = 0; j < x.count; ++j) left += c[j] * newton_[j];
    return left;
  }

  double gap(const Coordinates& x) const {
    double rr = uu_;
    for (Index j = 0; j < x.count; ++j) rr -= x.v[j] * (c_[j] + q_[j]);
    return duality_gap(x, q_, std::max(rr, 0.0)).value;
  }

 private:
  static constexpr Index kLargest = 1024;  // support that is factorized

  const double* row(Index j) const { return g_ + j * stride_; }

  void follow(const Coordinates& x) {
    direction_.assign(length_, 0);
    image_.assign(length_, 0);
    double curvature = 0, slope = 0;
    for (std::size_t i = 0; i < support_.size(); ++i) {
      const Index j = support_[i];
      direction_[j] = newton_[i];
      subtract_multiple(image_.data(), -newton_[i], row(j), length_);
    }
    for (const Index j : support_) {
      const double d = direction_[j];
      curvature += d * (image_[j] + x.l2[j] * d);
      slope += d * (q_[j] - x.l2[j] * x.v[j]);
    }
    const double t = step_along(x, direction_.data(), curvature, slope, kinks_);
    if (!(t > 0) || !std::isfinite(t)) return;
    step(x, direction_.data(), t);
    subtract_multiple(q_, t, image_.data(), length_);
  }

  const double* g_;
  Index stride_, length_;
  double* q_;
  double uu_;
  std::vector<double> c_;  // Zᵀu
  std::vector<Index> support_;
  std::vector<double> newton_, direction_, image_;
  Kinks kinks_;
  Cholesky cholesky_;
};

class Residual {
 public:
  // The columns' addresses, their length, a multiple of eight, and r.
  Residual(std::vector<const double*> columns, Index n, double* r) : columns_(std::move(columns)), n_(n), r_(r) {}

  double gradient(Index j) const { return dot(columns_[j], r_, n_); }
  void move(Index j, double by) { subtract_multiple(r_, by, columns_[j], n_); }

  void remember(const Coordinates& x) {
    before_.assign(r_, r_ + n_);
    direction_.assign(x.v, x.v + x.count);
  }
  static bool due(const Coordinates&, Index sweeps) { return sweeps >= 1; }

  // On along the sum of the moves since `remember`.
  void accelerate(const Coordinates& x) {
    double curvature = 0, slope = 0;
    for (Index j = 0; j < x.count; ++j) {
      const double d = direction_[j] = x.v[j] - direction_[j];
      if (d == 0) continue;
      curvature += x.l2[j] * d * d;
      slope -= x.l2[j] * x.v[j] * d;
    }
    for (Index i = 0; i < n_; ++i) before_[i] -= r_[i];  // Zd
    curvature += dot(before_.data(), before_.data(), n_);
    slope += dot(before_.data(), r_, n_);
    const double t = step_along(x, direction_.data(), curvature, slope, kinks_);
    if (!(t > 0) || !std::isfinite(t)) return;
    step(x, direction_.data(), t);
    subtract_multiple(r_, t, before_.data(), n_);
  }

  double gap(const Coordinates& x) {
    if (++asked_ % 8 != 0) return kInfinity;  // it costs half a sweep
    gradients_.resize(x.count);
    for (Index j = 0; j < x.count; ++j) gradients_[j] = gradient(j);
    return duality_gap(x, gradients_.data(), dot(r_, r_, n_)).value;
  }

 private:
  std::vector<const double*> columns_;
  Index n_, asked_ = 0;
  double* r_;
  std::vector<double> before_, direction_, gradients_;
  Kinks kinks_;
};

// Sweeps until the gap of these coordinates is at most `target`, or does not shrink any more, or there were `most`
// sweeps. Returns how many there were; tick() is called after each.
template <class Form, class Tick>
Index descend(Form& form, const Coordinates& x, double target, Index most, const Tick& tick) {
  constexpr int kPatience = 20;
  double least = kInfinity;
  Index sweeps = 0;
  for (Index since = 0, idle = 0; sweeps < most && idle < kPatience;) {
    form.remember(x);
    sweep(form, x);
    ++sweeps;
    tick();
    if (!form.due(x, ++since) && sweeps < most) continue;
    since = 0;
    form.accelerate(x);
    const double gap = form.gap(x);
    if (gap <= target) break;
    if (gap == kInfinity) continue;
    idle = gap < 0.9 * least ? 0 : idle + 1;
    least = std::min(least, gap);
  }
  return sweeps;
}

}  // namespace schuss::coordinate
