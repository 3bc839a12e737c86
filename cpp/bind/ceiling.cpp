// The ceiling of a step, for the benchmarks: its memory moved without arithmetic.
#include "schuss/ceiling.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "bind/bind.hpp"
#include "bind/views.hpp"

namespace schuss::bind {

namespace {

constexpr Formats kAll{Format::f32, Format::f64, Format::bf16, Format::f16, Format::u8};

// How a step moves the arrays of a list. All but the last reading is in a pass before that of the step.
struct Moves {
  int reads;
  bool writes;

  Moves(const std::string& name, const std::string& how)
      : reads(static_cast<int>(std::count(how.begin(), how.end(), 'r'))), writes(how.ends_with('w')) {
    for (const char* known : {"r", "rr", "w", "rw", "rrw"})
      if (how == known) return;
    throw py::value_error(name + " is moved as '" + how + "', expected 'r', 'rr', 'w', 'rw' or 'rrw'");
  }
};

// A list of arrays, one for each tensor, and its name.
struct List {
  py::str name;
  Moves moves;
  py::list arrays;

  List(const py::tuple& described, std::size_t tensors)
      : name(described[0]), moves(name, py::str(described[1])), arrays(described[2]) {
    if (arrays.size() != tensors)
      throw py::value_error(std::string(name) + " has " + std::to_string(arrays.size()) + " arrays, expected " +
                            std::to_string(tensors));
  }
};

// The passes of a step: the one before, where there is any, and its own.
struct Passes {
  std::vector<View> views;
  std::vector<Job> jobs;
  std::vector<Stream> before, own;

  explicit Passes(std::size_t arrays) {
    views.reserve(arrays);
    own.reserve(arrays);
  }

  void add(const std::vector<List>& lists, std::size_t tensor, const py::handle& label) {
    const std::size_t first = views.size(), first_before = before.size();
    for (const List& list : lists) {
      const py::object array = list.arrays[tensor];
      views.push_back(view(array, list.moves.writes ? Access::write : Access::read, {list.name, label}, kAll));
      const Stream stream = stream_of(views.back(), views[first], list.moves);
      own.push_back(stream);
      if (list.moves.reads > 1) before.push_back({stream.data, stream.bytes, stream.in_grain, true, false});
    }
    const auto by_width = [](const Stream& a, const Stream& b) { return a.in_grain < b.in_grain; };
    std::sort(own.begin() + first, own.end(), by_width);
    std::sort(before.begin() + first_before, before.end(), by_width);
    jobs.push_back({{views[first].size(), nullptr, nullptr, {}}, nullptr, nullptr, 0});
  }

 private:
  // Of an array with as many values as the tensor's first one, or one for each grain of them.
  static Stream stream_of(const View& array, const View& like, Moves moves) {
    const bool scales = array.size() == (like.size() + kGrain - 1) / kGrain;
    if (!scales) require_same_shape(array, like);
    return {static_cast<std::byte*>(array.data()), array.array.nbytes(), bytes_of(array.format) * (scales ? 1 : kGrain),
            moves.reads > 0, moves.writes};
  }
};

void move_arrays(const py::list& described, const py::list& labels, int num_threads) {
  std::vector<List> lists;
  for (std::size_t i = 0; i < described.size(); ++i) lists.emplace_back(described[i], labels.size());
  if (lists.empty()) return;
  Passes passes(lists.size() * labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) passes.add(lists, i, PyList_GET_ITEM(labels.ptr(), i));
  require_disjoint(passes.views);
  const py::gil_scoped_release released;
  const int count = thread_count(num_threads);
  if (!passes.before.empty()) move(passes.jobs, passes.before, count);
  move(passes.jobs, passes.own, count);
}

}  // namespace

void register_ceiling(py::module_& module) {
  module.def("move", &move_arrays, py::arg("lists"), py::arg("labels"), py::arg("num_threads"),
             "Moves the memory of a step over lists (name, how, arrays), where how is 'r', 'rr', 'w', 'rw' or 'rrw', "
             "without changing a value; what is only written becomes zero.");
}

}  // namespace schuss::bind
