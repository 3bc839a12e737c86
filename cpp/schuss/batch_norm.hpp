// Batch normalization: Ioffe and Szegedy 2015; Deep Learning, section 8.7.1. Forward and backward are two passes each:
// one for the sums over the minibatch, in double, and one over the elements, in the type of the data.
#pragma once

#include <cmath>

#include "schuss/reduce.hpp"
#include "schuss/sweep.hpp"

namespace schuss::batch_norm {

// ---- the mean and the variance of each channel ----

// Σd and Σd² of a chunk, with d = x − x₀ and x₀ the chunk's first value. As x₀ is one of the n values, its own square
// is a part of M2, and Σd² ≤ (n + 1) · M2: however far x₀ lies off, M2 = Σd² − (Σd)²/n loses less than a factor of
// n + 1 to cancellation, of the 2⁵³ that a double has.
template <class T>
struct Deviations {
  using Type = T;
  std::array<const T*, 1> inputs;

  Block<double> constants(const auto& at) const { return widen(at.first(inputs[0])); }
  void add(Block<double>& a, Block<double>& b, const Block<double>& x0, const Narrow<T>& x) const {
    const Block<double> d = widen(x) - x0;
    a += d;
    b += d * d;
  }
};

struct Statistics {
  double *mean, *var;  // one for each channel; the variance is the biased one
};

// Channels are handled in strips: so many at a time.
constexpr Index kStrip = 64;
using Strip = Eigen::Array<double, Eigen::Dynamic, 1, 0, kStrip, 1>;

template <class Work>
void for_strips(const ChunkSums& sums, int max_threads, const Work& work) {
  const Index bytes = sums.chunks * sums.channels * static_cast<Index>(2 * sizeof(double));
  for_units((sums.channels + kStrip - 1) / kStrip, bytes, max_threads,
            [&](Index unit) { work(unit * kStrip, std::min(kStrip, sums.channels - unit * kStrip)); });
}

// `count` channels from `first` on: chunk after chunk joins the mean and M2 of those before it (Chan, Golub and LeVeque
// 1979).
template <class T>
void merge(const T* x, const Layout& layout, const ChunkSums& sums, Index first, Index count, Statistics to) {
  Eigen::Map<Strip> mean(to.mean + first, count), m2(to.var + first, count);
  const double m = static_cast<double>(layout.positions());
  Strip x0(count);
  for (Index k = 0; k < sums.chunks; ++k) {
    const double before = static_cast<double>(k * kChunk);
    const double n = std::min<double>(kChunk, m - before), all = before + n;
    const Eigen::Map<const Strip> a(&sums.a[k * layout.channels + first], count);
    const Eigen::Map<const Strip> b(&sums.b[k * layout.channels + first], count);
    const T* row = x + layout.offset(k * kChunk, first);
    for (Index c = 0; c < count; ++c) x0[c] = row[c * layout.inner];

    const Strip chunk_mean = x0 + a / n, chunk_m2 = b - a * (a / n);
    if (k == 0) {
      mean = chunk_mean;
      m2 = chunk_m2;
    } else {
      const Strip delta = chunk_mean - mean;
      mean += delta * (n / all);
      m2 += chunk_m2 + delta * delta * (before * n / all);
    }
  }
  m2 /= m;
}

template <class T>
void statistics(const T* x, const Layout& layout, Statistics to, int max_threads) {
  const ChunkSums sums = sum_chunks(Deviations<T>{{x}}, layout, max_threads);
  for_strips(sums, max_threads, [&](Index first, Index count) { merge(x, layout, sums, first, count, to); });
}

// ---- numbers of the channels ----

template <class T>
using Numbers = Eigen::Array<T, Eigen::Dynamic, 1>;

template <class T>
Numbers<double> doubles(const T* numbers, Index channels, double if_absent = 0) {
  if (!numbers) return Numbers<double>::Constant(channels, if_absent);
  return Eigen::Map<const Numbers<T>>(numbers, channels).template cast<double>();
}

// running ← (1 − weight) · running + weight · new, with the unbiased variance. In strips, which need no memory: once
// the first number has been changed nothing can go wrong.
template <class T>
void update_running(T* running_mean, T* running_var, const Layout& layout, Statistics batch, double weight) {
  const double m = static_cast<double>(layout.positions()), unbiased = m / (m - 1);
  const auto update = [weight](T* running, const Strip& now) {
    Eigen::Map<Numbers<T>> old(running, now.size());
    const Strip before = old.template cast<double>();
    const Strip after = (1 - weight) * before + weight * now;
    old = after.template cast<T>();
  };
  for (Index c = 0; c < layout.channels; c += kStrip) {
    const Index count = std::min(kStrip, layout.channels - c);
    update(running_mean + c, Eigen::Map<const Strip>(batch.mean + c, count));
    update(running_var + c, Eigen::Map<const Strip>(batch.var + c, count) * unbiased);
  }
}

// ---- forward ----

// y = (x − mean) · scale + shift, with scale = γ/σ and shift = β. A mean that is large against σ loses digits when it
// is rounded to the type of the data; the shift makes up for them.
template <class T>
struct Affine {
  Numbers<double> inverse_sigma, lost;  // 1/σ, and what of the mean is lost in rounding
  Numbers<T> mean, scale, shift;

  Affine(Index channels, const double* exact_mean, const double* var, double eps, const T* gamma, const T* beta)
      : inverse_sigma(1 / sqrt(doubles(var, channels) + eps)) {
    const Numbers<double> mu = doubles(exact_mean, channels), factor = doubles(gamma, channels, 1) * inverse_sigma;
    mean = mu.cast<T>();
    lost = mu - doubles(mean.data(), channels);
    const Numbers<double> beta_and_lost = doubles(beta, channels) - lost * factor;
    scale = factor.cast<T>();
    shift = beta_and_lost.cast<T>();
  }
};

// The same for a block, whose channels' numbers are vectors: of a block's length, or of a part of one.
template <class Vector>
struct Normalized {
  Vector mean, scale, shift;
  Vector operator()(const Vector& x) const { return (x - mean) * scale + shift; }
};

template <class T, bool Relu, bool Residual>
struct Normalize {
  using Type = T;
  const T *x, *residual;
  T* y;
  const T *mean, *scale, *shift;

  std::array<const T**, 3> arrays() { return {&mean, &scale, &shift}; }
  Normalized<Block<T>> numbers(const auto& of) const { return {of(mean), of(scale), of(shift)}; }

  void operator()(Index at, const Normalized<Block<T>>& normalized, auto... count) const {
    Block<T> value = normalized(Plain<T>::load(x + at, count...));
    if constexpr (Residual) value += Plain<T>::load(residual + at, count...);
    if constexpr (Relu) value = where_positive(-value, Block<T>::Zero(), value);  // so a NaN stays one
    Plain<T>::store(y + at, value, count...);
  }
};

// ---- backward ----

// What was zeroed on the way forward passes no gradient back. Either y tells, or it is computed again from x.
enum class Mask { none, computed, stored };

// The gradient for the normalized values, from dy and what the mask asks for.
template <Mask mask, class Vector>
Vector masked(const Vector& dy, const Normalized<Vector>& normalized, const Vector& x, const auto&... y) {
  if constexpr (mask == Mask::computed) return where_positive(normalized(x), dy, Vector::Zero());
  if constexpr (mask == Mask::stored) return where_positive(y..., dy, Vector::Zero());
  return dy;
}

// Σg and Σg·(x − center), with g the masked dy. Products of floats are exact in double, and there are digits enough in
// it for any mean that floats have digits for; so these are summed around 0, and doubles around the mean.
template <class T>
constexpr bool kAroundMean = sizeof(T) == sizeof(double);

template <class T, Mask mask>
struct GradientSums {
  using Type = T;
  std::array<const T*, mask == Mask::stored ? 3 : 2> inputs;  // dy, x, y
  const T *mean, *scale, *shift;

  Normalized<Narrow<T>> constants(const auto& at) const {
    return {at.channel(mean), at.channel(scale), at.channel(shift)};
  }
  void add(Block<double>& a, Block<double>& b, const Normalized<Narrow<T>>& normalized, const Narrow<T>& dy,
           const Narrow<T>& x, const auto&... y) const {
    const Block<double> g = widen(masked<mask>(dy, normalized, x, y...));
    a += g;
    if constexpr (kAroundMean<T>)
      b += g * (x - normalized.mean);
    else
      b = add_exact_product(b, g, widen(x));
  }
};

// dx = (g − offset − (x − mean) · slope) · scale; through running statistics, which are constants, dx = g · scale.
template <class T, Mask mask, bool Training, bool Residual>
struct Gradient {
  using Type = T;
  const T *dy, *x, *y;
  T *dx, *dresidual;
  const T *mean, *scale, *shift, *offset, *slope;

  struct OfChannels {
    Normalized<Block<T>> normalized;
    Block<T> offset, slope;
  };

  auto arrays() {
    if constexpr (Training)
      return std::array{&mean, &scale, &shift, &offset, &slope};
    else
      return std::array{&mean, &scale, &shift};
  }
  OfChannels numbers(const auto& of) const {
    OfChannels k{{of(mean), of(scale), of(shift)}, Block<T>::Zero(), Block<T>::Zero()};
    if constexpr (Training) {
      k.offset = of(offset);
      k.slope = of(slope);
    }
    return k;
  }

  void operator()(Index at, const OfChannels& k, auto... count) const {
    const auto load = [&](const T* array) { return Plain<T>::load(array + at, count...); };
    Block<T> g = load(dy), value = Block<T>::Zero();
    if constexpr (Training || mask == Mask::computed) value = load(x);
    if constexpr (mask == Mask::stored)
      g = masked<mask>(g, k.normalized, value, load(y));
    else
      g = masked<mask>(g, k.normalized, value);
    if constexpr (Residual) Plain<T>::store(dresidual + at, g, count...);
    if constexpr (Training) g = g - k.offset - (value - k.normalized.mean) * k.slope;
    Plain<T>::store(dx + at, g * k.normalized.scale, count...);
  }
};

// ---- a call, from its arrays to its results ----

struct Options {
  double eps;
  bool training;
  int max_threads;
};

// Moves pointers on; null pointers, which stand for what a call does without, stay what they are.
template <class... Pointers>
void advance(Index by, Pointers&... pointers) {
  ((pointers = pointers ? pointers + by : nullptr), ...);
}

// Both passes over some channels, and then over the next ones: the second pass finds in a cache what the first one has
// read. Each thread takes channels of its own. That pays for data that caches do not hold whole, if there are channels
// enough, each apart from the others in memory and small; else each pass goes through all channels. `bytes` is what the
// first pass reads for a position of a channel.
template <class Call>
void by_channels(const Call& call, const Layout& layout, Index bytes, const Options& options) {
  constexpr Index kCached = 32 * 1024 * 1024, kUnit = 512 * 1024, kMost = 2 * 1024 * 1024, kUnitsPerThread = 4;
  const Index channel = layout.positions() * bytes;
  const Index together = std::clamp<Index>(kUnit / channel, 1, layout.channels);
  const Index units = (layout.channels + together - 1) / together;
  const bool pays = layout.channels * channel > kCached && channel <= kMost && layout.inner * bytes >= 256 &&
                    units >= kUnitsPerThread * options.max_threads;
  if (!pays) return call.run(layout, options);
  for_units(units, 2 * layout.channels * channel, options.max_threads, [&](Index unit) {
    const Index first = unit * together, count = std::min(together, layout.channels - first);
    call.from(first, layout).run(layout.some(count), {options.eps, options.training, 1});
  });
}

template <class T>
struct Forward {
  const T *x, *gamma, *beta, *residual;
  T *running_mean, *running_var, *y;
  bool relu;
  double weight;  // of this batch in the running statistics
  Statistics batch;

  void operator()(const Layout& layout, const Options& options) const {
    if (!options.training) return run(layout, options);
    by_channels(*this, layout, sizeof(T), options);
    if (running_mean) update_running(running_mean, running_var, layout, batch, weight);
  }

  // The same call from a channel on.
  Forward from(Index channel, const Layout& layout) const {
    Forward rest = *this;
    advance(channel * layout.inner, rest.x, rest.residual, rest.y);
    advance(channel, rest.gamma, rest.beta, rest.running_mean, rest.running_var, rest.batch.mean, rest.batch.var);
    return rest;
  }

  void run(const Layout& layout, const Options& options) const {
    if (options.training) {
      statistics(x, layout, batch, options.max_threads);
    } else {
      std::copy_n(running_mean, layout.channels, batch.mean);
      std::copy_n(running_var, layout.channels, batch.var);
    }
    const Affine<T> affine(layout.channels, batch.mean, batch.var, options.eps, gamma, beta);
    const Index bytes = layout.size() * static_cast<Index>(sizeof(T)) * (residual ? 3 : 2);
    const auto sweep = [&]<bool Relu, bool Residual>() {
      const Normalize<T, Relu, Residual> normalize{
          x, residual, y, affine.mean.data(), affine.scale.data(), affine.shift.data()};
      sweep_elements(normalize, layout, bytes, options.max_threads);
    };
    if (relu)
      residual ? sweep.template operator()<true, true>() : sweep.template operator()<true, false>();
    else
      residual ? sweep.template operator()<false, true>() : sweep.template operator()<false, false>();
  }
};

template <class T>
struct Backward {
  const T *dy, *x, *y, *gamma, *beta;  // y where the mask is stored in it
  const double *mean, *var;
  T *dx, *dgamma, *dbeta, *dresidual;
  Mask mask;

  void operator()(const Layout& layout, const Options& options) const {
    by_channels(*this, layout, static_cast<Index>(sizeof(T)) * (mask == Mask::stored ? 3 : 2), options);
  }

  // The same call from a channel on.
  Backward from(Index channel, const Layout& layout) const {
    Backward rest = *this;
    advance(channel * layout.inner, rest.dy, rest.x, rest.y, rest.dx, rest.dresidual);
    advance(channel, rest.gamma, rest.beta, rest.mean, rest.var, rest.dgamma, rest.dbeta);
    return rest;
  }

  void run(const Layout& layout, const Options& options) const {
    switch (mask) {
      case Mask::none:
        return masked<Mask::none>(layout, options);
      case Mask::computed:
        return masked<Mask::computed>(layout, options);
      case Mask::stored:
        return masked<Mask::stored>(layout, options);
    }
  }

 private:
  // What the element-wise pass subtracts.
  struct Subtracted {
    Numbers<T> offset, slope;
  };

  template <Mask M>
  void masked(const Layout& layout, const Options& options) const {
    const Affine<T> affine(layout.channels, mean, var, options.eps, gamma, beta);
    const T *rounded = affine.mean.data(), *scale = affine.scale.data(), *shift = affine.shift.data();
    GradientSums<T, M> summand{{}, rounded, scale, shift};
    summand.inputs[0] = dy, summand.inputs[1] = x;
    if constexpr (M == Mask::stored) summand.inputs[2] = y;
    Subtracted subtracted;
    if (options.training || dgamma || dbeta)
      subtracted = total(layout, sum_chunks(summand, layout, options.max_threads), affine, options.max_threads);
    const T *offset = subtracted.offset.data(), *slope = subtracted.slope.data();

    const Index bytes = layout.size() * static_cast<Index>(sizeof(T)) * ((y ? 4 : 3) + (dresidual ? 1 : 0));
    const auto sweep = [&]<bool Training, bool Residual>() {
      const Gradient<T, M, Training, Residual> gradient{dy, x, y, dx, dresidual, rounded, scale, shift, offset, slope};
      sweep_elements(gradient, layout, bytes, options.max_threads);
    };
    if (options.training)
      dresidual ? sweep.template operator()<true, true>() : sweep.template operator()<true, false>();
    else
      dresidual ? sweep.template operator()<false, true>() : sweep.template operator()<false, false>();
  }

  // From the sums of the chunks: dβ = Σg, dγ = Σg·(x − mean)/σ, and what the element-wise pass subtracts; that takes
  // the mean rounded to T from x.
  Subtracted total(const Layout& layout, const ChunkSums& sums, const Affine<T>& affine, int max_threads) const {
    const Index channels = layout.channels;
    Numbers<double> sum_g(channels), sum_gx(channels);
    for_strips(sums, max_threads, [&](Index first, Index count) {
      const auto add_chunks = [&](const std::vector<double>& of, Numbers<double>& total) {
        Strip sum = Strip::Zero(count);
        for (Index k = 0; k < sums.chunks; ++k) sum += Eigen::Map<const Strip>(&of[k * channels + first], count);
        total.segment(first, count) = sum;
      };
      add_chunks(sums.a, sum_g);
      add_chunks(sums.b, sum_gx);
    });
    const double m = static_cast<double>(layout.positions());
    if (!kAroundMean<T>) sum_gx -= doubles(mean, channels) * sum_g;
    const Numbers<double>& inverse = affine.inverse_sigma;
    const Numbers<double> slope = sum_gx / m * inverse * inverse, offset = sum_g / m - affine.lost * slope;
    const Numbers<double> for_gamma = sum_gx * inverse;
    if (dgamma) Eigen::Map<Numbers<T>>(dgamma, channels) = for_gamma.cast<T>();
    if (dbeta) Eigen::Map<Numbers<T>>(dbeta, channels) = sum_g.cast<T>();
    return {offset.cast<T>(), slope.cast<T>()};
  }
};

}  // namespace schuss::batch_norm
