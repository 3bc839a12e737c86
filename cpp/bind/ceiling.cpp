// The ceiling, for the benchmarks.
#include "schuss/ceiling.hpp"

#include "bind/bind.hpp"
#include "bind/views.hpp"

namespace schuss::bind {

namespace {

constexpr decltype(Job::update) kMove[] = {&move<0>, &move<1>, &move<2>, &move<3>};

// arrays: the lists of parameters, gradients and each state. Their values are destroyed.
void move_arrays(const std::vector<std::vector<py::array>>& arrays, int num_threads) {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < arrays[0].size(); ++i) {
    const Index words = arrays[0][i].nbytes() / 4;
    Tensor tensor{words, const_cast<void*>(arrays[0][i].data()), arrays[1][i].data(), {}};
    for (std::size_t k = 2; k < arrays.size(); ++k) tensor.states[k - 2] = const_cast<void*>(arrays[k][i].data());
    jobs.push_back({tensor, kMove[arrays.size() - 2], nullptr});
  }
  py::gil_scoped_release released;
  run(jobs, num_threads);
}

}  // namespace

void register_ceiling(py::module_& module) {
  module.def("move", &move_arrays, py::arg("arrays"), py::arg("num_threads"),
             "Moves the memory of a step over (params, grads, *states) without computing anything.");
}

}  // namespace schuss::bind
