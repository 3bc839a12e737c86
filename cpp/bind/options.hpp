// Options: members of a struct by name, read from and shown as a Python dict.
#pragma once

#include <pybind11/stl.h>

#include <array>
#include <tuple>

#include "bind/views.hpp"
#include "schuss/rule.hpp"

namespace schuss::bind {

template <class Value>
Value from_python(const py::handle& value) {
  return value.cast<Value>();
}
template <>
inline Convention from_python<Convention>(const py::handle& value) {
  return PyUnicode_CompareWithASCIIString(value.ptr(), "torch") == 0 ? Convention::torch : Convention::book;
}

template <class Value>
py::object to_python(const Value& value) {
  return py::cast(value);
}
template <>
inline py::object to_python(const Convention& value) {
  return py::str(value == Convention::torch ? "torch" : "book");
}
template <>
inline py::object to_python(const std::array<double, 2>& value) {
  return py::make_tuple(value[0], value[1]);
}

template <class Options>
void read(Options& options, const py::dict& values) {
  // The names as Python strings, made once: they are looked up in every step.
  static const auto keys = std::apply(
      [](const auto&... option) { return std::array{PyUnicode_InternFromString(option.name)...}; }, Options::options);
  auto key = keys.begin();
  const auto read_one = [&]<class R, class Value>(const Option<R, Value>& option) {
    if (PyObject* value = PyDict_GetItemWithError(values.ptr(), *key++))
      options.*option.member = from_python<Value>(value);
  };
  std::apply([&](const auto&... option) { (read_one(option), ...); }, Options::options);
}

template <class Options>
void show(const Options& options, py::dict& values) {
  std::apply([&](const auto&... option) { ((values[option.name] = to_python(options.*option.member)), ...); },
             Options::options);
}

}  // namespace schuss::bind
