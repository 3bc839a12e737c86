// The lasso and the elastic net by coordinate descent on a growing working set:
//
//   (1/2n)‖y − Xw − b‖² + α·ρ·‖w‖₁ + ½α(1 − ρ)‖w‖²
//
// A round looks at all columns once: it takes the certificate, leaves out for good what the gap proves to be zero
// (Ndiaye et al. 2017), and gives the columns that are nearest to entering (Massias, Gramfort and Salmon 2018) to the
// descent. The objective never rises.
#pragma once

#include "schuss/coordinate/certificate.hpp"
#include "schuss/coordinate/forms.hpp"
#include "schuss/coordinate/gram.hpp"

namespace schuss::coordinate {

struct Request {
  double alpha, l1_ratio;
  bool intercept;
  double tolerance;
  Index most;  // sweeps
  int threads;
};

enum class Status { converged = 0, iteration_limit = 1, precision_limit = 2, stopped = 99 };

// The state of a run in the units of the data; `relative` is the gap over the objective at zero.
struct Progress {
  Index sweeps;
  double objective, gap, relative, intercept;
};

template <class T>
class ElasticNet {
 public:
  ElasticNet(const Strided<T>& x, const Strided<T>& y, const Request& request)
      : request_(request),
        z_(x, request.intercept, request.threads),
        y_(y, request.intercept, 1),
        r_(z_.stride),
        v_(z_.count, 0),
        l1_(z_.count),
        l2_(z_.count),
        c_(z_.count),
        out_(z_.count, 0) {
    const double size = std::min(static_cast<double>(z_.rows) * request.alpha, std::numeric_limits<double>::max());
    for (Index j = 0; j < z_.count; ++j) {
      const int e = z_.units[j].exponent;
      l1_[j] = std::ldexp(size * request.l1_ratio, -unit() - e);
      l2_[j] = std::ldexp(size * (1 - request.l1_ratio), -2 * e);
      if (z_.square[j] > 0) candidates_.push_back(j);
    }
    uu_ = dot(u(), u(), z_.stride);
  }

  const Columns& columns() const { return z_; }
  const Columns& target() const { return y_; }

  // Begins at w; at zero where that is no worse, unless w is only to be looked at.
  void begin(const T* w) {
    for (const Index j : candidates_) v_[j] = std::ldexp(static_cast<double>(w[j]), z_.units[j].exponent - unit());
    residual(u(), z_.stride, v_.data(), z_.count, column(), r_.data(), request_.threads);
    const Coordinates all{z_.count, v_.data(), z_.square.data(), l1_.data(), l2_.data()};
    const double here = 0.5 * dot(r_.data(), r_.data(), z_.stride) + all.penalty();
    if (!std::isfinite(here) || (request_.most > 0 && here >= 0.5 * uu_)) v_.assign(z_.count, 0);
  }

  // watch(progress) sees each round, and stops the run by returning true; tick() is called after each sweep.
  template <class Watch, class Tick>
  Status run(T* coef, const Watch& watch, const Tick& tick) {
    double least = kInfinity, lowest = kInfinity;
    for (int idle = 0;;) {
      const Certificate now = look();
      write(coef);
      const Progress progress = in_units(now);
      if (watch(progress)) return Status::stopped;
      if (progress.relative <= request_.tolerance) return Status::converged;
      if (sweeps_ >= request_.most) return Status::iteration_limit;
      const bool better = now.gap < 0.9 * least || now.objective < lowest - 1e-13 * std::abs(lowest);
      idle = better ? 0 : idle + 1;
      if (idle > kPatience) return Status::precision_limit;
      least = std::min(least, now.gap);
      lowest = std::min(lowest, now.objective);
      screen(now);
      enlarge(now);
      improve(std::max(0.05 * now.safe, 0.15 * request_.tolerance * uu_), tick);
    }
  }

 private:
  static constexpr int kPatience = 6;
  static constexpr Index kAtOnce = 128;  // columns that are not worth a choice
  static constexpr Index kLargestGram = 1024;

  const double* u() const { return y_[0]; }
  int unit() const { return y_.units[0].exponent; }
  auto column() const {
    return [this](Index j) { return z_[j]; };
  }

  // ---- a round's look at all columns ----

  // Coordinates side by side.
  struct Chosen {
    std::vector<Index> ids;
    std::vector<double> v, square, l1, l2;

    void take(const ElasticNet& from) {
      const auto gather = [&](std::vector<double>& to, const std::vector<double>& values) {
        to.resize(ids.size());
        for (std::size_t k = 0; k < ids.size(); ++k) to[k] = values[ids[k]];
      };
      gather(v, from.v_);
      gather(square, from.z_.square);
      gather(l1, from.l1_);
      gather(l2, from.l2_);
    }
    Coordinates view() { return {std::ssize(ids), v.data(), square.data(), l1.data(), l2.data()}; }
  };

  Certificate look() {
    residual(u(), z_.stride, v_.data(), z_.count, column(), r_.data(), request_.threads);
    const auto task = [&](Index k) {
      for (Index i = k * 32; i < std::min<Index>((k + 1) * 32, std::ssize(candidates_)); ++i)
        c_[candidates_[i]] = dot(z_[candidates_[i]], r_.data(), z_.stride);
    };
    const Index count = std::ssize(candidates_);
    threads.team().run((count + 31) / 32, threads.helpers(count * z_.stride * 8, request_.threads), task);
    Chosen all{candidates_, {}, {}, {}, {}};
    all.take(*this);
    std::vector<double> c(count), out(count);
    for (Index k = 0; k < count; ++k) {
      const Index j = candidates_[k];
      const int e = unit() - z_.units[j].exponent;
      c[k] = c_[j];
      out[k] = out_[j] = std::ldexp(representable<T>(v_[j], e), -e);
    }
    Certificate made = certify(
        all.view(), c.data(), r_.data(), out.data(), uu_, z_.stride, [&](Index k) { return z_[candidates_[k]]; },
        request_.threads);
    if (request_.alpha == 0 && least_squares_ < made.safe) {
      made.gap += least_squares_ - made.safe;
      made.safe = least_squares_;
    }
    return made;
  }

  // How near to entering a column is: the distance of the dual point to its constraint.
  double distance(Index j, const Certificate& now) const {
    const double at = now.ridge ? std::abs(c_[j]) : now.scale * std::abs(c_[j] - l2_[j] * v_[j]);
    return (l1_[j] - at) / std::sqrt(z_.square[j] + l2_[j]);
  }

  void screen(const Certificate& now) {
    const double radius = (1 + 1e-9) * std::sqrt(2 * now.safe);
    std::erase_if(candidates_, [&](Index j) {
      const bool is_zero = v_[j] == 0 && distance(j, now) > radius;
      if (is_zero) l1_[j] = kInfinity;  // it may be in the working set
      return is_zero;
    });
  }

  // ---- the working set ----

  void enlarge(const Certificate& now) {
    std::vector<std::pair<double, Index>> outside;
    Index support = 0;
    member_.resize(z_.count);
    for (const Index j : candidates_) {
      support += v_[j] != 0;
      if (!member_[j]) outside.emplace_back(v_[j] != 0 ? -kInfinity : distance(j, now), j);
    }
    const auto wanted = static_cast<std::size_t>(std::max(kAtOnce, 2 * support) - (work_.ids.empty() ? 0 : support));
    if (wanted < outside.size() && request_.alpha * request_.l1_ratio > 0) {
      std::nth_element(outside.begin(), outside.begin() + wanted, outside.end());
      outside.resize(wanted);
    }
    std::vector<Index> added;
    for (const auto& entry : outside) added.push_back(entry.second);
    std::sort(added.begin(), added.end());
    for (const Index j : added) member_[j] = true;
    work_.ids.insert(work_.ids.end(), added.begin(), added.end());
    if (std::ssize(work_.ids) <= kLargestGram && !added.empty()) products_.add(z_, added, request_.threads);
  }

  template <class Tick>
  void improve(double target, const Tick& tick) {
    work_.take(*this);
    const Coordinates x = work_.view();
    const Index left = request_.most - sweeps_;
    if (x.count <= kLargestGram) {
      std::vector<double> q(products_.length(), 0);
      for (Index k = 0; k < x.count; ++k) q[k] = dot(z_[work_.ids[k]], r_.data(), z_.stride);
      Gram form(products_.data(), products_.stride(), products_.length(), q.data(), uu_, x);
      sweeps_ += descend(form, x, target, left, tick);
      if (request_.alpha == 0) least_squares_ = form.decrement(x, fresh(x).data());
    } else {
      std::vector<const double*> columns;
      for (const Index j : work_.ids) columns.push_back(z_[j]);
      Residual form(std::move(columns), z_.stride, r_.data());
      sweeps_ += descend(form, x, target, left, tick);
    }
    for (Index k = 0; k < x.count; ++k) v_[work_.ids[k]] = work_.v[k];
  }

  // Zᵀr of the working set, from v itself.
  std::vector<double> fresh(const Coordinates& x) {
    residual(u(), z_.stride, x.v, x.count, [&](Index k) { return z_[work_.ids[k]]; }, r_.data(), request_.threads);
    std::vector<double> c;
    for (const Index j : work_.ids) c.push_back(dot(z_[j], r_.data(), z_.stride));
    return c;
  }

  // ---- out ----

  void write(T* coef) const {
    for (Index j = 0; j < z_.count; ++j) coef[j] = static_cast<T>(std::ldexp(out_[j], unit() - z_.units[j].exponent));
  }

  // b in units of y, and what is lost by rounding it: the sum is carried out with twice the digits.
  std::pair<double, double> intercept() const {
    double high = 0, low = 0, small = 0;
    const auto add = [&](double term) {
      const double total = high + term, part = total - high;
      low += (high - (total - part)) + (term - part);
      high = total;
    };
    add(y_.units[0].first);
    add(y_.units[0].mean);
    small += std::abs(y_.units[0].mean);
    for (const Index j : candidates_) {
      if (out_[j] == 0) continue;
      const Units& units = z_.units[j];
      const double product = out_[j] * units.first;
      add(-product);
      add(-std::fma(out_[j], units.first, -product));
      add(-out_[j] * units.mean);
      small += std::abs(out_[j] * units.mean);
    }
    const double b = high + low;
    return {b, std::abs((high - b) + low) + 4 * kEpsilon * small};
  }

  Progress in_units(const Certificate& now) const {
    const double n = static_cast<double>(z_.rows), zero = 0.5 * uu_;
    double gap = now.gap, objective = now.objective, b = 0;
    if (request_.intercept) {
      const auto [value, lost] = intercept();
      b = std::ldexp(value, unit());
      gap += 0.5 * n * lost * lost;
    }
    const double relative = gap == 0 ? 0 : gap / zero;
    return {sweeps_, std::ldexp(objective / n, 2 * unit()), std::ldexp(gap / n, 2 * unit()), relative, b};
  }

  Request request_;
  Columns z_, y_;
  Buffer<double> r_;
  std::vector<double> v_, l1_, l2_, c_, out_;
  std::vector<bool> member_;
  std::vector<Index> candidates_;
  Chosen work_;
  Products products_;
  double uu_ = 0, least_squares_ = kInfinity;
  Index sweeps_ = 0;
};

}  // namespace schuss::coordinate
