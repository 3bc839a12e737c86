// Line searches: along a direction of descent, φ(α) = f(x + αp), to a step that is good enough to go on from.
//
// A line search is a coroutine that awaits `line.at(α)`. What comes back has φ and φ′; where f cannot resolve the
// difference φ(α) − φ(0) any more, the line puts α(φ′(0) + φ′(α))/2 in its place. With that value the sufficient
// decrease test of the Wolfe conditions is Hager and Zhang's approximate one, φ′(α) ≤ (2μ − 1)φ′(0), so every search
// here goes on working at the noise floor of f.
//
// A trial where f or its gradient is not finite bounds the step from above: the search contracts towards the best step
// so far and never interpolates with such a value.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "schuss/minimize/coroutine.hpp"

namespace schuss::minimize {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// φ and φ′ at a step.
struct Sample {
  double step = 0, f = 0, slope = 0;
  bool finite = true;
  bool moved = true;  // false where x + αp is x itself
};

struct Wolfe {
  double decrease = 1e-4;  // μ: φ(α) ≤ φ(0) + μαφ′(0)
  double curvature = 0.9;  // η: |φ′(α)| ≤ η|φ′(0)|
  int trials = 60;         // at most
};

// How a search ended. All but `wolfe` leave the best step so far to the caller.
enum class Ending { wolfe, bound, rounding, trials, nonfinite };

struct Found {
  Ending ending = Ending::rounding;
  double step = 0;
};

// ---- the pieces of Moré and Thuente's search ----

// The minimizer of the cubic through two samples with their slopes, as a step; `from` is the better one.
inline double cubic_step(const Sample& from, const Sample& to) {
  const double theta = 3 * (from.f - to.f) / (to.step - from.step) + from.slope + to.slope;
  const double scale = std::max({std::abs(theta), std::abs(from.slope), std::abs(to.slope)});
  const double square = (theta / scale) * (theta / scale) - (from.slope / scale) * (to.slope / scale);
  double gamma = scale * std::sqrt(std::max(0.0, square));
  if (to.step < from.step) gamma = -gamma;
  const double r = (gamma - from.slope + theta) / (gamma - from.slope + gamma + to.slope);
  return from.step + r * (to.step - from.step);
}

// The minimizer of the parabola through two values and the slope at `from`.
inline double parabola_step(const Sample& from, const Sample& to) {
  const double width = to.step - from.step;
  return from.step + from.slope / ((from.f - to.f) / width + from.slope) / 2 * width;
}

// Where the line through two slopes is zero.
inline double secant_step(const Sample& from, const Sample& to) {
  return to.step + to.slope / (to.slope - from.slope) * (from.step - to.step);
}

// The interval that holds a minimizer: `best` has the lowest value, `other` is the other end once there is one.
struct Bracket {
  Sample best, other;
  bool closed = false;

  double low() const { return std::min(best.step, other.step); }
  double high() const { return std::max(best.step, other.step); }
  double width() const { return high() - low(); }
  double between(double part) const { return best.step + part * (other.step - best.step); }

  // The next trial after `now` (Moré and Thuente 1994, section 4, cases 1 to 4), and the interval that it leaves.
  // Before the bracket is closed, trials stay between `least` and `most`.
  double next(const Sample& now, double least, double most) {
    double trial;
    if (now.f > best.f) {  // 1: a higher value
      const double cubic = cubic_step(best, now), parabola = parabola_step(best, now);
      trial = std::abs(cubic - best.step) < std::abs(parabola - best.step) ? cubic : cubic + (parabola - cubic) / 2;
      closed = true;
    } else if (now.slope * std::copysign(1.0, best.slope) < 0) {  // 2: a slope of the other sign
      const double cubic = cubic_step(now, best), secant = secant_step(best, now);
      trial = std::abs(cubic - now.step) > std::abs(secant - now.step) ? cubic : secant;
      closed = true;
    } else if (std::abs(now.slope) < std::abs(best.slope)) {  // 3: the same sign, less steep
      trial = less_steep(now, least, most);
    } else if (closed) {  // 4: the same sign, as steep
      trial = cubic_step(now, other);
    } else {
      trial = now.step > best.step ? most : least;
    }
    keep(now);
    return trial;
  }

 private:
  double less_steep(const Sample& now, double least, double most) const {
    const double theta = 3 * (best.f - now.f) / (now.step - best.step) + best.slope + now.slope;
    const double scale = std::max({std::abs(theta), std::abs(best.slope), std::abs(now.slope)});
    const double square = (theta / scale) * (theta / scale) - (best.slope / scale) * (now.slope / scale);
    double gamma = scale * std::sqrt(std::max(0.0, square));
    if (now.step > best.step) gamma = -gamma;
    const double r = (gamma - now.slope + theta) / (gamma + (best.slope - now.slope) + gamma);
    double cubic = now.step > best.step ? most : least;  // the cubic has no minimizer beyond `now`
    if (r < 0 && gamma != 0) cubic = now.step + r * (best.step - now.step);
    const double secant = secant_step(best, now);
    const bool cubic_is_nearer = std::abs(cubic - now.step) < std::abs(secant - now.step);
    if (!closed) return std::clamp(cubic_is_nearer ? secant : cubic, least, most);
    const double trial = cubic_is_nearer ? cubic : secant, limit = now.step + 0.66 * (other.step - now.step);
    return now.step > best.step ? std::min(limit, trial) : std::max(limit, trial);
  }

  void keep(const Sample& now) {
    if (now.f > best.f) {
      other = now;
    } else {
      if (now.slope * std::copysign(1.0, best.slope) < 0) other = best;
      best = now;
    }
  }
};

// Steps at and beyond `limit` are known not to be finite.
struct Barrier {
  double limit = kInfinity;

  // After a trial that is not finite: the next one.
  double contract(double best, double trial) {
    limit = trial;
    return best > 0 ? best + (trial - best) / 2 : trial / 10;
  }
  double keep_below(double best, double trial) const { return trial < limit ? trial : best + (limit - best) / 2; }
  // Nothing is to be gained between the best step and the barrier.
  bool is_close_to(double best) const { return best > 0 && limit < 1.25 * best; }
};

// ---- the searches ----

// To a step with the strong Wolfe conditions: Moré and Thuente, Line search algorithms with guaranteed sufficient
// decrease, 1994.
template <class Line>
Task<Found> more_thuente(Line& line, Sample zero, double first, Wolfe wolfe) {
  const double expected = wolfe.decrease * zero.slope;  // ψ(α) = φ(α) − φ(0) − μφ′(0)α, their auxiliary function
  const auto auxiliary = [&](Sample s) { return Sample{s.step, s.f - s.step * expected, s.slope - expected}; };
  constexpr double kRelativeWidth = 1e-14, kShrink = 0.66, kLeastStretch = 1.1, kMostStretch = 4;

  Bracket bracket{zero, zero};
  Barrier barrier;
  bool first_stage = true;
  double step = first, least = 0, most = first + kMostStretch * first;
  double width = kInfinity, width_before = kInfinity;
  for (int trial = 0; trial < wolfe.trials; ++trial) {
    const Sample now = co_await line.at(step);
    if (!now.moved) co_return Found{Ending::rounding, step};
    if (!now.finite) {
      step = barrier.contract(bracket.best.step, step);
      if (barrier.is_close_to(bracket.best.step)) co_return Found{Ending::nonfinite, bracket.best.step};
      continue;
    }
    const bool decreased = now.f <= zero.f + step * expected;
    if (decreased && std::abs(now.slope) <= -wolfe.curvature * zero.slope) co_return Found{Ending::wolfe, step};
    if (decreased && barrier.is_close_to(step)) co_return Found{Ending::bound, step};
    if (bracket.closed && (step <= least || step >= most || most - least <= kRelativeWidth * most))
      co_return Found{Ending::rounding, step};

    if (decreased && now.slope >= 0) first_stage = false;
    if (first_stage && !decreased && now.f <= bracket.best.f) {
      Bracket of_auxiliary{auxiliary(bracket.best), auxiliary(bracket.other), bracket.closed};
      step = of_auxiliary.next(auxiliary(now), least, most);
      const auto original = [&](const Sample& s) {
        return Sample{s.step, s.f + s.step * expected, s.slope + expected};
      };
      bracket = {original(of_auxiliary.best), original(of_auxiliary.other), of_auxiliary.closed};
    } else {
      step = bracket.next(now, least, most);
    }

    if (bracket.closed) {
      if (bracket.width() >= kShrink * width_before) step = bracket.between(0.5);
      width_before = width;
      width = bracket.width();
      least = bracket.low();
      most = bracket.high();
      if (!(step > least && step < most)) step = bracket.between(0.01);
      if (!(step > least && step < most)) co_return Found{Ending::rounding, step};
    } else {
      least = step + kLeastStretch * (step - bracket.best.step);
      most = step + kMostStretch * (step - bracket.best.step);
      step = barrier.keep_below(bracket.best.step, step);
    }
  }
  co_return Found{Ending::trials, bracket.best.step};
}

// Backwards from the first step until f has decreased enough, each time to the minimizer of the parabola through what
// is known.
template <class Line>
Task<Found> backtracking(Line& line, Sample zero, double first, Wolfe wolfe) {
  double step = first;
  for (int trial = 0; trial < wolfe.trials; ++trial) {
    const Sample now = co_await line.at(step);
    if (!now.moved) break;
    if (now.finite && now.f <= zero.f + wolfe.decrease * step * zero.slope) co_return Found{Ending::wolfe, step};
    step = now.finite ? std::clamp(parabola_step(zero, now), 0.1 * step, 0.5 * step) : 0.1 * step;
  }
  co_return Found{Ending::rounding, step};
}

// Exact for quadratics: the slopes of the first trial and of zero give the minimizer, which a second trial confirms.
// Anything else than a quadratic is left to Moré and Thuente.
template <class Line>
Task<Found> exact(Line& line, Sample zero, double first, Wolfe wolfe) {
  const Sample now = co_await line.at(first);
  if (now.finite && now.moved && now.slope > zero.slope) {
    const double step = secant_step(zero, now);
    if (step == first) co_return Found{Ending::wolfe, first};
    const Sample then = co_await line.at(step);
    if (then.finite && then.f <= zero.f + wolfe.decrease * step * zero.slope &&
        std::abs(then.slope) <= -wolfe.curvature * zero.slope)
      co_return Found{Ending::wolfe, step};
  }
  co_return co_await more_thuente(line, zero, first, wolfe);
}

}  // namespace schuss::minimize
