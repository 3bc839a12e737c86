// How many threads a call uses, and the one way to run work on them.
#pragma once

#include <atomic>
#include <cfenv>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace schuss {

#ifdef _OPENMP
inline int openmp_limit() { return omp_get_max_threads(); }
#else
inline int openmp_limit() { return 1; }
#endif

struct Threads {
  std::atomic<int> wanted{1};
  std::atomic<bool> forked{false};
  const int openmp_limit_at_import = openmp_limit();

  // What was asked for, unless the OpenMP runtime has been limited since (threadpoolctl), or this is a forked child:
  // libgomp's threads do not survive a fork, and waiting for them would never end.
  int count() const {
    if (forked) return 1;
    const int limit = openmp_limit();
    return limit < openmp_limit_at_import ? std::min<int>(limit, wanted) : wanted.load();
  }
};

inline Threads threads;

// Runs work(k, count) for k = 0 … count − 1. Every thread computes in the caller's floating-point environment
// (rounding, flushing of denormals), so that the result does not depend on the number of threads.
template <class Work>
void parallel(int count, const Work& work) {
#ifdef _OPENMP
  if (count > 1 && !threads.forked) {
    std::fenv_t callers;
    std::fegetenv(&callers);
#pragma omp parallel num_threads(count)
    {
      std::fenv_t own;
      std::fegetenv(&own);
      std::fesetenv(&callers);
      work(omp_get_thread_num(), omp_get_num_threads());
      std::fesetenv(&own);
    }
    return;
  }
#endif
  work(0, 1);
}

}  // namespace schuss
