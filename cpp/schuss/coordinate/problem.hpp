// What coordinate descent minimises, seen from its coordinates:
//
//   ½‖u − Zv‖² + Σ λ_j|v_j| + ½Σ μ_j v_j²
//
// the lasso where μ = 0, ridge regression where λ = 0, sparse coding with atoms for columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "schuss/team.hpp"

namespace schuss::coordinate {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Coordinates {
  Index count;
  double* v;
  const double *square, *l1, *l2;  // ‖z_j‖², λ_j, μ_j

  double penalty(Index j, double value) const {
    return value == 0 ? 0 : l1[j] * std::abs(value) + 0.5 * l2[j] * value * value;
  }
  double penalty() const {
    double sum = 0;
    for (Index j = 0; j < count; ++j) sum += penalty(j, v[j]);
    return sum;
  }
};

// The soft threshold: what minimises ½(t − g)² + λ|t|. Not a number stays that.
inline double soft(double g, double l1) { return g > l1 ? g - l1 : g < -l1 ? g + l1 : g == g ? 0 : g; }

// The exact minimiser over v_j where `gradient` = z_jᵀ(u − Zv); Friedman, Hastie and Tibshirani 2010, equation 5. A
// column of zeros has nothing to say, so its penalty decides.
inline double minimiser(const Coordinates& x, Index j, double gradient) {
  const double a = x.square[j] + x.l2[j];
  return x.square[j] > 0 ? soft(gradient + x.square[j] * x.v[j], x.l1[j]) / a : 0;
}

// One pass over all coordinates, each set to its minimiser.
template <class Form>
void sweep(Form& form, const Coordinates& x) {
  for (Index j = 0; j < x.count; ++j) {
    const double next = minimiser(x, j, form.gradient(j)), by = next - x.v[j];
    if (by == 0) continue;
    x.v[j] = next;
    form.move(j, by);
  }
}

// ---- the duality gap ----

// A bound on the objective at v above its minimum, from the residual scaled by `scale`: Fercoq, Gramfort and Salmon
// 2015. `ridge` says that the dual point takes no part of the ridge's term.
struct Gap {
  double value = kInfinity, scale = 1;
  bool ridge = false;
};

// The gap of the lasso with rows √μ_j e_j below Z: the dual point is the residual, shrunk until it is feasible. Its
// terms are not negative each, so nothing cancels.
inline Gap gap_of_lasso(const Coordinates& x, const double* c, double rr, double slack) {
  Gap gap;
  double square = rr;
  for (Index j = 0; j < x.count; ++j) {
    const double d = std::abs(c[j] - x.l2[j] * x.v[j]) + slack * std::sqrt(x.square[j]);
    if (!(d <= x.l1[j])) gap.scale = d > x.l1[j] ? std::min(gap.scale, x.l1[j] / d) : d;  // d: not a number
    if (x.v[j] != 0) square += x.l2[j] * x.v[j] * x.v[j];
  }
  const double short_of = 1 - gap.scale;
  gap.value = 0.5 * short_of * short_of * square;
  for (Index j = 0; j < x.count; ++j)
    if (x.v[j] != 0) gap.value += x.l1[j] * std::abs(x.v[j]) - gap.scale * (c[j] - x.l2[j] * x.v[j]) * x.v[j];
  return gap;
}

// Where every μ_j > 0 the residual itself is feasible: the sum of what Fenchel and Young's inequality leaves over.
inline Gap gap_of_ridge(const Coordinates& x, const double* c, double slack) {
  Gap gap{0, 1, true};
  for (Index j = 0; j < x.count; ++j) {
    const double over = std::abs(c[j]) + slack * std::sqrt(x.square[j]) - x.l1[j];
    const double conjugate = over > 0 ? 0.5 * over * over / x.l2[j] : 0;
    gap.value += x.penalty(j, x.v[j]) + conjugate - c[j] * x.v[j];
  }
  return gap;
}

// The better of both; c = Zᵀr, rr = ‖r‖². Each c_j may be off by slack·‖z_j‖.
inline Gap duality_gap(const Coordinates& x, const double* c, double rr, double slack = 0) {
  const Gap lasso = gap_of_lasso(x, c, rr, slack);
  if (x.count == 0 || !(x.l2[0] > 0)) return lasso;
  const Gap ridge = gap_of_ridge(x, c, slack);
  return lasso.value <= ridge.value ? lasso : ridge;
}

}  // namespace schuss::coordinate
