// The threads that help a caller through its work.
//
// A trainer's time belongs to its matrix products, and between two of them a step lasts microseconds. OpenMP's team
// suits that badly: after a step its threads spin for milliseconds on the processors that the next product needs, and
// in a step the caller waits for every thread, even for one that has not woken up (docs/performance.md has numbers).
// This team differs in two points:
//
//   * the caller waits only for helpers that have begun to help. It goes through the tasks itself, and whoever wakes
//     up in time takes some of them off it, so a step is hardly ever slower than on one thread;
//   * a helper spins for the next work only where work has lately been following that fast; elsewhere it sleeps.
#pragma once

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <signal.h>
#endif

namespace schuss {

using Index = std::ptrdiff_t;

// Blocks all signals while it lives: they are for the program's own threads.
class NoSignals {
#if defined(__unix__) || defined(__APPLE__)
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;

 private:
  sigset_t before_;
#endif
};

class Team {
 public:
  // Runs task(i) once for each i = 0 … tasks − 1, on the caller and up to `helpers` threads. While somebody else has
  // the team the caller works alone. Every thread computes in the caller's floating-point environment (rounding,
  // flushing of denormals), so the result does not depend on who does what. If tasks throw, the caller gets the first
  // exception, once all are done that have begun.
  template <class Task>
  void run(Index tasks, int helpers, const Task& task) {
    if (helpers < 1 || tasks < 2 || !run_together(tasks, helpers, task))
      for (Index i = 0; i < tasks; ++i) task(i);
    closed_ = now();
  }

  // Wakes the helpers up, who then wait awake for a call that is about to come.
  void rouse() {
    if (in_a_row()) follows_ = true;
    row_ = true;
    next_round();
  }

  // Whether calls come in a row: then helpers are awake, and worth waking up if they are not.
  bool in_a_row() const { return now() - closed_ < kSpin; }

 private:
  static constexpr std::int64_t kSpin = 50'000;  // nanoseconds
  static constexpr std::uint32_t kOpen = 1u << 31;
  static constexpr int kHelpersPerProcessor = 4;  // more are never hired, whatever is asked for

  struct Job {
    void (*call)(const void* task, Index i);
    const void* task;
    Index tasks;
    std::fenv_t environment;
    std::atomic<Index> taken{0}, taken_by_helpers{0};
    std::exception_ptr exception;  // the first one that a task has thrown
    std::atomic<bool> thrown{false};

    // The caller goes from the first task upwards and helpers from the last one downwards until they meet. So from
    // one step to the next a thread sees mostly the same data, which its cache may still hold.
    void work(bool helper) noexcept {
      try {
        for (Index front = 0; taken.fetch_add(1, std::memory_order_relaxed) < tasks; ++front)
          call(task, helper ? tasks - 1 - taken_by_helpers.fetch_add(1, std::memory_order_relaxed) : front);
      } catch (...) {
        taken.store(tasks, std::memory_order_relaxed);  // nobody begins another one
        if (!thrown.exchange(true)) exception = std::current_exception();
      }
    }
  };

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  static std::int64_t now() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
  }

  // ---- the caller ----

  template <class Task>
  bool run_together(Index tasks, int helpers, const Task& task) {
    const std::unique_lock alone(busy_, std::try_to_lock);
    if (!alone) return false;
    Job job{[](const void* t, Index i) { (*static_cast<const Task*>(t))(i); }, &task, tasks, {}, {}, {}, {}, {}};
    std::fegetenv(&job.environment);
    helpers = std::min(helpers, most_helpers_);
    hire(helpers);
    open(job, helpers);
    job.work(false);
    close();
    if (job.exception) std::rethrow_exception(job.exception);
    return true;
  }

  void hire(int helpers) {
    if (hired_ >= helpers) return;
    const NoSignals inherited_by_helpers;
    try {
      for (; hired_ < helpers; ++hired_) std::thread(&Team::help, this, hired_).detach();
    } catch (const std::exception&) {  // no more threads to be had: those there are will do
    }
  }

  void open(Job& job, int helpers) {
    job_ = &job;
    wanted_.store(helpers, std::memory_order_relaxed);
    row_ = follows_.exchange(false) || in_a_row();
    gate_.store(kOpen, std::memory_order_release);
    next_round();
  }

  void next_round() {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }

  void close() {
    gate_.fetch_and(~kOpen, std::memory_order_acq_rel);
    for (int i = 0; gate_.load(std::memory_order_acquire) != 0; ++i) {
      if (i < 1000) {
        pause();
      } else {
        std::this_thread::yield();  // a helper has lost its processor in the middle of a task
      }
    }
  }

  // ---- a helper ----

  [[noreturn]] void help(int number) {
    for (;;) {
      const std::uint32_t round = round_.load(std::memory_order_acquire);
      if (number < wanted_.load(std::memory_order_relaxed) && enter()) {
        std::fesetenv(&job_->environment);
        job_->work(true);
        gate_.fetch_sub(1, std::memory_order_release);
      }
      await_round_after(round);
    }
  }

  // Goes through the gate if it is open; the caller then waits until this helper has left.
  bool enter() {
    std::uint32_t gate = gate_.load(std::memory_order_acquire);
    while (gate & kOpen)
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) return true;
    return false;
  }

  void await_round_after(std::uint32_t round) {
    if (row_)
      for (const std::int64_t end = now() + kSpin; now() < end;)
        for (int i = 0; i < 16; ++i, pause())
          if (round_.load(std::memory_order_acquire) != round) return;
    round_.wait(round, std::memory_order_acquire);
  }

  // Asked for once: the answer takes longer than a small step.
  const int most_helpers_ = kHelpersPerProcessor * static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));

  std::mutex busy_;                      // held by the caller that has the team
  int hired_ = 0;                        // how many helpers there are
  Job* job_ = nullptr;                   // valid while the gate is open or somebody is inside
  std::atomic<int> wanted_{0};           // how many helpers the job may have
  std::atomic<std::uint32_t> gate_{0};   // the number of helpers inside, and kOpen
  std::atomic<std::uint32_t> round_{0};  // counts jobs, and the times that helpers were roused; they sleep on it
  std::atomic<std::int64_t> closed_{0};  // when the last call ended
  std::atomic<bool> follows_{false};     // whether the call that is about to come was announced in a row
  std::atomic<bool> row_{false};         // whether the last job came in a row with the one before, or one is coming
};

}  // namespace schuss
