// What a step does around its update rule, in the same pass over memory: it unscales and clips the gradient, rounds
// parameters and states to the formats they are stored in, averages the parameters, copies them to a format of fewer
// bits and sets the gradient to zero.
//
// A tensor goes by in strips. Whatever is stored as it is computed with is updated where it lies; of the rest, a strip
// is decoded into a buffer, stepped there by the rule, and encoded again. A strip stays in the first-level cache until
// all is done, so that memory is read and written once.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>

#include "schuss/engine.hpp"
#include "schuss/random.hpp"
#include "schuss/storage.hpp"

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

  bool prepares_gradient() const { return factor != 1 || limit < std::numeric_limits<double>::infinity(); }
};

// What a step does around the rule for one tensor.
struct Staging {
  Stored theta, gradient;
  std::array<Stored, kMaxStates> states;
  Stored copy;              // of the parameters, if it has data
  void* average = nullptr;  // in the type to compute with
  double look_ahead = 0;    // the array holds θ + look_ahead · v, v being
  int velocity = 0;         // the state of this number
  Index number = 0;         // of the tensor in the step, and where in it
  Index first = 0;          // the arrays begin, for its random numbers
};

namespace stage {

// Elements of a strip: whole blocks of every format, and few enough that all its arrays stay in the first-level cache.
constexpr Index kStrip = 512;

template <class T>
constexpr Format kComputed = std::is_same_v<T, float> ? Format::f32 : Format::f64;

// The random numbers of a strip: two operands share a sequence of words. States come first, the parameters last.
class Dice {
 public:
  Dice(const Phase& phase, Index tensor, Index first) : phase_(phase), tensor_(tensor), first_(first) {}

  // For `count` values of an operand from `at` on; null if rounding is to the nearest.
  const Noise* roll(int operand, Index at, Index count) {
    if (!phase_.stochastic) return nullptr;
    if (drawn_ != operand / 2 || drawn_at_ != at) draw(operand / 2, at, count);
    noise_ = {words_, operand % 2 * 16};
    return &noise_;
  }

 private:
  void draw(int sequence, Index at, Index count) {
    const std::uint64_t key = key_of(phase_.seed, phase_.step, tensor_, sequence, (first_ + at) >> 32);
    const auto first = static_cast<std::uint32_t>(first_ + at);
    for (Index i = 0; i < count; ++i) words_[i] = random_word(key, first + static_cast<std::uint32_t>(i));
    drawn_ = sequence;
    drawn_at_ = at;
  }

  const Phase& phase_;
  const Index tensor_, first_;
  int drawn_ = -1;
  Index drawn_at_ = -1;
  Noise noise_{};
  alignas(64) std::uint32_t words_[kStrip];
};

// The strips of a tensor, one after the other.
template <class T>
class Strips {
 public:
  Strips(const Phase& phase, const Staging& staging)
      : phase_(phase), staging_(staging), dice_(phase, staging.number, staging.first) {}

  // Steps elements at … at + count − 1; `update` is the rule's, for arrays of T.
  template <class Update>
  void step(Index at, Index count, const Update& update) {
    Tensor plain{count, opened(staging_.theta, at, count, theta_), gradient(at, count), {}};
    for (int k = 0; k < kMaxStates; ++k)
      if (staging_.states[k].data) plain.states[k] = opened(staging_.states[k], at, count, states_[k]);
    update(plain);
    close(plain, at, count);
    if (phase_.averaging != Averaging::none) average(plain, at, count);
    if (staging_.copy.data) encode(static_cast<const T*>(plain.theta), staging_.copy, at, count, nullptr);
    if (phase_.zero_gradient) clear(staging_.gradient, at, count);
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
    for (Index i = 0; i < count; ++i) {
      const T scaled = factor * g[i];
      gradient_[i] = scaled > limit ? limit : scaled < -limit ? -limit : scaled;
    }
    return gradient_;
  }

  // Encodes what has been stepped in buffers. What is then averaged and copied is what has been stored.
  void close(const Tensor& plain, Index at, Index count) {
    const auto put = [&](const Stored& stored, const void* values, int operand) {
      if (stored.data && stored.format != kComputed<T>)
        encode(static_cast<const T*>(values), stored, at, count, dice_.roll(operand, at, count));
    };
    for (int k = 0; k < kMaxStates; ++k) put(staging_.states[k], plain.states[k], k);
    put(staging_.theta, plain.theta, kMaxStates);
    if (phase_.averaging != Averaging::none || staging_.copy.data) opened(staging_.theta, at, count, theta_);
  }

  void average(const Tensor& plain, Index at, Index count) {
    const T* theta = static_cast<const T*>(plain.theta);
    if (staging_.look_ahead != 0) {
      const T* v = opened(staging_.states[staging_.velocity], at, count, states_[staging_.velocity]);
      const T alpha = static_cast<T>(staging_.look_ahead);
      for (Index i = 0; i < count; ++i) gradient_[i] = theta[i] - alpha * v[i];
      theta = gradient_;
    }
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
  Dice dice_;
  alignas(64) T theta_[kStrip];
  alignas(64) T gradient_[kStrip];
  alignas(64) T states_[kMaxStates][kStrip];
};

// Strips end at multiples of their length, so none has values on both sides of 2³², where the key of a sequence
// changes.
template <class T>
void step(const Phase& phase, const Staging& staging, const Job& job, Index begin, Index end) {
  Strips<T> strips(phase, staging);
  for (Index at = begin, next; at < end; at = next) {
    next = std::min((at / kStrip + 1) * kStrip, end);
    strips.step(at, next - at, [&](const Tensor& plain) { job.update(job.bound, plain, 0, plain.size); });
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
