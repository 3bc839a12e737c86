// L-BFGS: BFGS from the last m pairs (s, y). Nocedal 1980; Deep Learning, section 8.6.3.1.
//
// The two loops of the recursion run on coefficients: q and r are combinations of g and the pairs, whose inner
// products are kept in a Gram matrix. So the history is read once for its products with the new g and y and once for
// the new direction, where the loops on vectors read it, and a vector beside it, twice each.
#pragma once

#include <stdexcept>
#include <string>

#include "schuss/minimize/bfgs.hpp"

namespace schuss::minimize {

template <class T>
class Lbfgs {
 public:
  static constexpr double kCurvature = 0.9;
  static constexpr bool kHessian = false;

  // Without memory there is one pair, and the identity in the place of a scaled one: memoryless BFGS.
  Lbfgs(Index n, const Options& options)
      : options_(options), m_(std::max<Index>(options.memory, 1)), sy_(m_ * m_), yy_(m_ * m_), n_(n) {
    for (Index i = 0; i < m_; ++i) s_.emplace_back(0), ys_.emplace_back(0);
  }
  void set_options(const Options& options) { options_ = options; }

  bool begin(const Vector<T>& g, Vector<T>& p) {
    if (kept_ == 0) {
      against(g, p, options_.threads);
      return false;
    }
    products(g, g);
    combine(g, p);
    return true;
  }

  bool learn(const Step<T>& step, Vector<T>& p) {
    const Vector<T>& g = step.after.g;
    const Index slot = kept_ < m_ ? kept_ : oldest_;
    allocate(slot);
    // The new pair goes where it will stay, unless it is of no use: then the oldest one is lost with it.
    Vector<T>&s = s_[slot], &y = ys_[slot];
    const auto difference = [&](Index at, auto& lanes) {
      const Block<T> si = step.after.x(at) - step.before.x(at), yi = g(at) - step.before.g(at);
      s.set(at, si);
      y.set(at, yi);
      add_product(lanes.sum[0], si, yi);
      add_product(lanes.sum[1], yi, yi);
      add_product(lanes.sum[2], si, si);
    };
    const auto [sy, yy, ss] = pass<3, 0, T>(g.padded(), 6, options_.threads, difference).sum;
    if (kept_ < m_) {
      ++kept_;
    } else {
      oldest_ = (oldest_ + 1) % m_;
    }
    if (!is_convex<T>(sy, ss, yy)) {
      kept_ = 0, oldest_ = 0;
      return begin(g, p);
    }
    products(g, y);
    for (Index i = 0; i < kept_; ++i) {
      sy_[i * m_ + slot] = with_y_[2 * i];
      yy_[i * m_ + slot] = yy_[slot * m_ + i] = with_y_[2 * i + 1];
    }
    gamma_ = options_.memory == 0 ? 1 : sy / yy;
    combine(g, p);
    return true;
  }

  bool forget() {
    oldest_ = 0;
    return std::exchange(kept_, 0) > 0;
  }

  Index kept() const { return kept_; }

  void visit(Visitor& visitor) {
    visitor.count("kept", kept_);
    visitor.count("oldest", oldest_);
    visitor.number("gamma", gamma_);
    if (kept_ < 0 || kept_ > m_ || oldest_ < 0 || oldest_ >= m_)
      throw std::invalid_argument("state has " + std::to_string(kept_) + " pairs, expected at most " +
                                  std::to_string(m_) + ", the memory");
    if (oldest_ != 0 && kept_ < m_)
      throw std::invalid_argument("state has oldest " + std::to_string(oldest_) + " with " + std::to_string(kept_) +
                                  " pairs of " + std::to_string(m_) + ", expected 0 until all are there");
    if (kept_ == 0) return;
    visitor.array("sy", sy_.data(), std::ssize(sy_));
    visitor.array("yy", yy_.data(), std::ssize(yy_));
    for (Index i = 0; i < kept_; ++i) {
      allocate(i);
      const std::string number = std::to_string(i);
      visitor.vector(std::string("s").append(number), s_[i]);
      visitor.vector(std::string("y").append(number), ys_[i]);
    }
  }

 private:
  static constexpr int kAtOnce = 4;

  void allocate(Index slot) {
    if (s_[slot].size() != n_) s_[slot] = Vector<T>(n_), ys_[slot] = Vector<T>(n_);
  }

  // Slot of the k-th pair, the oldest first.
  Index slot(Index k) const { return (oldest_ + k) % m_; }

  // sᵢᵀg, yᵢᵀg into with_g_ and sᵢᵀy, yᵢᵀy into with_y_, for every pair, in one pass over the history.
  void products(const Vector<T>& g, const Vector<T>& y) {
    const Index chunks = std::max<Index>(1, (g.padded() + kChunk - 1) / kChunk), width = 4 * kept_;
    parts_.assign(chunks * width, 0);
    for_chunks(g.padded(), 2 * kept_ * sizeof(T), options_.threads, [&](Index begin, Index end, Index chunk) {
      for (Index i = 0; i < kept_; ++i) {
        double* const part = parts_.data() + chunk * width + 4 * i;
        pair_products(s_[i], ys_[i], g, y, begin, end, part);
      }
    });
    with_g_.assign(2 * kept_, 0);
    with_y_.assign(2 * kept_, 0);
    for (Index chunk = 0; chunk < chunks; ++chunk)
      for (Index i = 0; i < 2 * kept_; ++i) {
        with_g_[i] += parts_[chunk * width + 2 * i];
        with_y_[i] += parts_[chunk * width + 2 * i + 1];
      }
  }

  [[gnu::flatten]] static void pair_products(const Vector<T>& s, const Vector<T>& yi, const Vector<T>& g,
                                             const Vector<T>& y, Index begin, Index end, double* out) {
    Lane sg = Lane::Zero(), sy = Lane::Zero(), yg = Lane::Zero(), yy = Lane::Zero();
    for (Index at = begin; at < end; at += kBlock<T>) {
      const Block<T> si = s(at), y_old = yi(at), gi = g(at), y_new = y(at);
      add_product(sg, si, gi);
      add_product(sy, si, y_new);
      add_product(yg, y_old, gi);
      add_product(yy, y_old, y_new);
    }
    out[0] = total(sg);
    out[1] = total(sy);
    out[2] = total(yg);
    out[3] = total(yy);
  }

  // p = −Hg. In the end r = γg + Σ (cₛ)ᵢ sᵢ + (c_y)ᵢ yᵢ, and p = −r.
  void combine(const Vector<T>& g, Vector<T>& p) {
    std::vector<double> alpha(kept_), cs(kept_), cy(kept_);
    for (Index k = kept_ - 1; k >= 0; --k) {  // the first loop: q = g − Σ αⱼyⱼ
      const Index i = slot(k);
      double sq = with_g_[2 * i];
      for (Index l = k + 1; l < kept_; ++l) sq -= alpha[slot(l)] * sy_[i * m_ + slot(l)];
      alpha[i] = sq / sy_[i * m_ + i];
    }
    for (Index k = 0; k < kept_; ++k) {  // the second loop: r = γq + Σ (αⱼ − βⱼ)sⱼ
      const Index i = slot(k);
      double yr = with_g_[2 * i + 1];
      for (Index j = 0; j < kept_; ++j) yr -= alpha[j] * yy_[i * m_ + j];
      yr *= gamma_;
      for (Index l = 0; l < k; ++l) yr += cs[slot(l)] * sy_[slot(l) * m_ + i];
      cs[i] = alpha[i] - yr / sy_[i * m_ + i];
      cy[i] = -gamma_ * alpha[i];
    }
    for_chunks(g.padded(), (2 * kept_ + 2) * sizeof(T), options_.threads, [&](Index begin, Index end, Index) {
      constexpr Index kInL1 = 512;
      for (Index from = begin; from < end; from += kInL1)
        combine_part(g, cs.data(), cy.data(), p, from, std::min(from + kInL1, end));
    });
  }

  [[gnu::flatten]] void combine_part(const Vector<T>& g, const double* cs, const double* cy, Vector<T>& p, Index begin,
                                     Index end) const {
    const double gamma = gamma_;
    for (Index at = begin; at < end; at += kBlock<T>) p.set(at, -(gamma * g(at)));
    for (Index i = 0; i < kept_; ++i) {
      const Vector<T>&s = s_[i], &y = ys_[i];
      const double a = cs[i], b = cy[i];
      for (Index at = begin; at < end; at += kBlock<T>) p.set(at, p(at) - (a * s(at) + b * y(at)));
    }
  }

  Options options_;
  Index m_, kept_ = 0, oldest_ = 0;
  double gamma_ = 1;
  std::vector<Vector<T>> s_, ys_;
  std::vector<double> sy_, yy_;  // sᵢᵀyⱼ for pairs j no older than i; yᵢᵀyⱼ
  std::vector<double> with_g_, with_y_, parts_;
  Index n_;
};

}  // namespace schuss::minimize
