// The descent that all methods share: a direction, a line search along it, a lesson from the step. Deep Learning,
// chapter 8.6, and Nocedal and Wright, Numerical Optimization, chapter 3.
//
// It is a coroutine. Where it needs the objective it is suspended, and whoever drives it (a Python function, a trainer
// that owns the loop, a compiled objective) tells it the values. A method is a struct with
//   kCurvature, kHessian     its Wolfe constant; whether it wants the Hessian at each iterate
//   Method(n, options)
//   begin(g, p)              the first direction, and whenever nothing is known; returns whether p has a natural length
//   learn(step, p)           what it takes from an accepted step, and the next direction; likewise
//   forget()                 drop what was learned; false if there is nothing
//   visit(visitor)           its memory, by name, for saving
#pragma once

#include <chrono>

#include "schuss/minimize/solver.hpp"

namespace schuss::minimize {

template <class T>
struct Iterate {
  Vector<T> x, g;
  double f = kInfinity, norm = kInfinity;

  explicit Iterate(Index n = 0) : x(n), g(n) {}

  void copy(const Iterate& other) {
    x.copy(other.x);
    g.copy(other.g);
    f = other.f;
    norm = other.norm;
  }
};

// An accepted step, as a method learns from it.
template <class T>
struct Step {
  const Iterate<T>& before;
  const Iterate<T>& after;
  double alpha;
  double slope_before, slope_after;  // pᵀg at both ends
};

template <class T, template <class> class Method>
class Descent final : public Solver {
 public:
  Descent(const T* x0, Index n, const Options& options)
      : n_(n), options_(options), method_(n, options_), slots_{Iterate<T>(n), Iterate<T>(n), Iterate<T>(n)}, p_(n) {
    slots_[0].x.read(x0);
    restart();
  }
  Descent(const Descent&) = delete;

  void restart() override {
    now_ = 0, trial_ = 1, best_ = kNone;
    status_ = Status::running;
    began_ = std::chrono::steady_clock::now();
    main_ = run();
    suspended_ = main_.handle();
    resume();
  }

  // ---- ask and tell ----

  Wants wants() const override { return status_ != Status::running ? Wants::nothing : wants_; }
  const void* asked() const override { return target_->x.data(); }

  void tell(double f, const void* g) override {
    told_f_ = f;
    told_g_ = static_cast<const T*>(g);
    ++evaluations_;
    resume();
  }

  void tell_hessian(const void* h) override {
    told_g_ = static_cast<const T*>(h);
    ++hessians_;
    resume();
  }

  void stop(Status status) override { status_ = status; }

  // ---- what there is to know ----

  Status status() const override { return status_; }
  Index size() const override { return n_; }
  Index iterations() const override { return iterations_; }
  Index evaluations() const override { return evaluations_; }
  Index hessians() const override { return hessians_; }

  Point iterate() const override { return point(slots_[now_]); }
  Point best() const override {
    const Iterate<T>* lowest = &slots_[now_];
    if (status_ == Status::converged) return point(*lowest);
    if (best_ != kNone && !(slots_[best_].f >= lowest->f)) lowest = &slots_[best_];
    if (record_.f < lowest->f) lowest = &record_;
    return point(*lowest);
  }

  void set_limits(const Options& options) override {
    options_ = options;
    method_.set_options(options_);
  }

  bool inverse_hessian(void* full) override {
    if constexpr (requires { method_.inverse_hessian(static_cast<T*>(full)); }) {
      method_.inverse_hessian(static_cast<T*>(full));
      return true;
    }
    return false;
  }
  void set_inverse_hessian(const void* full) override {
    if constexpr (requires { method_.set_inverse_hessian(static_cast<const T*>(full)); })
      method_.set_inverse_hessian(static_cast<const T*>(full));
  }

  void visit(Visitor& visitor) override {
    Iterate<T>& now = slots_[now_];
    visitor.count("iterations", iterations_);
    visitor.count("evaluations", evaluations_at_start_);
    visitor.count("hessians", hessians_);
    visitor.flag("begun", begun_);
    visitor.flag("directed", directed_);
    visitor.flag("natural", natural_);
    visitor.vector("x", now.x);
    visitor.vector("g", now.g);
    visitor.number("f", now.f);
    visitor.number("norm", now.norm);
    visitor.vector("p", p_);
    visitor.number("slope", slope_);
    visitor.number("slope_before", slope_before_);
    visitor.number("alpha", alpha_);
    visitor.number("lowest_norm", lowest_norm_);
    visitor.number("lowest_f", lowest_f_);
    visitor.count("quiet", quiet_);
    visitor.number("record_f", record_.f);
    visitor.number("record_norm", record_.norm);
    if (record_.f < kInfinity) {
      if (record_.x.size() != n_) record_.x = Vector<T>(n_), record_.g = Vector<T>(n_);
      visitor.vector("record_x", record_.x);
      visitor.vector("record_g", record_.g);
    }
    method_.visit(visitor);
    evaluations_ = std::max(evaluations_, evaluations_at_start_);
  }

  // ---- the line, as a search sees it ----

  struct Probe {
    Descent& d;
    double step;
    bool await_ready() { return !d.place(step); }
    void await_suspend(std::coroutine_handle<> handle) { d.suspended_ = handle; }
    Sample await_resume() { return d.observe(step); }
  };
  Probe at(double step) { return {*this, step}; }

 private:
  static constexpr int kNone = -1;
  static constexpr Index kQuiet = 30;  // iterations without progress after which there will be none

  // Differences of f that are less than this part of it are decided by slopes.
  static inline const double kResolution = std::pow(std::numeric_limits<T>::epsilon(), 0.75);

  struct Suspend {
    Descent& d;
    Wants wants;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) const {
      d.wants_ = wants;
      d.suspended_ = handle;
    }
    const T* await_resume() const {
      d.wants_ = Wants::gradient;
      return d.told_g_;
    }
  };

  void resume() {
    std::exchange(suspended_, nullptr).resume();
    if (main_.handle().done()) status_ = status_ == Status::running ? main_.result() : status_;
    if (status_ != Status::running) return;
    if (evaluations_ >= options_.max_evaluations) status_ = Status::evaluation_limit;
    if (options_.max_seconds < kInfinity && seconds() >= options_.max_seconds) status_ = Status::time_limit;
  }

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

  // ---- the algorithm ----

  Task<Status> run() {
    if (!begun_) {
      target_ = &slots_[now_];
      slots_[now_].g.read(co_await Suspend{*this, Wants::gradient});
      if (!begin()) co_return Status::nonfinite;
    }
    for (;;) {
      if (slots_[now_].norm <= options_.gtol) co_return Status::converged;
      if (iterations_ >= options_.max_iterations) co_return Status::iteration_limit;
      if (quiet_ >= kQuiet) co_return Status::precision_limit;
      evaluations_at_start_ = evaluations_;
      if (!directed_) {
        if constexpr (Method<T>::kHessian) {
          target_ = &slots_[now_];
          method_.take_hessian(co_await Suspend{*this, Wants::hessian});
        }
        direct();
      }
      const double first = first_step();
      Found found = co_await search(first);
      const bool accepted = found.ending == Ending::wolfe || has_decreased();
      if (!accepted) {
        if (!method_.forget()) co_return why_not(found.ending, first);
        directed_ = false;
        continue;
      }
      const bool small = accept(found);
      if (small) co_return Status::converged;
    }
  }

  // Takes what was told of x₀.
  bool begin() {
    Iterate<T>& now = slots_[now_];
    now.f = told_f_;
    now.norm = norm(now.g);
    const bool finite = std::isfinite(now.f) && all_finite(now.g, options_.threads);
    if (!finite) now.norm = kInfinity;
    begun_ = finite;
    evaluations_at_start_ = evaluations_;
    return finite;
  }

  void direct() {
    const Vector<T>& g = slots_[now_].g;
    do {
      natural_ = method_.begin(g, p_);
      slope_ = slope_along_p(g);
    } while (!(slope_ < 0) && method_.forget());
    directed_ = true;
    slope_before_ = 0;
  }

  // pᵀg. Where that is beyond double, p is brought to magnitudes of about 1 first.
  double slope_along_p(const Vector<T>& g) {
    const double slope = dot(g, p_, options_.threads);
    if (slope != -kInfinity) return slope;
    const T scale = static_cast<T>(std::ldexp(1.0, -std::ilogb(largest(p_, options_.threads))));
    const auto shorten = [&, scale](Index at, auto&) { p_.set(at, scale * p_(at)); };
    pass<0, 0, T>(p_.padded(), 2, options_.threads, shorten);
    natural_ = false;
    return dot(g, p_, options_.threads);
  }

  Task<Found> search(double first) {
    const double curvature = options_.curvature > 0 ? options_.curvature : Method<T>::kCurvature;
    const Wolfe wolfe{options_.decrease, curvature};
    const Sample zero{0, slots_[now_].f, slope_};
    best_ = kNone;
    alpha_of_best_ = 0;
    switch (options_.search) {
      case Search::backtracking:
        return backtracking(*this, zero, first, wolfe);
      case Search::exact:
        return exact(*this, zero, first, wolfe);
      default:
        return more_thuente(*this, zero, first, wolfe);
    }
  }

  // The first trial: 1 where the direction has a natural length, the length that promises the last decrease again
  // where there was one, and else a small part of x, or of what f and g say where x is zero.
  double first_step() const {
    if (natural_) return 1;
    const Iterate<T>& now = slots_[now_];
    if (slope_before_ < 0) return std::min(alpha_ * slope_before_ / slope_, 10 * alpha_);
    if (options_.first_step > 0) return options_.first_step;
    const double scale = largest(now.x, options_.threads), steepest = largest(p_, options_.threads);
    const double by_f = now.f != 0 ? 2 * std::abs(now.f / slope_) : kInfinity;
    const double by_x = scale > 0 ? scale / steepest : by_f < kInfinity ? by_f : 1 / steepest;
    return std::min(by_x, by_f);
  }

  // x + αp, in the slot that does not hold the best point of this search; false if that is x.
  bool place(double step) {
    trial_ = best_ == kNone ? (now_ + 1) % 3 : 3 - now_ - best_;
    target_ = &slots_[trial_];
    const T alpha = static_cast<T>(step);
    const Vector<T>& x = slots_[now_].x;
    Vector<T>& to = target_->x;
    const auto move = [&, alpha](Index at, auto& lanes) {
      const Block<T> from = x(at), there = from + alpha * p_(at);
      to.set(at, there);
      take_largest(lanes.largest[0], Block<T>(there - from));
    };
    moved_ = pass<0, 1, T>(x.padded(), 3, options_.threads, move).largest[0];
    return moved_ != 0;
  }

  // What was told of x + αp.
  Sample observe(double step) {
    if (moved_ == 0) return {step, slots_[now_].f, slope_, true, false};
    Iterate<T>& at_trial = *target_;
    Vector<T>& g = at_trial.g;
    const auto look = [&, told = told_g_](Index at, auto& lanes) {
      const Index rest = n_ - at;
      const Block<T> block =
          rest >= kBlock<T> ? Plain<T>::load(told + at) : Plain<T>::load(told + at, static_cast<int>(rest));
      g.set(at, block);
      add_product(lanes.sum[0], block, p_(at));
      take_largest(lanes.largest[0], block);
    };
    const auto seen = pass<1, 1, T>(g.padded(), 3, options_.threads, look);
    const double f = told_f_, slope = seen.sum[0], f0 = slots_[now_].f;
    at_trial.f = f;
    at_trial.norm = seen.largest[0];
    if (!std::isfinite(f) || !std::isfinite(slope)) return {step, f, slope, false};
    slope_of_trial_ = slope;
    if (best_ == kNone || f < slots_[best_].f) {
      best_ = trial_;
      alpha_of_best_ = step;
      slope_of_best_ = slope;
    }
    const bool resolved = std::abs(f - f0) > kResolution * std::max(std::abs(f0), std::abs(f));
    return {step, resolved ? f : f0 + step * (slope_ + slope) / 2, slope};
  }

  bool has_decreased() const { return best_ != kNone && slots_[best_].f < slots_[now_].f; }

  // Whether the step is so small in x or in f that the descent is over.
  bool is_small(const Iterate<T>& before, const Iterate<T>& after, double alpha) const {
    const double size = std::max(std::abs(before.f), std::abs(after.f));
    if (options_.ftol > 0 && before.f - after.f <= options_.ftol * size) return true;
    return options_.xrtol > 0 && alpha * norm(p_) <= options_.xrtol * (options_.xrtol + norm(before.x));
  }

  // Goes to the point that was found. True if the descent is over by xrtol or ftol.
  bool accept(const Found& found) {
    const bool wolfe = found.ending == Ending::wolfe;
    const int to = wolfe ? trial_ : best_;
    const double alpha = wolfe ? found.step : alpha_of_best_;
    const double slope = wolfe ? slope_of_trial_ : slope_of_best_;
    Iterate<T>&before = slots_[now_], &after = slots_[to];
    if (options_.norm != kInfinity) after.norm = norm(after.g);
    if (after.f > before.f && before.f < record_.f) record_.copy(before);
    if (best_ != kNone && slots_[best_].f < std::min(after.f, record_.f)) record_.copy(slots_[best_]);
    ++iterations_;
    note_progress(after);
    const bool small = is_small(before, after, alpha);
    if (after.norm > options_.gtol && !small) {
      if constexpr (Method<T>::kHessian) {
        directed_ = false;
        natural_ = method_.learn();
      } else {
        natural_ = method_.learn(Step<T>{before, after, alpha, slope_, slope}, p_);
      }
      slope_before_ = slope_;
      slope_ = slope_along_p(after.g);
      if (directed_ && !(slope_ < 0)) {
        method_.forget();
        directed_ = false;
      }
    } else {
      directed_ = false;
    }
    alpha_ = alpha;
    now_ = to;
    best_ = kNone;
    return small;
  }

  void note_progress(const Iterate<T>& after) {
    const bool lower = after.f < lowest_f_ - std::numeric_limits<T>::epsilon() * std::abs(lowest_f_);
    const bool flatter = after.norm < lowest_norm_;
    if (lower || lowest_f_ == kInfinity) lowest_f_ = after.f;
    if (flatter) lowest_norm_ = after.norm;
    quiet_ = lower || flatter ? 0 : quiet_ + 1;
  }

  // Why no step was found: the promised decrease is beyond the precision of f or of x, or there is something wrong.
  Status why_not(Ending ending, double first) const {
    if (ending == Ending::nonfinite || best_ == kNone)
      return ending == Ending::rounding ? Status::precision_limit : Status::nonfinite;
    const double promised = -slope_ * first;
    const bool beyond_f = promised <= std::sqrt(std::numeric_limits<T>::epsilon()) * std::abs(slots_[now_].f);
    return beyond_f || moved_ == 0 ? Status::precision_limit : Status::failure;
  }

  double norm(const Vector<T>& v) const {
    if (options_.norm == kInfinity) return largest(v, options_.threads);
    double sum = 0, least = kInfinity;
    for (Index i = 0; i < n_; ++i) {
      const double magnitude = std::abs(static_cast<double>(v.data()[i]));
      sum += options_.norm == 2 ? magnitude * magnitude : std::pow(magnitude, options_.norm);
      least = std::min(least, magnitude);
    }
    return options_.norm == -kInfinity ? least : options_.norm == 2 ? std::sqrt(sum) : std::pow(sum, 1 / options_.norm);
  }

  Point point(const Iterate<T>& of) const { return {of.x.data(), of.g.data(), of.f, of.norm}; }

  const Index n_;
  Options options_;
  Method<T> method_;
  std::array<Iterate<T>, 3> slots_;  // the iterate, and two for the trials of a search
  int now_ = 0, trial_ = 1, best_ = kNone;
  Iterate<T> record_;  // the lowest point, if the iterate has gone up since
  Vector<T> p_;

  double slope_ = 0;         // pᵀg
  double slope_before_ = 0;  // of the last iteration, or 0
  double alpha_ = 0;
  double lowest_f_ = kInfinity, lowest_norm_ = kInfinity;
  bool begun_ = false;     // x₀ has been evaluated
  bool directed_ = false;  // p is the direction at the iterate
  bool natural_ = false;   // and its length is right
  Index iterations_ = 0, evaluations_ = 0, evaluations_at_start_ = 0, hessians_ = 0;
  Index quiet_ = 0;

  Iterate<T>* target_ = nullptr;
  double moved_ = 0, slope_of_trial_ = 0, slope_of_best_ = 0, alpha_of_best_ = 0;
  double told_f_ = 0;
  const T* told_g_ = nullptr;

  Status status_ = Status::running;
  Wants wants_ = Wants::gradient;
  std::chrono::steady_clock::time_point began_;
  Task<Status> main_;
  std::coroutine_handle<> suspended_;
};

}  // namespace schuss::minimize
