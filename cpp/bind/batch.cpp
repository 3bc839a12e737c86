// Many minimisations at once: a compiled objective in parallel over problems, or a Python function in lock-step.
#include <atomic>
#include <thread>

#include "bind/bind.hpp"
#include "bind/minimize.hpp"
#include "bind/objective.hpp"
#include "bind/views.hpp"

namespace schuss::bind {

namespace {

using minimize::Options;
using minimize::Solver;
using minimize::Wants;

// The arrays that say what is known of every problem. They are Python's, which has them although an exception ends the
// call; a problem that was not begun keeps what they began with.
template <class T>
class Answers {
 public:
  explicit Answers(const py::dict& arrays)
      : x_(memory<T>(arrays, "x")),
        jac_(memory<T>(arrays, "jac")),
        fun_(memory<double>(arrays, "fun")),
        nit_(memory<std::int64_t>(arrays, "nit")),
        nfev_(memory<std::int64_t>(arrays, "nfev")),
        status_(memory<std::int64_t>(arrays, "status")) {}

  void set(Index i, const Solver& solver) {
    const Index n = solver.size();
    const Solver::Point best = solver.best();
    std::memcpy(x_ + i * n, best.x, n * sizeof(T));
    std::memcpy(jac_ + i * n, best.g, n * sizeof(T));
    fun_[i] = best.f;
    nit_[i] = solver.iterations();
    nfev_[i] = solver.evaluations();
    status_[i] = static_cast<std::int64_t>(solver.status());
  }

 private:
  template <class Value>
  static Value* memory(const py::dict& arrays, const char* name) {
    return arrays[name].cast<py::array_t<Value, py::array::c_style>>().mutable_data();
  }

  T *x_, *jac_;
  double* fun_;
  std::int64_t *nit_, *nfev_, *status_;
};

// In parallel over problems; each is solved by one thread. A signal, which only the calling thread can see, ends all.
void batch_compiled(const std::string& method, const py::handle& x0, const py::dict& options, std::uintptr_t address,
                    std::uintptr_t user, const py::dict& arrays) {
  constexpr Index kProblems = 8;  // in a task
  const View starts = view_of(x0, "X0", Access::read, 2);
  const Index count = starts.array.shape(0), n = starts.array.shape(1);
  Options own = options_of(options);
  const int helpers = std::exchange(own.threads, 1) - 1;
  with_format(starts.format, [&]<class T>(T) {
    Answers<T> answers(arrays);
    const T* const from = static_cast<const T*>(starts.data());
    const auto objective = reinterpret_cast<Compiled<T>>(address);
    Signals signals;
    std::atomic<bool> ended = false;
    const auto stopped = [&, caller = std::this_thread::get_id()] {
      if (std::this_thread::get_id() == caller) signals.raise();
      return ended.load(std::memory_order_relaxed);
    };
    const auto solve = [&](Index i) {
      const auto solver = minimize::make_solver<T>(method, from + i * n, n, own);
      try {
        run<T>(*solver, objective, reinterpret_cast<void*>(user), stopped);
      } catch (...) {
        ended = true;
        answers.set(i, *solver);
        throw;
      }
      answers.set(i, *solver);
    };
    const auto task = [&](Index k) {
      for (Index i = k * kProblems; i < std::min((k + 1) * kProblems, count) && !ended; ++i) solve(i);
    };
    const py::gil_scoped_release released;
    threads.team().run((count + kProblems - 1) / kProblems, helpers, task);
  });
}

// In lock-step: fun(X, idx) evaluates all problems that still run.
void batch_lock_step(const std::string& method, const py::handle& x0, const py::dict& options, const py::object& fun,
                     const py::dict& arrays) {
  const View starts = view_of(x0, "X0", Access::read, 2);
  const Index count = starts.array.shape(0), n = starts.array.shape(1);
  Options own = options_of(options);
  own.threads = 1;
  with_format(starts.format, [&]<class T>(T) {
    Answers<T> answers(arrays);
    std::vector<std::unique_ptr<Solver>> solvers;
    std::vector<std::int64_t> running;
    for (Index i = 0; i < count; ++i) {
      solvers.push_back(minimize::make_solver<T>(method, static_cast<const T*>(starts.data()) + i * n, n, own));
      running.push_back(i);
    }
    const auto advance = [&] {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      const auto rows = std::ssize(running);
      py::array_t<T> points({rows, n});
      T* const to = points.mutable_data();
      for (Index k = 0; k < rows; ++k) std::memcpy(to + k * n, solvers[running[k]]->asked(), n * sizeof(T));
      const py::object told = fun(points, py::array_t<std::int64_t>(rows, running.data()));
      if (!PyTuple_Check(told.ptr()) || PyTuple_GET_SIZE(told.ptr()) != 2)
        throw py::type_error("fun returned " + std::string(py::str(py::type::of(told).attr("__name__"))) +
                             ", expected a pair (F, G)");
      const auto f = numbers_of<double>(PyTuple_GET_ITEM(told.ptr(), 0), {rows}, "F");
      const auto g = numbers_of<T>(PyTuple_GET_ITEM(told.ptr(), 1), {rows, n}, "G");
      for (Index k = 0; k < rows; ++k) solvers[running[k]]->tell(f.data()[k], g.data() + k * n);
      std::erase_if(running, [&](std::int64_t i) {
        const bool done = solvers[i]->wants() == Wants::nothing;
        if (done) {
          answers.set(i, *solvers[i]);
          solvers[i].reset();
        }
        return done;
      });
    };
    try {
      while (!running.empty()) advance();
    } catch (...) {
      for (const std::int64_t i : running)
        if (solvers[i]->evaluations() > 0) answers.set(i, *solvers[i]);
      throw;
    }
  });
}

}  // namespace

void register_batch(py::module_& module) {
  module.def("batch_compiled", &batch_compiled);
  module.def("batch_lock_step", &batch_lock_step);
}

}  // namespace schuss::bind
