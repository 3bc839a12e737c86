// BFGS: Broyden, Fletcher, Goldfarb, Shanno 1970; Deep Learning, section 8.6.3; Nocedal and Wright, chapter 6.
#pragma once

#include "schuss/minimize/gradient_descent.hpp"
#include "schuss/minimize/symmetric.hpp"

namespace schuss::minimize {

// Whether a pair tells of positive curvature, as far as rounding and the range of numbers let one say.
template <class T>
bool is_convex(double sy, double ss, double yy) {
  const bool in_range = std::isfinite(1 / sy) && std::isfinite(sy / yy);
  return in_range && sy > std::numeric_limits<T>::epsilon() * std::sqrt(ss) * std::sqrt(yy);
}

// H is the inverse Hessian as far as it is known: first the identity, scaled by sᵀy/yᵀy of the first step.
//
// BFGS is slow to raise eigenvalues of H that are too small, and quick to lower those that are too large; so an H that
// falls short along y is scaled up by τ = sᵀy/yᵀHy before it is updated, and never down (Al-Baali 1998).
template <class T>
class Bfgs {
 public:
  static constexpr double kCurvature = 0.9;
  static constexpr bool kHessian = false;

  Bfgs(Index n, const Options& options) : options_(options), h_(n), q_(n), y_(n) {}
  void set_options(const Options& options) { options_ = options; }

  // p = −Hg; the identity has no scale.
  bool begin(const Vector<T>& g, Vector<T>& p) {
    if (!known_) {
      against(g, p, options_.threads);
      return false;
    }
    h_.multiply(g, q_, options_.threads);
    against(q_, p, options_.threads);
    return true;
  }

  // With q = Hg after the step and Hy = q + p, as p = −Hg before it, one product with H is enough:
  // w = s − τHy, u = ρw − ½ρ²(wᵀy)s, H ← τH + usᵀ + suᵀ.
  bool learn(const Step<T>& step, Vector<T>& p) {
    const Vector<T>& g = step.after.g;
    const int threads = options_.threads;
    known_ ? h_.multiply(g, q_, threads) : h_.drop_updates();
    Vector<T>&u = h_.next().u, &s = h_.next().s;
    const auto difference = [&](Index at, auto& lanes) {
      const Block<T> si = step.after.x(at) - step.before.x(at), yi = g(at) - step.before.g(at);
      s.set(at, si);
      y_.set(at, yi);
      add_product(lanes.sum[0], si, yi);
      add_product(lanes.sum[1], yi, yi);
      add_product(lanes.sum[2], si, si);
      add_product(lanes.sum[3], si, g(at));
    };
    const auto sums = pass<4, 0, T>(g.padded(), 6, threads, difference).sum;
    const double sy = sums[0], yy = sums[1], ss = sums[2], sg = sums[3];

    if (!is_convex<T>(sy, ss, yy)) {
      if (!known_) return begin(g, p);
      against(q_, p, threads);
      return true;
    }
    if (!known_) start(options_.scaling == Scaling::none ? 1 : sy / yy, g, p, step.before.g);

    const auto hy = [&](Index at) { return Block<T>(q_(at) + p(at)); };
    const auto curvature = [&](Index at, auto& lanes) { add_product(lanes.sum[0], y_(at), hy(at)); };
    const double yhy = pass<1, 0, T>(g.padded(), 3, threads, curvature).sum[0];
    const double tau = options_.scaling == Scaling::always && yhy > 0 ? std::max(1.0, sy / yhy) : 1;
    const double rho = 1 / sy, along = 0.5 * rho * (1 - tau * yhy * rho);
    const double scale = h_.scale *= tau;
    const auto new_u = [&](Index at, auto& lanes) {
      const Block<T> ui = ((rho - along) / scale) * s(at) - (rho * tau / scale) * hy(at);
      u.set(at, ui);
      add_product(lanes.sum[0], ui, g(at));
    };
    const double ug = scale * pass<1, 0, T>(g.padded(), 5, threads, new_u).sum[0];
    h_.add_next();

    const auto turn = [&](Index at, auto&) { p.set(at, -(tau * q_(at) + ((scale * sg) * u(at) + ug * s(at)))); };
    pass<0, 0, T>(g.padded(), 4, threads, turn);
    return true;
  }

  bool forget() { return std::exchange(known_, false); }

  // What was known last, although it may have been of no use.
  void inverse_hessian(T* full) {
    if (h_.empty()) h_.set_identity(1);
    h_.write(full);
  }
  void set_inverse_hessian(const T* full) {
    h_.read(full);
    known_ = true;
  }

  void visit(Visitor& visitor) {
    bool held = !h_.empty();
    visitor.flag("known", known_);
    visitor.flag("held", held);
    if (held) h_.visit(visitor);
  }

 private:
  // H = γI, q = Hg and p = −Hg of before, though the step was taken along −g.
  void start(double gamma, const Vector<T>& g, Vector<T>& p, const Vector<T>& before) {
    h_.set_identity(1);
    h_.scale = gamma;
    known_ = true;
    const auto scaled = [&](Index at, auto&) {
      q_.set(at, gamma * g(at));
      p.set(at, -(gamma * before(at)));
    };
    pass<0, 0, T>(g.padded(), 4, options_.threads, scaled);
  }

  Options options_;
  Symmetric<T> h_;
  Vector<T> q_, y_;
  bool known_ = false;
};

}  // namespace schuss::minimize
