// The number of threads, as Python sets and asks it.
#include "schuss/threads.hpp"

#include "bind/bind.hpp"

namespace schuss::bind {

namespace {

const char* openmp_version() {
#ifdef _OPENMP
#define SCHUSS_TEXT(x) #x
#define SCHUSS_TEXT_OF(x) SCHUSS_TEXT(x)
  return SCHUSS_TEXT_OF(_OPENMP);
#else
  return "";
#endif
}

}  // namespace

void register_threads(pybind11::module_& module) {
  module.def("set_num_threads", [](int n) { threads.set(n); }, pybind11::arg("n"));
  module.def("get_num_threads", [] { return threads.count(); }, "How many threads a call uses from here.");
  module.def("openmp_limit", &openmp_limit, "What the OpenMP runtime allows a call from this thread.");
  module.def(
      "after_fork_in_child", [] { threads.after_fork_in_child(); }, "Gives the child of a fork its own threads.");
  module.attr("openmp_version") = openmp_version();
}

}  // namespace schuss::bind
