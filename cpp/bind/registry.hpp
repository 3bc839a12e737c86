// The registry with the rules' types erased: what the bindings know of an update rule.
#pragma once

#include <memory>
#include <span>

#include "bind/bind.hpp"
#include "schuss/engine.hpp"

namespace schuss::bind {

namespace py = pybind11;

struct Entry {
  std::span<const State> states;
  py::dict (*describe)();
  std::shared_ptr<const void> (*bind)(const py::dict& options, double step);
  Update update[2];  // in float32 and in float64
};

// The rule of that name; throws ValueError where there is none.
const Entry& find(const py::handle& rule);

}  // namespace schuss::bind
