// A design matrix as coordinate descent wants it: whole columns side by side in memory, in double, each in units of a
// power of two near its largest magnitude, so that nothing overflows or vanishes whatever the units of the data are.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "schuss/coordinate/problem.hpp"
#include "schuss/minimize/vector.hpp"

namespace schuss::coordinate {

using minimize::Buffer;
using minimize::Lane;
using minimize::total;

inline Index padded(Index n) { return (n + 7) / 8 * 8; }

// ---- vectors whose length is a multiple of eight ----

inline Eigen::Map<const Lane> lane(const double* from) { return Eigen::Map<const Lane>(from); }

// Σ term(at) over blocks of eight, in an order that depends on n alone.
template <class Term>
double sum(Index n, const Term& term) {
  Lane a = Lane::Zero(), b = a, c = a, d = a;
  Index at = 0;
  for (; at + 32 <= n; at += 32) {
    a += term(at);
    b += term(at + 8);
    c += term(at + 16);
    d += term(at + 24);
  }
  for (; at < n; at += 8) a += term(at);
  return total(Lane((a + b) + (c + d)));
}

inline double dot(const double* a, const double* b, Index n) {
  return sum(n, [=](Index at) { return Lane(lane(a + at) * lane(b + at)); });
}

inline void subtract_multiple(double* y, double a, const double* x, Index n) {
  for (Index at = 0; at < n; at += 8) Eigen::Map<Lane>{y + at} -= a * lane(x + at);
}

// ---- one column ----

// The column was 2^exponent · (z + first + mean).
struct Units {
  int exponent = 0;
  double first = 0, mean = 0;
  bool finite = true;
};

// Puts a column into its units. Its mean is taken around its first value: a constant column becomes zeros exactly, and
// a large mean costs no more than the rounding of the data themselves.
inline Units normalise(double* z, Index n, bool centred) {
  constexpr int kMost = 1000;  // beyond it 2^-exponent would overflow or be subnormal
  Units units;
  Lane most = Lane::Zero();
  for (Index at = 0; at < padded(n); at += 8) most = most.max(lane(z + at).abs());
  const double zero = sum(padded(n), [=](Index at) { return Lane(0 * lane(z + at)); });
  units.finite = zero == 0;
  if (!units.finite || most.maxCoeff() == 0) return units;
  units.exponent = std::clamp(std::ilogb(most.maxCoeff()), -kMost, kMost);
  const double factor = std::ldexp(1.0, -units.exponent);
  units.first = centred ? z[0] * factor : 0;
  for (Index i = 0; i < n; ++i) z[i] = z[i] * factor - units.first;
  if (!centred) return units;
  units.mean = sum(padded(n), [=](Index at) { return Lane(lane(z + at)); }) / static_cast<double>(n);
  for (Index i = 0; i < n; ++i) z[i] -= units.mean;
  return units;
}

// ---- all columns ----

// Memory that is not set to anything, in large pages where it is large: the threads that fill it touch it first.
class Uninitialized {
 public:
  explicit Uninitialized(Index size) {
    constexpr std::size_t kPage = std::size_t(1) << 21;
    const std::size_t bytes = size * sizeof(double), align = bytes >= 2 * kPage ? kPage : 64;
    values_.reset(static_cast<double*>(std::aligned_alloc(align, (bytes + align) / align * align)));
    if (!values_) throw std::bad_alloc();
#if defined(__linux__)
    if (align == kPage) madvise(values_.get(), bytes, MADV_HUGEPAGE);
#endif
  }
  double* data() { return values_.get(); }
  const double* data() const { return values_.get(); }

 private:
  struct Free {
    void operator()(double* values) const { std::free(values); }
  };
  std::unique_ptr<double, Free> values_;
};

// A matrix of T in memory, with the distances of neighbours in bytes.
template <class T>
struct Strided {
  const char* data;
  Index rows, columns, row_step, column_step;

  T operator()(Index i, Index j) const { return *reinterpret_cast<const T*>(data + i * row_step + j * column_step); }
};

struct Columns {
  Index rows = 0, count = 0, stride = 0;
  Uninitialized values;
  std::vector<Units> units;
  std::vector<double> square;  // ‖z_j‖²
  bool finite = true;

  const double* operator[](Index j) const { return values.data() + j * stride; }

  template <class T>
  Columns(const Strided<T>& from, bool centred, int max_threads)
      : rows(from.rows),
        count(from.columns),
        stride(padded(rows)),
        values(stride * count),
        units(count),
        square(count) {
    constexpr Index kTile = 64;  // columns that are read side by side
    const auto task = [&](Index k) { take(from, k * kTile, std::min((k + 1) * kTile, count), centred); };
    threads.team().run((count + kTile - 1) / kTile, threads.helpers(rows * count * 16, max_threads), task);
    for (const Units& u : units) finite = finite && u.finite;
  }

 private:
  template <class T>
  void take(const Strided<T>& from, Index begin, Index end, bool centred) {
    const auto line = [&](Index i, Index j) {  // eight values of a column
      double* const z = values.data() + j * stride + i;
      const Index size = std::min<Index>(8, rows - i);
      for (Index k = 0; k < size; ++k) z[k] = from(i + k, j);
      for (Index k = size; k < 8; ++k) z[k] = 0;
    };
    if (from.row_step == sizeof(T)) {
      for (Index j = begin; j < end; ++j)
        for (Index i = 0; i < rows; i += 8) line(i, j);
    } else {
      for (Index i = 0; i < rows; i += 8)
        for (Index j = begin; j < end; ++j) line(i, j);
    }
    for (Index j = begin; j < end; ++j) {
      double* const z = values.data() + j * stride;
      units[j] = normalise(z, rows, centred);
      square[j] = dot(z, z, stride);
    }
  }
};

// r = u − Σ v_k z_k over the columns with v_k ≠ 0.
template <class ColumnOf>
void residual(const double* u, Index n, const double* v, Index count, const ColumnOf& column, double* r,
              int max_threads) {
  minimize::for_chunks(n, 8 * count, max_threads, [&](Index begin, Index end, Index) {
    std::memcpy(r + begin, u + begin, (end - begin) * sizeof(double));
    for (Index k = 0; k < count; ++k)
      if (v[k] != 0) subtract_multiple(r + begin, v[k], column(k) + begin, end - begin);
  });
}

}  // namespace schuss::coordinate
