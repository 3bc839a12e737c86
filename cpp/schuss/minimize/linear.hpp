// Kernels on a full, symmetric, row-major matrix: products, the BFGS update, conjugate gradients.
#pragma once

#include "schuss/minimize/vector.hpp"

namespace schuss::minimize {

// Runs body(i) for every row of an n × n matrix that is read (and written) `times`.
template <class T, class Body>
void for_rows(Index n, int times, int max_threads, const Body& body) {
  constexpr Index kRows = 16;
  const auto task = [&](Index k) {
    for (Index i = k * kRows; i < std::min((k + 1) * kRows, n); ++i) body(i);
  };
  threads.team().run((n + kRows - 1) / kRows, threads.helpers(times * n * n * sizeof(T), max_threads), task);
}

// aᵀb of n values anywhere in memory, in the order of a pass.
template <class T>
[[gnu::flatten]] double row_product(const T* a, const T* b, Index n) {
  Lane lane = Lane::Zero();
  Index at = 0;
  for (; at + kBlock<T> <= n; at += kBlock<T>) add_product(lane, Plain<T>::load(a + at), Plain<T>::load(b + at));
  const int rest = static_cast<int>(n - at);
  if (rest > 0) add_product(lane, Plain<T>::load(a + at, rest), Plain<T>::load(b + at, rest));
  return total(lane);
}

// q = Av
template <class T>
void multiply(const T* a, const T* v, T* q, Index n, int max_threads) {
  for_rows<T>(n, 1, max_threads, [=](Index i) { q[i] = static_cast<T>(row_product(a + i * n, v, n)); });
}

// H ← H + usᵀ + suᵀ with w = s − Hy, ρ = 1/sᵀy, u = ρw − ½ρ²(wᵀy)s, so that Hy = s. False, and H as it was, unless
// sᵀy is positive and the update finite.
template <class T>
bool bfgs_update(T* h, const T* s, const T* y, Index n, int max_threads) {
  const double sy = row_product(s, y, n), rho = 1 / sy;
  if (!(sy > 0) || !std::isfinite(sy) || !std::isfinite(rho)) return false;
  Vector<T> u(n);
  multiply(h, y, u.data(), n, max_threads);
  double longest = 0;
  for (Index i = 0; i < n; ++i) {
    u.data()[i] = s[i] - u.data()[i];
    longest = std::max(longest, std::abs(static_cast<double>(s[i])));
  }
  const double half = 0.5 * rho * (rho * row_product(u.data(), y, n));
  for (Index i = 0; i < n; ++i) u.data()[i] = static_cast<T>(rho * u.data()[i] - half * s[i]);
  if (!all_finite(u, max_threads)) return false;
  if (!std::isfinite(static_cast<T>(2 * longest * largest(u, max_threads)))) return false;
  for_rows<T>(n, 2, max_threads, [=, v = u.data()](Index i) {
    T* const row = h + i * n;
    for (Index j = 0; j < n; ++j) row[j] += v[i] * s[j] + s[i] * v[j];
  });
  return true;
}

// Conjugate gradients for Ax = b with a symmetric positive definite A: Hestenes and Stiefel 1952; Deep Learning,
// section 8.6.2. `product(p, q)` computes q = Ap. r and p are in units of a power of two near the first residual, so
// that rᵀr is within range whatever b is.
template <class T>
struct LinearSystem {
  Index iterations = 0;
  double residual = 0;   // ‖b − Ax‖
  bool success = false;  // it is as small as was asked for

  template <class Product>
  void solve(const T* b, T* x, Index n, double tolerance, Index most, int max_threads, const Product& product) {
    Vector<T> r(n), p(n), q(n);
    r.read(b);
    const double unit_b = to_unit(r, max_threads), norm_b = unit_b * std::sqrt(dot(r, r, max_threads));
    product(x, q.data());
    for (Index i = 0; i < n; ++i) r.data()[i] = b[i] - q.data()[i];
    if (!all_finite(r, max_threads)) {
      residual = std::numeric_limits<double>::infinity();
      return;
    }
    const double unit = to_unit(r, max_threads), enough = tolerance * norm_b / unit;
    p.copy(r);
    double rr = dot(r, r, max_threads);
    for (residual = std::sqrt(rr); residual > enough && iterations < most; ++iterations) {
      product(p.data(), q.data());
      const double curvature = dot(p, q, max_threads);
      if (!(curvature > 0) || !std::isfinite(curvature)) break;  // A is not positive definite, or beyond T
      const double exact = rr / curvature;                       // the step along p
      const T alpha = static_cast<T>(exact), step = static_cast<T>(exact * unit);
      for (Index i = 0; i < n; ++i) x[i] += step * p.data()[i];
      const auto descend = [&](Index at, auto& lanes) {
        const Block<T> next = r(at) - alpha * q(at);
        r.set(at, next);
        add_product(lanes.sum[0], next, next);
      };
      const double next = pass<1, 0, T>(r.padded(), 3, max_threads, descend).sum[0];
      const T beta = static_cast<T>(next / rr);
      const auto turn = [&](Index at, auto&) { p.set(at, r(at) + beta * p(at)); };
      pass<0, 0, T>(r.padded(), 3, max_threads, turn);
      rr = next;
      residual = std::sqrt(rr);
    }
    success = residual <= enough;
    residual *= unit;
  }

 private:
  // Divides r by a power of two near its largest magnitude, and returns that.
  static double to_unit(Vector<T>& r, int max_threads) {
    const double size = largest(r, max_threads), unit = size > 0 ? std::ldexp(1.0, std::ilogb(size)) : 1;
    const auto divide = [&](Index at, auto&) { r.set(at, r(at) / static_cast<T>(unit)); };
    pass<0, 0, T>(r.padded(), 2, max_threads, divide);
    return unit;
  }
};

}  // namespace schuss::minimize
