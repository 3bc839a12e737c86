// How many threads a call uses, and the one way to run work on them.
#pragma once

#include <algorithm>
#include <atomic>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "schuss/team.hpp"

namespace schuss {

// OpenMP is asked how many threads there may be: OMP_NUM_THREADS and threadpoolctl speak through it.
#ifdef _OPENMP
inline int openmp_limit() { return omp_get_max_threads(); }
#else
inline int openmp_limit() { return 1; }
#endif

// How much each thread must find to do, in bytes read and written, for another one to be called: little where calls
// come in a row, and more where a helper must first be woken up, which takes some 30 µs.
constexpr Index kBytesInARow = 256 * 1024;
constexpr Index kBytesToWake = 2 * 1024 * 1024;

class Threads {
 public:
  void set(int wanted) { wanted_ = wanted; }

  // What was asked for, unless the OpenMP runtime has been limited since (threadpoolctl).
  int count() const {
    const int limit = openmp_limit();
    return limit != limit_at_import_ ? std::min<int>(limit, wanted_) : wanted_.load();
  }

  // How many helpers work that moves so many bytes is worth; with the caller they are at most max_threads.
  int helpers(Index bytes, int max_threads) const {
    if (max_threads < 2 || bytes < 2 * kBytesInARow) return 0;  // not even the time is looked at
    const Index useful = bytes / (team_->in_a_row() ? kBytesInARow : kBytesToWake) - 1;
    return static_cast<int>(std::clamp<Index>(useful, 0, max_threads - 1));
  }

  Team& team() { return *team_; }

  // The threads of a team stay with the parent of a fork, so the child gets a team of its own. The parent's is left
  // alone: its locks may be held by threads that are not there.
  void after_fork_in_child() { team_ = new Team; }

 private:
  std::atomic<int> wanted_{1};
  const int limit_at_import_ = openmp_limit();
  Team* team_ = new Team;  // never deleted: its threads may outlive the statics
};

inline Threads threads;

}  // namespace schuss
