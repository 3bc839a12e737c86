// The search along a direction: the objective there is made of parabolas that meet where signs change.
#pragma once

#include <utility>

#include "schuss/coordinate/columns.hpp"

namespace schuss::coordinate {

using Kinks = std::vector<std::pair<double, double>>;

// The exact step along d: the t ≥ 0 that minimises ½κt² − σt + Σ λ_j|v_j + t·d_j|, where κ and σ are the curvature and
// the slope of all that is smooth. The slope jumps up at each change of a sign.
inline double step_along(const Coordinates& x, const double* d, double curvature, double slope, Kinks& kinks) {
  kinks.clear();
  double rise = -slope, at = 0;
  for (Index j = 0; j < x.count; ++j) {
    if (d[j] == 0) continue;
    rise += x.l1[j] * (x.v[j] > 0 ? d[j] : x.v[j] < 0 ? -d[j] : std::abs(d[j]));
    if (x.v[j] * d[j] < 0) kinks.emplace_back(-x.v[j] / d[j], 2 * x.l1[j] * std::abs(d[j]));
  }
  if (!(rise < 0)) return 0;
  std::sort(kinks.begin(), kinks.end());
  for (const auto& [t, bend] : kinks) {
    const double there = rise + curvature * (t - at);
    if (there >= 0) break;
    rise = there + bend;
    at = t;
    if (rise >= 0) return at;
  }
  return curvature > 0 ? at - rise / curvature : at;
}

// How much steeper than flat the objective falls along coordinate j, which is not zero: minus its derivative.
inline double descent(const Coordinates& x, Index j, double gradient) {
  return gradient - x.l2[j] * x.v[j] - std::copysign(x.l1[j], x.v[j]);
}

inline Index support_of(const Coordinates& x) {
  return std::count_if(x.v, x.v + x.count, [](double v) { return v != 0; });
}

class Search {
 public:
  std::vector<double> direction;

  // The support; the direction becomes zero.
  const std::vector<Index>& look(const Coordinates& x) {
    direction.assign(x.count, 0);
    support_.clear();
    for (Index j = 0; j < x.count; ++j)
      if (x.v[j] != 0) support_.push_back(j);
    return support_;
  }

  // Takes the better of two ways: straight to the minimum along the direction, or, where signs change before its end,
  // to its end with zero in the place of what would change its sign. Returns whether signs would have changed.
  template <class Form>
  bool follow(Form& form, const Coordinates& x) {
    form.image(x, direction.data(), image_);
    double curvature = form.curvature(x, direction.data(), image_.data());
    double slope = form.slope(x, direction.data(), image_.data());
    for (const Index j : support_) {
      curvature += x.l2[j] * direction[j] * direction[j];
      slope -= x.l2[j] * x.v[j] * direction[j];
    }
    const double t = step_along(x, direction.data(), curvature, slope, kinks_);
    if (!(t > 0) || !std::isfinite(t)) return false;
    const bool changes = !kinks_.empty() && kinks_.front().first <= 1;
    if (changes && projected_is_better(form, x, t)) return true;
    for (const Index j : support_) x.v[j] = after(x, j, t);
    form.follow(image_.data(), t);
    return changes;
  }

 private:
  // v_j after a step of t, with an exact zero where the step ends in one.
  double after(const Coordinates& x, Index j, double t) const {
    const double d = direction[j];
    return x.v[j] * d < 0 && t == -x.v[j] / d ? 0 : x.v[j] + t * d;
  }

  template <class Form>
  bool projected_is_better(Form& form, const Coordinates& x, double t) {
    by_.assign(x.count, 0);
    double penalties = 0;
    for (const Index j : support_) {
      const double end = x.v[j] + direction[j];
      by_[j] = end * x.v[j] > 0 ? direction[j] : -x.v[j];
      penalties += x.penalty(j, x.v[j] + by_[j]) - x.penalty(j, after(x, j, t));
    }
    form.image(x, by_.data(), other_);
    const double projected =
        0.5 * form.curvature(x, by_.data(), other_.data()) - form.slope(x, by_.data(), other_.data());
    const double straight = 0.5 * t * t * form.curvature(x, direction.data(), image_.data()) -
                            t * form.slope(x, direction.data(), image_.data());
    if (!(projected - straight + penalties < 0)) return false;
    for (const Index j : support_) x.v[j] += by_[j];
    form.follow(other_.data(), 1);
    return true;
  }

  std::vector<Index> support_;
  std::vector<double> image_, by_, other_;
  Kinks kinks_;
};

}  // namespace schuss::coordinate
