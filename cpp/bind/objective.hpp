// Objectives, as a minimiser is told of them: Python functions, and compiled ones that run without the GIL.
#pragma once

#include <pybind11/numpy.h>

#include <chrono>
#include <cstdint>

#include "bind/views.hpp"
#include "schuss/minimize/methods.hpp"

namespace schuss::bind {

// int32 fg(int64 n, const T* x, T* f, T* g, void* user); 1 stands for success.
template <class T>
using Compiled = std::int32_t (*)(std::int64_t n, const T* x, T* f, T* g, void* user);

// Runs a solver to its end on a compiled objective. What the objective does not set is not a number, and so is f
// where it fails.
template <class T, class Interrupted>
void run(minimize::Solver& solver, Compiled<T> objective, void* user, Interrupted&& interrupted) {
  const Index n = solver.size();
  minimize::Vector<T> g(n);
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
  while (solver.wants() == minimize::Wants::gradient) {
    T f = kNan;
    std::fill_n(g.data(), n, kNan);
    const std::int32_t code = objective(n, static_cast<const T*>(solver.asked()), &f, g.data(), user);
    solver.tell(code == 1 ? f : kNan, g.data());
    if (interrupted()) return;
  }
}

// Says every 50 ms whether a signal such as Ctrl-C waits, for which it takes the GIL a moment.
class Signals {
 public:
  bool operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - asked_ < std::chrono::milliseconds(50)) return false;
    asked_ = now;
    const pybind11::gil_scoped_acquire acquired;
    return came_ = PyErr_CheckSignals() != 0;
  }
  // With the GIL: raises what came.
  void raise() const {
    if (came_) throw pybind11::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  bool came_ = false;
};

// ---- what Python functions return ----

inline double number_of(const py::handle& f) {
  if (PyFloat_Check(f.ptr())) return PyFloat_AS_DOUBLE(f.ptr());
  if (py::isinstance<py::array>(f)) {
    const auto array = py::reinterpret_borrow<py::array>(f);
    if (array.size() != 1)
      throw py::value_error("fun returned an array of shape " + std::string(py::str(array.attr("shape"))) +
                            ", expected a number");
    return number_of(array.attr("item")());
  }
  const double value = PyFloat_AsDouble(f.ptr());
  if (value == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    throw py::type_error("fun returned " + std::string(py::repr(f)) + ", expected a number");
  }
  return value;
}

// The memory of an array with so many numbers, in any form that NumPy can make one of; `name` returned it.
template <class T>
py::array_t<T, py::array::c_style> numbers_of(const py::handle& object, Index size, const char* name) {
  using Array = py::array_t<T, py::array::c_style>;
  py::object array;
  if (Array::check_(object)) {
    array = py::reinterpret_borrow<py::object>(object);
  } else {
    array = py::module_::import("numpy").attr("ascontiguousarray")(object, py::arg("dtype") = py::dtype::of<T>());
  }
  auto numbers = py::reinterpret_borrow<Array>(array);
  if (numbers.size() != size)
    throw py::value_error(std::string(name) + " has shape " + std::string(py::str(numbers.attr("shape"))) +
                          ", expected " + std::to_string(size) + " numbers");
  return numbers;
}

// The points at which a Python function is called. It may keep the array, so it gets another one the next time;
// but for where nobody has kept it.
template <class T>
class Points {
 public:
  explicit Points(Index n) : n_(n) {}

  const py::object& at(const void* x) {
    if (!array_ || !is_ours()) array_ = py::array_t<T>(n_);
    std::memcpy(reinterpret_cast<py::array_t<T>&>(array_).mutable_data(), x, n_ * sizeof(T));
    return array_;
  }

 private:
  bool is_ours() const {
#ifdef Py_GIL_DISABLED
    return false;
#else
    if (Py_REFCNT(array_.ptr()) != 1) return false;
    const auto array = py::reinterpret_borrow<py::array>(array_);
    return array.writeable() && array.ndim() == 1 && array.size() == n_;
#endif
  }

  Index n_;
  py::object array_;
};

}  // namespace schuss::bind
