// The other half of sparse coding: the atoms W, given the codes H. The exact subproblem
//
//   minimise Σ(X − HW)² subject to ‖w_k‖ ≤ 1
//
// by block coordinate descent over atoms, each set to its minimiser (Mairal et al. 2010, algorithm 2), until a pass
// changes next to nothing.
#pragma once

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

// X is m × n, H is m × k, W is k × n; rows side by side.
template <class T>
struct Factors {
  const T *x, *h;
  Index m, n, k;
};

constexpr Index kParts = 8;  // into which the samples are cut, whoever sums them

// A = HᵀH and B = HᵀX, from what is not zero in H.
template <class T>
void accumulate(const Factors<T>& f, Index begin, Index end, double* a, double* b, Index stride) {
  std::vector<Index> support;
  for (Index i = begin; i < end; ++i) {
    const T *const h = f.h + i * f.k, *const x = f.x + i * f.n;
    support.clear();
    for (Index k = 0; k < f.k; ++k)
      if (h[k] != 0) support.push_back(k);
    for (const Index k : support) {
      const double value = h[k];
      for (const Index l : support) a[k * f.k + l] += value * h[l];
      for (Index j = 0; j < f.n; ++j) b[k * stride + j] += value * x[j];
    }
  }
}

// The sums over all samples, those of the parts one after the other.
template <class T>
void statistics(const Factors<T>& f, Buffer<double>& a, Buffer<double>& b, Index stride, int max_threads) {
  const Index part = (f.m + kParts - 1) / kParts;
  Buffer<double> as(kParts * f.k * f.k), bs(kParts * f.k * stride);
  const auto task = [&](Index i) {
    accumulate(f, std::min(i * part, f.m), std::min((i + 1) * part, f.m), as.data() + i * f.k * f.k,
               bs.data() + i * f.k * stride, stride);
  };
  threads.team().run(kParts, threads.helpers(f.m * (f.n + f.k) * 8, max_threads), task);
  for (Index i = 0; i < kParts; ++i) {
    for (Index j = 0; j < f.k * f.k; ++j) a.data()[j] += as.data()[i * f.k * f.k + j];
    for (Index j = 0; j < f.k * stride; ++j) b.data()[j] += bs.data()[i * f.k * stride + j];
  }
}

// Sets atom k to its minimiser over the unit ball, and returns by how much that lowers the sum of squares at least.
inline double set_atom(Index k, Index count, const double* a, const double* b, double* w, double* t, Index stride) {
  const double weight = a[k * count + k];
  if (!(weight > 0)) return 0;  // nobody uses it
  std::memcpy(t, b + k * stride, stride * sizeof(double));
  for (Index l = 0; l < count; ++l)
    if (l != k && a[k * count + l] != 0) subtract_multiple(t, a[k * count + l], w + l * stride, stride);
  const double norm = std::sqrt(dot(t, t, stride)) / weight, shrink = norm > 1 ? 1 / (norm * weight) : 1 / weight;
  double moved = 0;
  for (Index j = 0; j < stride; ++j) {
    const double next = t[j] * shrink, by = next - w[k * stride + j];
    moved += by * by;
    w[k * stride + j] = next;
  }
  return weight * moved;
}

// Improves W until a pass lowers the sum of squares by no more than `enough`, or for `most` passes. Returns how many.
template <class T, class Tick>
Index update_dictionary(const Factors<T>& f, T* w, double enough, Index most, int max_threads, const Tick& tick) {
  const Index stride = padded(f.n);
  Buffer<double> a(f.k * f.k), b(f.k * stride), atoms(f.k * stride), t(stride);
  statistics(f, a, b, stride, max_threads);
  for (Index k = 0; k < f.k; ++k)
    for (Index j = 0; j < f.n; ++j) atoms.data()[k * stride + j] = w[k * f.n + j];
  Index passes = 0;
  for (double lower = kInfinity; lower > enough && passes < most; ++passes) {
    lower = 0;
    for (Index k = 0; k < f.k; ++k) lower += set_atom(k, f.k, a.data(), b.data(), atoms.data(), t.data(), stride);
    tick();
  }
  for (Index k = 0; k < f.k; ++k)
    for (Index j = 0; j < f.n; ++j) w[k * f.n + j] = static_cast<T>(atoms.data()[k * stride + j]);
  return passes;
}

// ‖x_i − W ᵀh_i‖² for each sample.
template <class T>
void squares(const Factors<T>& f, const T* w, double* to, int max_threads) {
  constexpr Index kSamples = 32;
  const auto one = [&](Index i, std::vector<double>& r) {
    for (Index j = 0; j < f.n; ++j) r[j] = f.x[i * f.n + j];
    for (Index k = 0; k < f.k; ++k) {
      const double value = f.h[i * f.k + k];
      if (value == 0) continue;
      for (Index j = 0; j < f.n; ++j) r[j] -= value * w[k * f.n + j];
    }
    to[i] = dot(r.data(), r.data(), padded(f.n));
  };
  const auto task = [&](Index s) {
    std::vector<double> r(padded(f.n), 0);
    for (Index i = s * kSamples; i < std::min((s + 1) * kSamples, f.m); ++i) one(i, r);
  };
  const Index bytes = f.m * (f.n + f.k) * 16;
  threads.team().run((f.m + kSamples - 1) / kSamples, threads.helpers(bytes, max_threads), task);
}

}  // namespace schuss::coordinate
