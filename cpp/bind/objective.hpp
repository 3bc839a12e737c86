// Objectives, as a minimiser is told of them: Python functions, and compiled ones that run without the GIL.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "bind/signals.hpp"
#include "bind/views.hpp"
#include "schuss/minimize/methods.hpp"

namespace schuss::bind {

// int32 fg(int64 n, const T* x, T* f, T* g, void* user); 1 stands for success.
template <class T>
using Compiled = std::int32_t (*)(std::int64_t n, const T* x, T* f, T* g, void* user);

// Runs a solver to its end on a compiled objective, or until `stopped()`, which is asked after each evaluation. What
// the objective does not set is not a number, and so is f where it fails.
template <class T, class Stopped>
void run(minimize::Solver& solver, Compiled<T> objective, void* user, Stopped&& stopped) {
  const Index n = solver.size();
  minimize::Vector<T> g(n);
  constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
  while (solver.wants() == minimize::Wants::gradient) {
    T f = kNan;
    std::fill_n(g.data(), n, kNan);
    const std::int32_t code = objective(n, static_cast<const T*>(solver.asked()), &f, g.data(), user);
    solver.tell(code == 1 ? f : kNan, g.data());
    if (stopped()) return;
  }
}

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

// The memory of an array of real numbers and of that shape, in any form that NumPy can make one of; `name` returned it.
// A single number needs no dimensions.
template <class T>
py::array_t<T, py::array::c_style> numbers_of(const py::handle& object, std::initializer_list<Index> shape,
                                              const char* name) {
  using Array = py::array_t<T, py::array::c_style>;
  const auto fits = [&](const py::array& array) {
    return std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim());
  };
  if (Array::check_(object) && fits(py::reinterpret_borrow<py::array>(object)))
    return py::reinterpret_borrow<Array>(object);

  const py::array found = py::array::ensure(object);
  if (!found || std::string_view("fiub").find(found.dtype().kind()) == std::string_view::npos)
    throw py::type_error(std::string(name) + " is " + std::string(py::str(py::type::of(object).attr("__name__"))) +
                         (found ? " of dtype " + std::string(py::str(found.dtype())) : "") + ", expected real numbers");
  const bool single = found.size() == 1 && std::ranges::all_of(shape, [](Index n) { return n == 1; });
  if (!single && !fits(found))
    throw py::value_error(std::string(name) + " has shape " + std::string(py::str(found.attr("shape"))) +
                          ", expected " + std::string(py::str(py::tuple(py::cast(std::vector(shape))))));
  return py::module_::import("numpy").attr("ascontiguousarray")(found, py::arg("dtype") = py::dtype::of<T>());
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
