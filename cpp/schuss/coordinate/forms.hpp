// The two forms in which a working set of coordinates is descended, and Newton's step on the support in each, where the
// objective is a quadratic: sweeps find the support, and such steps end what sweeps alone would take long for.
//
//   Gram       keeps q = Zᵀr for all coordinates; a move costs as many operations as there are coordinates. Newton's
//              direction is solved for by Cholesky.
//   Residual   keeps r; a move costs as many operations as there are rows. Newton's direction is solved for by
//              conjugate gradients.
#pragma once

#include "schuss/coordinate/cholesky.hpp"
#include "schuss/coordinate/search.hpp"

namespace schuss::coordinate {

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

  // A factorization costs no more than the sweeps before it.
  static bool due(Index support, Index sweeps) { return sweeps >= 4 + support / 16; }

  bool newton(const Coordinates& x) {
    const std::vector<Index>& support = search_.look(x);
    const Index size = std::ssize(support);
    if (size == 0 || size > kLargest) return false;
    const auto element = [&](Index i, Index j) {
      return row(support[i])[support[j]] + (i == j ? x.l2[support[i]] : 0);
    };
    if (!cholesky_.factor(size, element)) return false;
    newton_.assign(padded(size), 0);
    for (Index i = 0; i < size; ++i) newton_[i] = descent(x, support[i], q_[support[i]]);
    cholesky_.solve(newton_.data());
    for (Index i = 0; i < size; ++i) search_.direction[support[i]] = newton_[i];
    return search_.follow(*this, x);
  }

  // cᵀG⁻¹c, twice of what is left at most where nothing is penalised; G then is that of all coordinates.
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

  // ---- for the search ----

  void image(const Coordinates& x, const double* d, std::vector<double>& to) const {
    to.assign(length_, 0);
    for (Index j = 0; j < x.count; ++j)
      if (d[j] != 0) subtract_multiple(to.data(), -d[j], row(j), length_);
  }
  double slope(const Coordinates& x, const double* d, const double*) const { return product(x, q_, d); }
  double curvature(const Coordinates& x, const double* d, const double* image) const { return product(x, image, d); }
  void follow(const double* image, double t) { subtract_multiple(q_, t, image, length_); }

 private:
  static constexpr Index kLargest = 1024;  // support that is factorized

  const double* row(Index j) const { return g_ + j * stride_; }

  static double product(const Coordinates& x, const double* a, const double* d) {
    double sum = 0;
    for (Index j = 0; j < x.count; ++j) sum += a[j] * d[j];
    return sum;
  }

  const double* g_;
  Index stride_, length_;
  double* q_;
  double uu_;
  std::vector<double> c_;  // Zᵀu
  std::vector<double> newton_;
  Search search_;
  Cholesky cholesky_;
};

class Residual {
 public:
  // The columns' addresses, their length, a multiple of eight, and r.
  Residual(std::vector<const double*> columns, Index n, double* r) : columns_(std::move(columns)), n_(n), r_(r) {}

  double gradient(Index j) const { return dot(columns_[j], r_, n_); }
  void move(Index j, double by) { subtract_multiple(r_, by, columns_[j], n_); }

  static bool due(Index, Index sweeps) { return sweeps >= 5; }

  bool newton(const Coordinates& x) {
    const std::vector<Index>& support = search_.look(x);
    if (support.empty()) return false;
    solve(x, support);
    return search_.follow(*this, x);
  }

  double gap(const Coordinates& x) const {
    std::vector<double> c(x.count);
    for (Index j = 0; j < x.count; ++j) c[j] = gradient(j);
    return duality_gap(x, c.data(), dot(r_, r_, n_)).value;
  }

  // ---- for the search ----

  void image(const Coordinates& x, const double* d, std::vector<double>& to) const {
    to.assign(n_, 0);
    for (Index j = 0; j < x.count; ++j)
      if (d[j] != 0) subtract_multiple(to.data(), -d[j], columns_[j], n_);
  }
  double slope(const Coordinates&, const double*, const double* image) const { return dot(r_, image, n_); }
  double curvature(const Coordinates&, const double*, const double* image) const { return dot(image, image, n_); }
  void follow(const double* image, double t) { subtract_multiple(r_, t, image, n_); }

 private:
  static constexpr int kSteps = 50;

  // Newton's direction by conjugate gradients in units of the diagonal, or, where the quadratic has no curvature, that
  // direction. `left` is what the direction still leaves of the gradient.
  void solve(const Coordinates& x, const std::vector<Index>& support) {
    const Index size = std::ssize(support);
    std::vector<double> left(size), p(size), step(x.count, 0), image;
    const auto diagonal = [&](Index i) { return x.square[support[i]] + x.l2[support[i]]; };
    const auto product = [&] {
      double sum = 0;
      for (Index i = 0; i < size; ++i) sum += left[i] * left[i] / diagonal(i);
      return sum;
    };
    for (Index i = 0; i < size; ++i) left[i] = descent(x, support[i], gradient(support[i]));
    double before = product(), beta = 0;
    const double enough = 1e-12 * before;
    for (int steps = 0; steps < kSteps && before > enough; ++steps) {
      double bend = 0, size_of_p = 0;
      for (Index i = 0; i < size; ++i) {
        const Index j = support[i];
        step[j] = p[i] = left[i] / diagonal(i) + beta * p[i];
        bend += x.l2[j] * p[i] * p[i];
        size_of_p += diagonal(i) * p[i] * p[i];
      }
      this->image(x, step.data(), image);
      bend += dot(image.data(), image.data(), n_);
      if (!(bend > 1e-13 * size_of_p)) {
        search_.direction = step;
        return;
      }
      const double alpha = before / bend;
      for (Index i = 0; i < size; ++i) {
        const Index j = support[i];
        search_.direction[j] += alpha * p[i];
        left[i] -= alpha * (dot(columns_[j], image.data(), n_) + x.l2[j] * p[i]);
      }
      const double now = product();
      beta = now / before;
      before = now;
    }
  }

  std::vector<const double*> columns_;
  Index n_;
  double* r_;
  Search search_;
};

// Sweeps until the gap of these coordinates is at most `target`, or does not shrink any more, or there were `most`
// sweeps. Returns how many there were; tick() is called after each.
template <class Form, class Tick>
Index descend(Form& form, const Coordinates& x, double target, Index most, const Tick& tick) {
  constexpr int kPatience = 20;
  double least = kInfinity;
  Index sweeps = 0;
  for (Index since = 0, idle = 0; sweeps < most && idle < kPatience;) {
    sweep(form, x);
    ++sweeps;
    tick();
    const Index support = support_of(x), repeat = std::min<Index>(2 + support / 32, 10);
    if (!form.due(support, ++since) && sweeps < most) continue;
    since = 0;
    for (Index again = 0; again < repeat && form.newton(x); ++again) tick();
    const double gap = form.gap(x);
    if (gap <= target) break;
    idle = gap < 0.9 * least ? 0 : idle + 1;
    least = std::min(least, gap);
  }
  return sweeps;
}

}  // namespace schuss::coordinate
