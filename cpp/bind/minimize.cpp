// The minimisers: solvers that ask and are told, driven by Python functions or by compiled ones.
#include "bind/minimize.hpp"

#include "bind/bind.hpp"
#include "bind/objective.hpp"
#include "bind/views.hpp"

namespace schuss::bind {

namespace {

using minimize::Solver;
using minimize::Status;
using minimize::Wants;

// ---- options ----

template <class Enum, std::size_t N>
void read_choice(Enum& to, const py::dict& values, const char* name, const std::array<const char*, N>& choices) {
  if (!values.contains(name)) return;
  const std::string chosen = py::str(values[name]);
  for (std::size_t i = 0; i < N; ++i)
    if (chosen == choices[i]) to = static_cast<Enum>(i);
}

// ---- state ----

class Saver final : public minimize::Visitor {
 public:
  void number(std::string_view name, double& value) override { state[key(name)] = value; }
  void count(std::string_view name, Index& value) override { state[key(name)] = value; }
  void flag(std::string_view name, bool& value) override { state[key(name)] = value; }
  void array(std::string_view name, float* values, Index size) override { save(name, values, size); }
  void array(std::string_view name, double* values, Index size) override { save(name, values, size); }

  py::dict state;

 private:
  static py::str key(std::string_view name) { return {name.data(), name.size()}; }
  template <class T>
  void save(std::string_view name, const T* values, Index size) {
    state[key(name)] = py::array_t<T>(size, values);
  }
};

class Loader final : public minimize::Visitor {
 public:
  explicit Loader(const py::dict& state) : state_(state) {}

  void number(std::string_view name, double& value) override { value = find<double>(name, "a number"); }
  void count(std::string_view name, Index& value) override {
    value = find<Index>(name, "an integer");
    if (value < 0) throw py::value_error(label(name) + " is " + std::to_string(value) + ", expected at least 0");
  }
  void flag(std::string_view name, bool& value) override {
    const py::object found = find(name);
    if (!PyBool_Check(found.ptr()))
      throw py::type_error(label(name) + " is " + std::string(py::repr(found)) + ", expected True or False");
    value = found.ptr() == Py_True;
  }
  void array(std::string_view name, float* values, Index size) override { load(name, values, size); }
  void array(std::string_view name, double* values, Index size) override { load(name, values, size); }

 private:
  static std::string label(std::string_view name) { return "state['" + std::string(name) + "']"; }

  template <class Value>
  Value find(std::string_view name, const char* expected) const {
    const py::object found = find(name);
    try {
      return found.cast<Value>();
    } catch (const py::cast_error&) {
      throw py::type_error(label(name) + " is " + std::string(py::repr(found)) + ", expected " + expected);
    }
  }
  py::object find(std::string_view name) const {
    const py::str key(name.data(), name.size());
    if (!state_.contains(key)) throw py::value_error("state lacks '" + std::string(name) + "'");
    return state_[key];
  }

  template <class T>
  void load(std::string_view name, T* values, Index size) const {
    const py::str argument(label(name)), index("");
    const py::object object = find(name);
    const View found = view(object, Access::read, {argument, index});
    if (found.format != (sizeof(T) == 4 ? Format::f32 : Format::f64))
      throw py::type_error(label(name) + " has dtype " + std::string(py::str(found.array.dtype())) + ", expected " +
                           (sizeof(T) == 4 ? "float32" : "float64"));
    if (found.size() != size)
      throw py::value_error(label(name) + " has " + std::to_string(found.size()) + " numbers, expected " +
                            std::to_string(size));
    std::memcpy(values, found.data(), size * sizeof(T));
  }

  const py::dict& state_;
};

// ---- one solver ----

template <class T>
py::array_t<T> array_of(const void* values, Index size) {
  return py::array_t<T>(size, static_cast<const T*>(values));
}

// A solver as Python holds it.
class Handle {
 public:
  Handle(const std::string& method, const py::handle& x0, const py::dict& options) {
    const View start = view_of(x0, "x0", Access::read, 1);
    format_ = start.format;
    with_format(format_, [&]<class T>(T) {
      solver_ =
          minimize::make_solver<T>(method, static_cast<const T*>(start.data()), start.size(), options_of(options));
    });
    if (!solver_) throw py::value_error("method is '" + method + "', which there is not");
  }

  py::object ask() const {
    return with_format(format_,
                       [&]<class T>(T) -> py::object { return array_of<T>(solver().asked(), solver().size()); });
  }

  void tell(const py::handle& f, const py::handle& g) {
    const double value = number_of(f);
    with_format(format_, [&]<class T>(T) {
      const auto gradient = numbers_of<T>(g, {solver_->size()}, "the gradient");
      require_wanted(Wants::gradient, "fun and its gradient");
      solver_->tell(value, gradient.data());
    });
  }

  void tell_hessian(const py::handle& h) {
    with_format(format_, [&]<class T>(T) {
      const auto hessian = numbers_of<T>(h, {solver_->size(), solver_->size()}, "the Hessian");
      require_wanted(Wants::hessian, "the Hessian");
      solver_->tell_hessian(hessian.data());
    });
  }

  // Runs to the end. fun(x, *args) gives f and g, or f alone where there is a jac; `after(x, f)` is called after each
  // iteration and says whether to stop.
  void drive(const py::object& fun, const py::object& jac, const py::object& hess, const py::tuple& args,
             const py::object& after) {
    const Driving driving(*this);
    with_format(format_, [&]<class T>(T) { drive_as<T>(fun, jac, hess, args, after); });
  }

  // The same with a compiled objective: the GIL is taken for `after` only.
  void run_compiled(std::uintptr_t address, std::uintptr_t user, const py::object& after) {
    const Driving driving(*this);
    const Set away(away_, true);
    const py::gil_scoped_release released;
    Signals signals;
    with_format(format_, [&]<class T>(T) {
      run<T>(*solver_, reinterpret_cast<Compiled<T>>(address), reinterpret_cast<void*>(user),
             [&, iterations = solver_->iterations()]() mutable {
               signals.raise();
               if (std::exchange(iterations, solver_->iterations()) != solver_->iterations()) look<T>(after);
               return false;
             });
    });
  }

  py::tuple best() const { return show(solver().best()); }
  py::tuple iterate() const { return show(solver().iterate()); }

  py::object inverse_hessian() {
    return with_format(format_, [&]<class T>(T) -> py::object {
      const Index n = solver_->size();
      py::array_t<T> full({n, n});
      if (!solver().inverse_hessian(full.mutable_data())) return py::none();
      return full;
    });
  }

  void set_inverse_hessian(const py::handle& h) {
    const View full = view_of(h, "hess_inv0", Access::read, 2);
    const Index n = solver_->size();
    if (full.format != format_ || full.size() != n * n || (n > 0 && full.array.shape(0) != n))
      throw py::value_error("hess_inv0 has shape " + std::string(py::str(full.array.attr("shape"))) + " and dtype " +
                            std::string(py::str(full.array.dtype())) + ", expected (n, n) and the dtype of x0");
    require_idle();
    solver_->set_inverse_hessian(full.data());
  }

  py::dict state() {
    Saver saver;
    solver().visit(saver);
    return saver.state;
  }
  void load(const py::dict& state) {
    require_idle();
    Loader loader(state);
    solver_->visit(loader);
    solver_->restart();
  }

  // For whoever holds the GIL; throws while the solver goes on without.
  Solver& solver() const {
    if (away_) throw std::runtime_error("the solver is running in another thread");
    return *solver_;
  }

 private:
  // Sets a flag for as long as it lives.
  class Set {
   public:
    Set(bool& flag, bool value) : flag_(flag), before_(std::exchange(flag, value)) {}
    ~Set() { flag_ = before_; }
    Set(const Set&) = delete;

   private:
    bool &flag_, before_;
  };

  // Nobody else may go on with a solver that is driven.
  struct Driving {
    explicit Driving(Handle& handle) : driven((handle.require_idle(), handle.driven_), true) {}
    Set driven;
  };
  void require_idle() const {
    if (driven_) throw std::runtime_error("the solver is running: it cannot be told, run or loaded now");
  }

  void require_wanted(Wants wanted, const std::string& what) const {
    require_idle();
    if (solver_->wants() != wanted)
      throw py::value_error(solver_->wants() == Wants::nothing ? "the solver is done: it has not asked for anything"
                                                               : "the solver has not asked for " + what);
  }

  py::tuple show(const Solver::Point& point) const {
    return with_format(format_, [&]<class T>(T) -> py::tuple {
      const Index n = solver_->size();
      return py::make_tuple(array_of<T>(point.x, n), point.f, array_of<T>(point.g, n), point.norm);
    });
  }

  template <class T>
  void drive_as(const py::object& fun, const py::object& jac, const py::object& hess, const py::tuple& args,
                const py::object& after) {
    const Index n = solver_->size();
    Points<T> points(n);
    const auto call = [&](const py::object& function) {
      const py::object& x = points.at(solver_->asked());
      return args.empty() ? py::reinterpret_steal<py::object>(PyObject_CallOneArg(function.ptr(), x.ptr()))
                          : function(x, *args);
    };
    while (solver_->wants() != Wants::nothing) {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (solver_->wants() == Wants::hessian) {
        const py::object h = require(call(hess));
        solver_->tell_hessian(numbers_of<T>(h, {n, n}, "the Hessian").data());
        continue;
      }
      const Index iterations = solver_->iterations();
      const py::object value = require(call(fun));
      if (!jac.is_none()) {
        const double f = number_of(value);
        const py::object g = require(call(jac));
        solver_->tell(f, numbers_of<T>(g, {n}, "the gradient").data());
      } else {
        const auto [f, g] = pair_of(value);
        const double number = number_of(f);
        solver_->tell(number, numbers_of<T>(g, {n}, "the gradient").data());
      }
      if (solver_->iterations() > iterations) look<T>(after);
    }
  }

  // Shows an iterate to `after`, which may end the minimisation even where it has converged.
  template <class T>
  void look(const py::object& after) {
    if (after.ptr() == Py_None) return;
    const py::gil_scoped_acquire acquired;
    const Set here(away_, false);
    const Solver::Point now = solver_->iterate();
    if (py::cast<bool>(after(array_of<T>(now.x, solver_->size()), now.f))) solver_->stop(Status::stopped);
  }

  static py::object require(py::object returned) {
    if (!returned) throw py::error_already_set();
    return returned;
  }

  static std::pair<py::object, py::object> pair_of(const py::object& value) {
    if (PyTuple_CheckExact(value.ptr()) && PyTuple_GET_SIZE(value.ptr()) == 2)
      return {py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(value.ptr(), 0)),
              py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(value.ptr(), 1))};
    if (!PySequence_Check(value.ptr()) || PySequence_Size(value.ptr()) != 2) {
      PyErr_Clear();
      throw py::type_error("fun returned " + std::string(py::str(py::type::of(value).attr("__name__"))) +
                           ", expected a pair (f, g) as jac=True promises");
    }
    const auto sequence = py::reinterpret_borrow<py::sequence>(value);
    return {sequence[0], sequence[1]};
  }

  Format format_;
  std::unique_ptr<Solver> solver_;
  bool driven_ = false;  // drive or run_compiled has begun and not ended
  bool away_ = false;    // and goes on without the GIL
};

// ---- a line search by itself ----

// φ as a Python function of the step, which gives φ and φ′.
struct PythonLine {
  const py::object& phi;
  int evaluations = 0;

  struct Probe {
    PythonLine& line;
    double step;
    bool await_ready() const { return true; }
    void await_suspend(std::coroutine_handle<>) const {}
    minimize::Sample await_resume() const {
      ++line.evaluations;
      const py::tuple told = line.phi(step);
      const double f = number_of(told[0]), slope = number_of(told[1]);
      return {step, f, slope, std::isfinite(f) && std::isfinite(slope)};
    }
  };
  Probe at(double step) { return {*this, step}; }
};

py::tuple line_search(const py::object& phi, double first, const std::string& search, double c1, double c2) {
  PythonLine line{phi};
  const py::tuple at_zero = phi(0.0);
  const minimize::Sample zero{0, number_of(at_zero[0]), number_of(at_zero[1])};
  const minimize::Wolfe wolfe{c1, c2};
  const auto task = search == "backtracking" ? minimize::backtracking(line, zero, first, wolfe)
                    : search == "exact"      ? minimize::exact(line, zero, first, wolfe)
                                             : minimize::more_thuente(line, zero, first, wolfe);
  task.handle().resume();
  const minimize::Found found = task.result();
  return py::make_tuple(found.step, line.evaluations, found.ending == minimize::Ending::wolfe);
}

// ---- an objective to try things with ----

// Rosenbrock's function of pairs of unknowns, compiled.
template <class T>
std::int32_t rosenbrock(std::int64_t n, const T* x, T* f, T* g, void*) {
  T sum = 0;
  for (std::int64_t i = 0; i + 1 < n; i += 2) {
    const T a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
    sum += 100 * a * a + b * b;
    g[i] = -400 * a * x[i] - 2 * b;
    g[i + 1] = 200 * a;
  }
  if (n % 2) g[n - 1] = 0;
  *f = sum;
  return 1;
}

// Reads every value and writes it back with its sign changed: what passing over a matrix takes at least.
void rewrite(py::array_t<double, py::array::c_style>& array, int num_threads) {
  double* const values = array.mutable_data();
  const Index size = array.size();
  const py::gil_scoped_release released;
  minimize::for_chunks(size, 2 * sizeof(double), thread_count(num_threads), [=](Index begin, Index end, Index) {
    for (Index i = begin; i < end; ++i) values[i] = -values[i];
  });
}

}  // namespace

minimize::Options options_of(const py::dict& values) {
  minimize::Options o;
  const auto read = [&](const char* name, auto& to) {
    if (values.contains(name) && !values[name].is_none()) to = values[name].cast<std::decay_t<decltype(to)>>();
  };
  read("gtol", o.gtol);
  read("xrtol", o.xrtol);
  read("ftol", o.ftol);
  read("norm", o.norm);
  read("maxiter", o.max_iterations);
  read("maxfun", o.max_evaluations);
  read("maxtime", o.max_seconds);
  read("c1", o.decrease);
  read("c2", o.curvature);
  read("first_step", o.first_step);
  read("memory", o.memory);
  read("restart", o.restart);
  read("powell", o.powell);
  read("floor", o.floor);
  read_choice(o.search, values, "line_search", std::array{"wolfe", "backtracking", "exact"});
  read_choice(o.beta, values, "beta", std::array{"pr", "fr", "hs", "dy", "hz"});
  read_choice(o.scaling, values, "scaling", std::array{"none", "first", "always"});
  read_choice(o.curvature_of, values, "curvature", std::array{"regularized", "saddle_free"});
  int wanted = 0;
  read("num_threads", wanted);
  o.threads = thread_count(wanted);
  return o;
}

void register_minimizers(py::module_& module) {
  py::class_<Handle>(module, "Solver", py::module_local())
      .def(py::init<const std::string&, const py::handle&, const py::dict&>())
      .def_property_readonly("wants",
                             [](const Handle& self) {
                               static constexpr const char* kNames[] = {"gradient", "hessian", ""};
                               return kNames[static_cast<int>(self.solver().wants())];
                             })
      .def_property_readonly("status", [](const Handle& self) { return static_cast<int>(self.solver().status()); })
      .def_property_readonly("nit", [](const Handle& self) { return self.solver().iterations(); })
      .def_property_readonly("nfev", [](const Handle& self) { return self.solver().evaluations(); })
      .def_property_readonly("nhev", [](const Handle& self) { return self.solver().hessians(); })
      .def("ask", &Handle::ask)
      .def("tell", &Handle::tell)
      .def("tell_hessian", &Handle::tell_hessian)
      .def("stop", [](Handle& self, int status) { self.solver().stop(static_cast<Status>(status)); })
      .def("drive", &Handle::drive)
      .def("run_compiled", &Handle::run_compiled)
      .def("best", &Handle::best)
      .def("iterate", &Handle::iterate)
      .def("inverse_hessian", &Handle::inverse_hessian)
      .def("set_inverse_hessian", &Handle::set_inverse_hessian)
      .def("state", &Handle::state)
      .def("load", &Handle::load);
  module.def("line_search", &line_search);
  module.def("rewrite", &rewrite);
  module.def("methods", [] {
    py::dict constants;
    for (const auto& entry : minimize::kMethods<double>)
      constants[py::str(entry.name.data(), entry.name.size())] = entry.curvature;
    return constants;
  });
  module.def("rosenbrock", [](bool single) {
    return single ? reinterpret_cast<std::uintptr_t>(&rosenbrock<float>)
                  : reinterpret_cast<std::uintptr_t>(&rosenbrock<double>);
  });
}

}  // namespace schuss::bind
