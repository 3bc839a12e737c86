// What a step does around its update rule, in the same pass over memory: it unscales and clips the gradient, rounds
// parameters and states to the formats they are stored in, averages the parameters, copies them to a format of fewer
// bits and sets the gradient to zero.
//
// A tensor goes by in strips. Whatever is stored as it is computed with is updated where it lies; of the rest, a strip
// is decoded into a buffer, stepped there by the rule, and encoded again, if not the rule itself meets it in registers.
// A strip stays in the first-level cache until all is done, so that memory is read and written once. What the rule
// meets in registers needs no strips if nothing follows it, or follows row by row.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>

#include "schuss/few_bits.hpp"

namespace schuss {

// How an average follows the parameters.
enum class Averaging { none, first, uniform, ema_book, ema_torch };

// What is the same for all tensors of a step.
struct Phase {
  double factor = 1;                                       // of the gradient: unscaling and clipping by norm
  double limit = std::numeric_limits<double>::infinity();  // of each of its values
  bool zero_gradient = false;
  bool stochastic = false;  // rounding
  std::uint64_t seed = 0;
  std::int64_t step = 1;
  Averaging averaging = Averaging::none;
  double decay = 0;  // of an exponential average
  double count = 1;  // of the averaged points, with this one

  bool limits() const { return limit < std::numeric_limits<double>::infinity(); }
  bool prepares_gradient() const { return factor != 1 || limits(); }
};

// What a step does around the rule for one tensor.
struct Staging {
  Stored theta, gradient;
  std::array<Stored, kMaxStates> states;
  Stored copy;                     // of the parameters, if it has data
  void* average = nullptr;         // in the type to compute with
  double look_ahead = 0;           // the array holds θ + look_ahead · v, v being
  int velocity = 0;                // the state of this number
  Index number = 0;                // of the tensor in the step, and where in it
  Index first = 0;                 // the arrays begin, a multiple of 256, for its random numbers
  UpdateFewBits update = nullptr;  // the rule's for these formats, if there is one
};

namespace stage {

// Elements of a strip: whole blocks of every format, and few enough that all its arrays stay in the first-level cache.
constexpr Index kStrip = 512;

template <class T>
constexpr Format kComputed = std::is_same_v<T, float> ? Format::f32 : Format::f64;

// The strips of a tensor, one after the other.
template <class T>
class Strips {
 public:
  Strips(const Phase& phase, const Staging& staging, const Job& job)
      : phase_(phase),
        staging_(staging),
        job_(job),
        dice_(phase.stochastic, phase.seed, phase.step, staging.number, staging.first),
        row_by_row_(is_followed_by_rows()) {}

  // So many of `count` elements need no strips: the rule itself meets them in registers, row by row.
  Index whole_rows(Index count) const {
    const bool whole = staging_.update && scales_in_registers() && (!is_followed() || row_by_row_);
    return std::is_same_v<T, float> && whole ? count / storage::kScaled * storage::kScaled : 0;
  }

  // Steps elements at … at + count − 1: whole rows as above, or a strip.
  void step(Index at, Index count) {
    if (in_registers(at, count)) return;
    in_buffers(at, count);
    afterwards(at, count);
  }

 private:
  // The strip itself, if it can be stepped where it lies, or its values in a buffer.
  static T* opened(const Stored& stored, Index at, Index count, T* buffer) {
    if (stored.format == kComputed<T>) return stored.at<T>(at);
    decode(stored, at, count, buffer);
    return buffer;
  }

  // The gradient that the rule sees; the one in memory stays as it is.
  const T* gradient(Index at, Index count) {
    const T* g = opened(staging_.gradient, at, count, gradient_);
    if (!phase_.prepares_gradient()) return g;
    const T factor = static_cast<T>(phase_.factor), limit = static_cast<T>(phase_.limit);
    const auto each = [&](auto clipped) {
      for (Index i = 0; i < count; ++i) gradient_[i] = clipped(factor * g[i]);
    };
    if (phase_.limits()) {
      each([=](T x) { return x > limit ? limit : x < -limit ? -limit : x; });
    } else {
      each([](T x) { return x; });
    }
    return gradient_;
  }

  // Whether the elements have been stepped by a rule that decodes and encodes by itself, which takes whole rows.
  bool in_registers(Index at, Index count) {
    if constexpr (std::is_same_v<T, float>) {
      if (!staging_.update || count % storage::kScaled != 0) return false;
      ScaledGradient g{staging_.gradient, static_cast<float>(phase_.factor)};
      if (scales_in_registers()) {
        g.values.data = g.values.at<char>(at * bytes_of(g.values.format));
      } else {
        g = {{const_cast<float*>(gradient(at, count))}, 1};
      }
      const auto row = [](void* strips, Index i) { static_cast<Strips*>(strips)->afterwards(i, storage::kScaled); };
      staging_.update(job_.bound, {staging_.theta, staging_.states}, g, dice_,
                      row_by_row_ ? AfterRow{row, this} : AfterRow{}, at, at + count);
      if (!row_by_row_) afterwards(at, count);
      return true;
    }
    return false;
  }

  // Whether all that there is to be done to the gradient is scaling it.
  bool scales_in_registers() const { return !phase_.limits() && staging_.gradient.format != Format::f16; }

  // Whether anything is done after the rule.
  bool is_followed() const { return phase_.averaging != Averaging::none || staging_.copy.data || phase_.zero_gradient; }

  // Whether it is done to each row while its states are on their way to memory, for which it must not need them.
  bool is_followed_by_rows() const {
    const auto& states = staging_.states;
    return is_followed() && staging_.look_ahead == 0 &&
           std::any_of(states.begin(), states.end(), [](const Stored& s) { return s.format == Format::u8; });
  }

  void in_buffers(Index at, Index count) {
    Tensor plain{count, opened(staging_.theta, at, count, theta_), gradient(at, count), {}};
    for (int k = 0; k < kMaxStates; ++k)
      if (staging_.states[k].data) plain.states[k] = opened(staging_.states[k], at, count, states_[k]);
    job_.update(job_.bound, plain, 0, count);
    for (int k = 0; k < kMaxStates; ++k) put(staging_.states[k], static_cast<const T*>(plain.states[k]), k, at, count);
    put(staging_.theta, static_cast<const T*>(plain.theta), kMaxStates, at, count);
  }

  // Encodes values that have been stepped in a buffer, row by row.
  void put(const Stored& stored, const T* values, int operand, Index at, Index count) {
    if (!stored.data || stored.format == kComputed<T>) return;
    for (Index i = 0; i < count; i += storage::kScaled)
      encode(values + i, stored, at + i, std::min(storage::kScaled, count - i),
             dice_.roll(operand, at + i, noise_bits(stored.format)));
  }

  void afterwards(Index at, Index count) {
    if (phase_.averaging != Averaging::none || staging_.copy.data) follow(at, count);
    if (phase_.zero_gradient) clear(staging_.gradient, at, count);
  }

  // The average and the copy follow the parameters as they have been stored.
  void follow(Index at, Index count) {
    const T* theta = opened(staging_.theta, at, count, theta_);
    if (staging_.copy.data) encode(theta, staging_.copy, at, count, {});
    if (staging_.look_ahead != 0) {
      const T* v = opened(staging_.states[staging_.velocity], at, count, states_[staging_.velocity]);
      const T alpha = static_cast<T>(staging_.look_ahead);
      for (Index i = 0; i < count; ++i) gradient_[i] = theta[i] - alpha * v[i];
      theta = gradient_;
    }
    if (phase_.averaging != Averaging::none) average(theta, at, count);
  }

  void average(const T* theta, Index at, Index count) {
    T* mean = static_cast<T*>(staging_.average) + at;
    const auto each = [&](auto next) {
      for (Index i = 0; i < count; ++i) mean[i] = next(mean[i], theta[i]);
    };
    const T kept = static_cast<T>(phase_.decay), moved = static_cast<T>(1 - phase_.decay);
    const T points = static_cast<T>(phase_.count);
    switch (phase_.averaging) {
      case Averaging::none:
        return;
      case Averaging::first:
        return each([](T, T x) { return x; });
      case Averaging::uniform:
        return each([=](T m, T x) { return m + (x - m) / points; });
      case Averaging::ema_book:
        return each([=](T m, T x) { return kept * m + moved * x; });
      case Averaging::ema_torch:
        return each([=](T m, T x) { return m + moved * (x - m); });
    }
  }

  static void clear(const Stored& stored, Index at, Index count) {
    const Index bytes = bytes_of(stored.format);
    std::memset(stored.at<char>(at * bytes), 0, count * bytes);
  }

  const Phase& phase_;
  const Staging& staging_;
  const Job& job_;
  StepDice dice_;
  const bool row_by_row_;  // is_followed_by_rows()
  alignas(64) T theta_[kStrip];
  alignas(64) T gradient_[kStrip];
  alignas(64) T states_[kMaxStates][kStrip];
};

template <class T>
void step(const Phase& phase, const Staging& staging, const Job& job, Index begin, Index end) {
  Strips<T> strips(phase, staging, job);
  Index at = begin + strips.whole_rows(end - begin);
  if (at > begin) strips.step(begin, at - begin);
  for (Index next; at < end; at = next) {
    next = std::min((at / kStrip + 1) * kStrip, end);
    strips.step(at, next - at);
  }
}

}  // namespace stage

// A step with all that is around it: stagings[k] is job k's.
inline void run(std::span<const Job> jobs, std::span<const Staging> stagings, const Phase& phase, int max_threads) {
  Index bytes = 0;
  for (const Job& job : jobs) bytes += job.bytes;
  for_pieces(jobs, bytes, max_threads, [&](Index k, Index begin, Index end) {
    const bool in_double = stagings[k].theta.format == Format::f64;
    (in_double ? stage::step<double> : stage::step<float>)(phase, stagings[k], jobs[k], begin, end);
  });
}

}  // namespace schuss
