// Plain cyclic coordinate descent on ½xᵀAx − bᵀx + α‖x‖₁: sweeps and nothing else.
#pragma once

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

// A as Gram matrix: q = b − Ax is kept.
struct Quadratic {
  const double* a;
  Index stride;
  double* q;

  double gradient(Index j) const { return q[j]; }
  void move(Index j, double by) { subtract_multiple(q, by, a + j * stride, stride); }
};

// The largest distance of a coordinate from its minimiser, times its curvature: the subgradient nearest to zero.
inline double violation(const Coordinates& x, const double* q) {
  double most = 0;
  for (Index j = 0; j < x.count; ++j) {
    const double g = q[j];
    const double off = x.v[j] != 0 ? std::abs(g - std::copysign(x.l1[j], x.v[j])) : std::abs(soft(g, x.l1[j]));
    most = off <= most ? most : off;  // which lets nan through
  }
  return most;
}

inline double objective(const Coordinates& x, const double* q, const double* b) {
  double f = 0;
  for (Index j = 0; j < x.count; ++j) f += x.penalty(j, x.v[j]) - 0.5 * x.v[j] * (b[j] + q[j]);
  return f;
}

}  // namespace schuss::coordinate
