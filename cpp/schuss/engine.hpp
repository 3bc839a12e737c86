// One step of an optimizer over all its tensors: one parallel region, whatever the number of tensors.
//
// The tensors are laid end to end and cut, at multiples of a block, into tasks that threads take one by one. No value
// depends on where the cuts fall.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "schuss/codec.hpp"
#include "schuss/rule.hpp"
#include "schuss/threads.hpp"

namespace schuss {

constexpr int kMaxStates = 4;

// Tensors are cut at multiples of this many elements: whole blocks, whatever the dtype and the storage.
constexpr Index kGrain = 256;

// A task is at least this many elements, and there are at most this many tasks for each thread.
constexpr Index kTaskElements = 16 * 1024;
constexpr Index kTasksPerThread = 16;

struct Tensor {
  Index size;
  void* theta;
  const void* gradient;
  std::array<void*, kMaxStates> states;  // null where a rule does without
};

// What a step does to each block before the rule sees it.
struct Pass {
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
  bool maximize = false;

  static constexpr auto options =
      std::tuple{Option{"weight_decay", &Pass::weight_decay},
                 Option{"decoupled_weight_decay", &Pass::decoupled_weight_decay}, Option{"maximize", &Pass::maximize}};

  template <class B>
  void operator()(B& theta, B& g, double lr) const {
    if (maximize) g = -g;
    if (weight_decay == 0) return;
    if (decoupled_weight_decay) {
      theta = (1 - lr * weight_decay) * theta;
    } else {
      g += weight_decay * theta;
    }
  }
};

// A rule with the options of one parameter group, at one step.
template <class Rule>
struct Bound {
  Rule rule;
  Pass pass;
};

// Updates elements begin … end − 1 of one tensor; begin is a multiple of a block. Flattened: the rule must be inlined,
// or its blocks would travel through memory.
template <class Rule, class T>
[[gnu::flatten]] void update(const void* bound, const Tensor& in_memory, Index begin, Index end) {
  const Tensor tensor = in_memory;  // copies, which no store to an array can change
  const Bound<Rule> own = *static_cast<const Bound<Rule>*>(bound);

  // `count` is nothing for a whole block, and the number of values in the last, partial one.
  const auto one_block = [&]<std::size_t... K>(std::index_sequence<K...>, Index at, auto... count) {
    const auto load = [&](const void* array) { return Plain<T>::load(static_cast<const T*>(array) + at, count...); };
    const auto store = [&](void* array, const Block<T>& block) {
      Plain<T>::store(static_cast<T*>(array) + at, block, count...);
    };
    [[maybe_unused]] const auto kept = [&](std::size_t k) { return Rule::states[k].always() || tensor.states[k]; };

    Block<T> theta = load(tensor.theta), g = load(tensor.gradient);
    std::array<Block<T>, sizeof...(K)> state{kept(K) ? load(tensor.states[K]) : Block<T>(Block<T>::Zero())...};
    own.pass(theta, g, own.rule.lr);
    own.rule(theta, g, state[K]...);
    store(tensor.theta, theta);
    ((kept(K) ? store(tensor.states[K], state[K]) : void()), ...);
  };

  constexpr auto states = std::make_index_sequence<Rule::states.size()>{};
  Index at = begin;
  for (; at + kBlock<T> <= end; at += kBlock<T>) one_block(states, at);
  if (at < end) one_block(states, at, static_cast<int>(end - at));
}

using Update = void (*)(const void* bound, const Tensor&, Index begin, Index end);

// One tensor and what is to be done with it.
struct Job {
  Tensor tensor;
  Update update;
  const void* bound;
  Index bytes;  // read and written
};

// The tensors of a step, laid end to end and counted in grains.
class Line {
 public:
  explicit Line(std::span<const Job> jobs, Index grain = kGrain) : jobs_(jobs), grain_(grain) {
    ends_.reserve(jobs.size());
    for (const Job& job : jobs) {
      length_ += (job.tensor.size + grain - 1) / grain;
      ends_.push_back(length_);
    }
  }

  Index length() const { return length_; }

  // Calls work(k, begin, end) for the elements of each tensor k that are in grains first … last − 1.
  template <class Work>
  void visit(Index first, Index last, const Work& work) const {
    for (auto k = std::upper_bound(ends_.begin(), ends_.end(), first) - ends_.begin(); first < last; ++k) {
      const Index start = k == 0 ? 0 : ends_[k - 1], stop = std::min(ends_[k], last);
      work(k, (first - start) * grain_, std::min((stop - start) * grain_, jobs_[k].tensor.size));
      first = stop;
    }
  }

 private:
  std::span<const Job> jobs_;
  const Index grain_;
  std::vector<Index> ends_;
  Index length_ = 0;
};

// Calls work(k, begin, end) for pieces of all tensors k, each by one of the threads.
template <class Work>
void for_pieces(std::span<const Job> jobs, Index bytes, int max_threads, const Work& work) {
  const Line line(jobs);
  const Index grains = std::max(kTaskElements / kGrain, line.length() / (kTasksPerThread * max_threads));
  threads.team().run((line.length() + grains - 1) / grains, threads.helpers(bytes, max_threads),
                     [&](Index i) { line.visit(i * grains, std::min((i + 1) * grains, line.length()), work); });
}

inline void run(std::span<const Job> jobs, int max_threads) {
  Index bytes = 0;
  for (const Job& job : jobs) bytes += job.bytes;
  for_pieces(jobs, bytes, max_threads,
             [&](Index k, Index begin, Index end) { jobs[k].update(jobs[k].bound, jobs[k].tensor, begin, end); });
}

}  // namespace schuss
