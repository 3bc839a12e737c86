// Nonlinear conjugate gradients: p ← −g + βp. Deep Learning, section 8.6.2; Hager and Zhang, A survey of nonlinear
// conjugate gradient methods, 2006.
#pragma once

#include "schuss/minimize/gradient_descent.hpp"

namespace schuss::minimize {

template <class T>
class ConjugateGradient {
 public:
  static constexpr double kCurvature = 0.1;
  static constexpr bool kHessian = false;

  ConjugateGradient(Index n, const Options& options) : n_(n), options_(options) {}
  void set_options(const Options& options) { options_ = options; }

  bool begin(const Vector<T>& g, Vector<T>& p) {
    against(g, p, options_.threads);
    since_restart_ = 0;
    return false;
  }

  bool learn(const Step<T>& step, Vector<T>& p) {
    const Vector<T>&g0 = step.before.g, &g = step.after.g;
    const auto products = [&](Index at, auto& lanes) {
      const Block<T> now = g(at), before = g0(at), along = p(at);
      const Block<T> y = now - before;
      add_product(lanes.sum[0], now, now);
      add_product(lanes.sum[1], before, before);
      add_product(lanes.sum[2], now, before);
      add_product(lanes.sum[3], now, y);
      add_product(lanes.sum[4], y, y);
      add_product(lanes.sum[5], along, along);
    };
    const auto [gg, g0g0, gg0, gy, yy, pp] = pass<6, 0, T>(g.padded(), 3, options_.threads, products).sum;

    const Index every = options_.restart > 0 ? options_.restart : std::max<Index>(n_, kLeastRestart);
    const bool powell = std::abs(gg0) >= options_.powell * gg;
    if (++since_restart_ >= every || powell) return begin(g, p);

    const T b = static_cast<T>(beta(step, gg, g0g0, gy, yy, pp));
    const auto turn = [&, b](Index at, auto&) { p.set(at, b * p(at) - g(at)); };
    pass<0, 0, T>(g.padded(), 2, options_.threads, turn);
    return false;
  }

  bool forget() { return std::exchange(since_restart_, 0) > 0; }
  void visit(Visitor& visitor) { visitor.count("since_restart", since_restart_); }

 private:
  static constexpr Index kLeastRestart = 10;

  double beta(const Step<T>& step, double gg, double g0g0, double gy, double yy, double pp) const {
    const double py = step.slope_after - step.slope_before;
    switch (options_.beta) {
      case Beta::fr:  // Fletcher and Reeves 1964
        return gg / g0g0;
      case Beta::hs:  // Hestenes and Stiefel 1952
        return gy / py;
      case Beta::dy:  // Dai and Yuan 1999
        return gg / py;
      case Beta::hz:  // Hager and Zhang 2005, with the bound of 2013
        return std::max((gy - 2 * step.slope_after * yy / py) / py, 0.4 * step.slope_before / pp);
      default:  // Polak and Ribière 1969, and Powell's: never negative
        return std::max(0.0, gy / g0g0);
    }
  }

  Index n_;
  Options options_;
  Index since_restart_ = 0;
};

}  // namespace schuss::minimize
