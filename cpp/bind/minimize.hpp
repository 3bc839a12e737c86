// What one minimisation and many of them have in common.
#pragma once

#include <pybind11/pybind11.h>

#include "schuss/minimize/methods.hpp"

namespace schuss::bind {

// Options that have been checked, by name; what is not there keeps its default.
minimize::Options options_of(const pybind11::dict& values);

}  // namespace schuss::bind
