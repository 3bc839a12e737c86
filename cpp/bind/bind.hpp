// The parts of the extension module; module.cpp calls each once.
#pragma once

#include <pybind11/pybind11.h>

namespace schuss::bind {

void register_batch(pybind11::module_& module);
void register_batch_norm(pybind11::module_& module);
void register_ceiling(pybind11::module_& module);
void register_coordinate(pybind11::module_& module);
void register_linalg(pybind11::module_& module);
void register_minimizers(pybind11::module_& module);
void register_optimizers(pybind11::module_& module);
void register_storage(pybind11::module_& module);
void register_threads(pybind11::module_& module);
void register_torch(pybind11::module_& module);

}  // namespace schuss::bind
