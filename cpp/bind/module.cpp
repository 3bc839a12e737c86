// The core of schuss at one instruction-set level: a table of contents.
#include "bind/bind.hpp"

PYBIND11_MODULE(SCHUSS_MODULE, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The kernels of schuss, built for " SCHUSS_LEVEL ".";
  module.attr("level") = SCHUSS_LEVEL;
  module.attr("version") = SCHUSS_VERSION;
  module.attr("compiler") = SCHUSS_COMPILER;

  schuss::bind::register_storage(module);
  schuss::bind::register_threads(module);
  schuss::bind::register_optimizers(module);
  schuss::bind::register_torch(module);
  schuss::bind::register_batch_norm(module);
  schuss::bind::register_ceiling(module);
  schuss::bind::register_coordinate(module);
  schuss::bind::register_minimizers(module);
  schuss::bind::register_batch(module);
  schuss::bind::register_linalg(module);
}
