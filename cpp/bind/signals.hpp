// Signals, for work that goes on without the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

namespace schuss::bind {

// Raises what a signal such as Ctrl-C raises. It looks every 50 ms, and takes the GIL for a moment then.
class Signals {
 public:
  void raise() {
    const auto now = std::chrono::steady_clock::now();
    if (now - asked_ < std::chrono::milliseconds(50)) return;
    asked_ = now;
    const pybind11::gil_scoped_acquire acquired;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }

 private:
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

}  // namespace schuss::bind
