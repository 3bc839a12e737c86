// Gradient descent with a line search: Cauchy 1847; Deep Learning, section 4.3.
#pragma once

#include "schuss/minimize/descent.hpp"

namespace schuss::minimize {

// p = −g
template <class T>
void against(const Vector<T>& g, Vector<T>& p, int threads) {
  const auto negate = [&](Index at, auto&) { p.set(at, -g(at)); };
  pass<0, 0, T>(g.padded(), 2, threads, negate);
}

template <class T>
class GradientDescent {
 public:
  static constexpr double kCurvature = 0.1;
  static constexpr bool kHessian = false;

  GradientDescent(Index, const Options& options) : options_(options) {}
  void set_options(const Options& options) { options_ = options; }

  bool begin(const Vector<T>& g, Vector<T>& p) {
    against(g, p, options_.threads);
    return false;
  }
  bool learn(const Step<T>& step, Vector<T>& p) { return begin(step.after.g, p); }
  bool forget() { return false; }
  void visit(Visitor&) {}

 private:
  Options options_;
};

}  // namespace schuss::minimize
