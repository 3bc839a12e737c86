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

#include <atomic>
#include <cfenv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

namespace schuss {

using Index = std::ptrdiff_t;

class Team {
 public:
  // Runs task(i) once for each i = 0 … tasks − 1, on the caller and up to `helpers` threads. While somebody else has
  // the team the caller works alone. Every thread computes in the caller's floating-point environment (rounding,
  // flushing of denormals), so the result does not depend on who does what.
  template <class Task>
  void run(Index tasks, int helpers, const Task& task) {
    const std::unique_lock alone(busy_, std::try_to_lock);
    if (helpers < 1 || tasks < 2 || !alone) {
      for (Index i = 0; i < tasks; ++i) task(i);
      stamp(closed_);
      return;
    }
    Job job{[](const void* t, Index i) { (*static_cast<const Task*>(t))(i); }, &task, tasks, helpers, {}};
    std::fegetenv(&job.environment);
    hire(helpers);
    open(job);
    job.work(false);
    close();
    stamp(closed_);
  }

  // Whether the last call is so recent that helpers are still awake, or are worth waking because calls come in a row.
  bool in_a_row() const { return Clock::now().time_since_epoch() - Clock::duration(closed_) < kSpin; }

 private:
  using Clock = std::chrono::steady_clock;

  static constexpr auto kSpin = std::chrono::microseconds(50);
  static constexpr std::uint32_t kOpen = 1u << 31;

  struct Job {
    void (*call)(const void* task, Index i);
    const void* task;
    Index tasks;
    int helpers;
    std::fenv_t environment;
    std::atomic<Index> taken{0}, taken_by_helpers{0};

    // The caller goes from the first task upwards and helpers from the last one downwards until they meet. So from
    // one step to the next a thread sees mostly the same data, which its cache may still hold.
    void work(bool helper) {
      for (Index front = 0; taken.fetch_add(1, std::memory_order_relaxed) < tasks; ++front)
        call(task, helper ? tasks - 1 - taken_by_helpers.fetch_add(1, std::memory_order_relaxed) : front);
    }
  };

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  static void stamp(std::atomic<Clock::rep>& time) {
    time.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  }

  // ---- the caller ----

  void hire(int helpers) {
#ifdef SIGINT  // signals are for the threads of the program: helpers block them all
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    try {
      for (; hired_ < helpers; ++hired_) std::thread(&Team::help, this, hired_).detach();
    } catch (const std::system_error&) {  // no more threads to be had: those there are will do
    }
#ifdef SIGINT
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  }

  void open(Job& job) {
    job_ = &job;
    stamp(opened_);
    gate_.store(kOpen, std::memory_order_release);
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
    bool busy_lately = true;
    for (;;) {
      const std::uint32_t round = round_.load(std::memory_order_acquire);
      if (enter()) {
        if (number < job_->helpers) {
          std::fesetenv(&job_->environment);
          job_->work(true);
        }
        gate_.fetch_sub(1, std::memory_order_release);
      }
      busy_lately = await_round_after(round, busy_lately);
    }
  }

  // Goes through the gate if it is open; the caller then waits until this helper has left.
  bool enter() {
    std::uint32_t gate = gate_.load(std::memory_order_acquire);
    while (gate & kOpen)
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) return true;
    return false;
  }

  // Returns when there is a new round, and whether it came within the time for which spinning is worth while.
  bool await_round_after(std::uint32_t round, bool spin) {
    const auto end = Clock::now() + kSpin;
    while (spin && Clock::now() < end) {
      for (int i = 0; i < 16; ++i, pause())
        if (round_.load(std::memory_order_acquire) != round) return true;
    }
    round_.wait(round, std::memory_order_acquire);
    return opened_.load(std::memory_order_relaxed) < end.time_since_epoch().count();
  }

  std::mutex busy_;                      // held by the caller that has the team
  int hired_ = 0;                        // how many helpers there are
  Job* job_ = nullptr;                   // valid while the gate is open or somebody is inside
  std::atomic<std::uint32_t> gate_{0};   // the number of helpers inside, and kOpen
  std::atomic<std::uint32_t> round_{0};  // counts jobs; helpers sleep on it
  std::atomic<Clock::rep> opened_{0};    // when the last job was opened,
  std::atomic<Clock::rep> closed_{0};    // and when the last call ended
};

}  // namespace schuss
