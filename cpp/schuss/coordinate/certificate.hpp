// What a solution is worth: its duality gap, with all that rounding may have hidden.
#pragma once

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

struct Certificate {
  double objective = kInfinity;  // at the rounded solution
  double gap = kInfinity;        // a bound on it above the minimum
  double safe = kInfinity;       // the same for the solution before it was rounded to the data's format
  double scale = 1;              // of the residual in the dual point
  bool ridge = false;
};

// How far a computed gap may be from the gap, by the usual bounds for sums of n products. r is off by at most δ; the
// gap's formula meets that error with the factor 1 − scale only.
inline double rounding(const Coordinates& x, const Gap& gap, double uu, double rr, Index n) {
  double size = std::sqrt(uu), sizes = 0, penalties = 0;
  Index support = 0;
  for (Index j = 0; j < x.count; ++j) {
    if (x.v[j] == 0) continue;
    sizes += std::abs(x.v[j]) * std::sqrt(x.square[j]);
    penalties += x.penalty(j, x.v[j]);
    ++support;
  }
  if (support == 0) return 0;
  const double delta = kEpsilon * static_cast<double>(support + 4) * (size + sizes), r = std::sqrt(rr);
  const double depth = kEpsilon * static_cast<double>(n / 32 + 8);
  return (1 - gap.scale) * r * delta + 0.5 * delta * delta + depth * sizes * r + 4 * kEpsilon * penalties;
}

// Each c_j may be off by so much of ‖z_j‖.
inline double slack(double rr, Index n) { return kEpsilon * static_cast<double>(n / 32 + 8) * std::sqrt(rr); }

// What the objective at `out` is above that at v, with c = Zᵀr at v: ½‖Z(out − v)‖² and first-order terms.
template <class ColumnOf>
double rounding_cost(const Coordinates& x, const double* c, const double* out, const ColumnOf& column, Index n,
                     int max_threads) {
  std::vector<double> by(x.count), zero, change;
  double cost = 0;
  bool any = false;
  for (Index j = 0; j < x.count; ++j) {
    by[j] = x.v[j] - out[j];
    if (by[j] == 0) continue;
    any = true;
    cost += x.penalty(j, out[j]) - x.penalty(j, x.v[j]) + c[j] * by[j];
  }
  if (!any) return 0;
  zero.assign(n, 0);
  change.resize(n);
  residual(zero.data(), n, by.data(), x.count, column, change.data(), max_threads);
  return cost + 0.5 * dot(change.data(), change.data(), n);
}

// The certificate of v, rounded to `out`, from a fresh residual r and c = Zᵀr.
template <class ColumnOf>
Certificate certify(const Coordinates& x, const double* c, const double* r, const double* out, double uu, Index n,
                    const ColumnOf& column, int max_threads) {
  const double rr = dot(r, r, n);
  const Gap gap = duality_gap(x, c, rr, slack(rr, n));
  const double cost = rounding_cost(x, c, out, column, n, max_threads);
  Certificate made;
  made.safe = std::max(gap.value, 0.0) + rounding(x, gap, uu, rr, n);
  made.gap = made.safe + std::max(cost, 0.0);
  made.objective = 0.5 * rr + x.penalty() + cost;
  made.scale = gap.scale;
  made.ridge = gap.ridge;
  if (!std::isfinite(gap.value) || !std::isfinite(cost)) made.gap = made.safe = kInfinity;
  return made;
}

// A value as the data's format has it, in units of 2^exponent; the format's largest number where it is beyond that.
template <class T>
double representable(double v, int exponent) {
  const double value = std::ldexp(v, exponent), most = std::numeric_limits<T>::max();
  return static_cast<T>(std::clamp(value, -most, most));
}

}  // namespace schuss::coordinate
