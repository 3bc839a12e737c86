// The optimizers: every rule of the registry, described to Python and stepped from it.
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>

#include "bind/bind.hpp"
#include "bind/registry.hpp"
#include "bind/views.hpp"
#include "schuss/ceiling.hpp"
#include "schuss/registry.hpp"

namespace schuss::bind {

namespace {

// ---- options: a rule's members by name, read from and shown as a Python dict ----

template <class Value>
Value from_python(const py::handle& value) {
  return value.cast<Value>();
}
template <>
Convention from_python<Convention>(const py::handle& value) {
  return PyUnicode_CompareWithASCIIString(value.ptr(), "torch") == 0 ? Convention::torch : Convention::book;
}

template <class Value>
py::object to_python(const Value& value) {
  return py::cast(value);
}
template <>
py::object to_python(const Convention& value) {
  return py::str(value == Convention::torch ? "torch" : "book");
}
template <>
py::object to_python(const std::array<double, 2>& value) {
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

// ---- the registry, with the rules' types erased ----

template <class Rule>
Bound<Rule> defaults() {
  Bound<Rule> bound;
  if constexpr (requires { Rule::decoupled_weight_decay; })
    bound.pass.decoupled_weight_decay = Rule::decoupled_weight_decay;
  return bound;
}

template <class Rule>
py::dict describe() {
  py::list states;
  for (const State& state : Rule::states) states.append(py::make_tuple(state.name, state.needed_by, state.starts_at));
  py::dict options;
  show(defaults<Rule>().rule, options);
  show(defaults<Rule>().pass, options);
  py::dict description;
  description["source"] = Rule::source;
  description["states"] = py::tuple(states);
  description["counts_steps"] = requires(Rule rule) { rule.begin(1.0); };
  description["options"] = options;
  return description;
}

template <class Rule>
std::shared_ptr<const void> bind_options(const py::dict& options, double step) {
  auto bound = std::make_shared<Bound<Rule>>(defaults<Rule>());
  read(bound->rule, options);
  read(bound->pass, options);
  if constexpr (requires { bound->rule.begin(step); }) bound->rule.begin(step);
  return bound;
}

using Registry = std::vector<std::pair<std::string, Entry>>;

template <class... Rule>
Registry entries(const std::tuple<Rule...>*) {
  static_assert(((Rule::states.size() <= kMaxStates) && ...));
  return {{Rule::name,
           {Rule::states, &describe<Rule>, &bind_options<Rule>, {&update<Rule, float>, &update<Rule, double>}}}...};
}

const Registry& registry() {
  static const Registry all = entries(static_cast<const Rules*>(nullptr));
  return all;
}

// ---- a step ----

// What a call is to do, checked whole before anything is modified.
struct Plan {
  std::vector<View> views;
  std::vector<Job> jobs;
  std::vector<std::shared_ptr<const void>> bound;
};

// Borrowed items may go while Python code runs, which an array's export may do.
py::object item(const py::handle& list, std::size_t i) {
  PyObject* borrowed = PyList_GetItem(list.ptr(), i);
  if (!borrowed) throw py::error_already_set();
  return py::reinterpret_borrow<py::object>(borrowed);
}

// The arrays of one group: lists of parameters, of gradients and of each state (or None).
struct Arrays {
  py::tuple written;  // parameters and states
  py::list grads;
  py::tuple arguments;  // what an error calls parameters, gradients and each state,
  py::list labels;      // and what it calls the elements of each

  Name name(std::size_t argument, std::size_t i) const {
    return {PyTuple_GET_ITEM(arguments.ptr(), argument), PyList_GET_ITEM(labels.ptr(), i)};
  }

  // Throws unless there are as many lists as `states` and they are of one length.
  void require_whole(std::span<const State> states) const {
    if (written.size() != states.size() + 1 || arguments.size() != states.size() + 2)
      throw py::value_error("a group has " + std::to_string(written.size()) + " lists of arrays, expected " +
                            std::to_string(states.size() + 1));
    const auto require_length = [&](const py::handle& list, std::size_t argument) {
      if (!PyList_Check(list.ptr()) || py::len(list) != labels.size())
        throw py::value_error(std::string(py::str(arguments[argument])) + " is not a list of " +
                              std::to_string(labels.size()) + " arrays like params");
    };
    require_length(written[0], 0);
    require_length(grads, 1);
    for (std::size_t k = 0; k < states.size(); ++k) {
      const py::object list = written[k + 1];
      if (!list.is_none() || states[k].always()) require_length(list, k + 2);
    }
  }
};

// Adds a job for each parameter; update[f] does it for format f.
void add_jobs(Plan& plan, const Arrays& arrays, const Update (&update)[2], const void* bound) {
  for (std::size_t i = 0; i < arrays.labels.size(); ++i) {
    const std::size_t first = plan.views.size();
    const auto add = [&](const py::handle& list, std::size_t argument, Access access) {
      plan.views.push_back(view(item(list, i), access, arrays.name(argument, i)));
      require_like(plan.views.back(), plan.views[first]);
      return plan.views.back().data();
    };
    Tensor tensor{};
    tensor.theta = add(arrays.written[0], 0, Access::write);
    tensor.size = plan.views[first].size();
    tensor.gradient = add(arrays.grads, 1, Access::read);
    for (std::size_t k = 1; k < arrays.written.size(); ++k) {
      const py::handle list = PyTuple_GET_ITEM(arrays.written.ptr(), k);
      if (!list.is_none()) tensor.states[k - 1] = add(list, k + 1, Access::write);
    }
    Index bytes = 0;
    for (std::size_t k = first; k < plan.views.size(); ++k) bytes += plan.views[k].bytes_moved();
    plan.jobs.push_back({tensor, update[static_cast<int>(plan.views[first].format())], bound, bytes});
  }
}

void carry_out(const Plan& plan, int num_threads) {
  require_disjoint(plan.views);
  // The plan owns a reference to every array, so other threads may drop theirs while the GIL is released.
  py::gil_scoped_release released;
  run(plan.jobs, num_threads > 0 ? num_threads : threads.count());
}

// A group is (rule, options, (params, *states), arguments, labels); grads has a list of gradients for each. When the
// step is done, each (dict, key, value) of `notes` is noted: here, because on the way back into Python an interrupt
// may be raised, and a step that has been taken must count.
void step(const py::list& groups, const py::list& grads, double number, int num_threads, const py::list& notes) {
  Plan plan;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const py::tuple group = groups[i];
    const Entry& entry = find(group[0]);
    plan.bound.push_back(entry.bind(group[1], number));
    const Arrays arrays{group[2], grads[i], group[3], group[4]};
    arrays.require_whole(entry.states);
    add_jobs(plan, arrays, entry.update, plan.bound.back().get());
  }
  carry_out(plan, num_threads);
  for (const py::handle& note : notes)
    PyDict_SetItem(PyTuple_GET_ITEM(note.ptr(), 0), PyTuple_GET_ITEM(note.ptr(), 1), PyTuple_GET_ITEM(note.ptr(), 2));
}

void move_arrays(const py::tuple& written, const py::list& grads, int num_threads) {
  static constexpr Update by_states[][2] = {{&move<std::uint32_t, 0>, &move<std::uint64_t, 0>},
                                            {&move<std::uint32_t, 1>, &move<std::uint64_t, 1>},
                                            {&move<std::uint32_t, 2>, &move<std::uint64_t, 2>},
                                            {&move<std::uint32_t, 3>, &move<std::uint64_t, 3>}};
  static constexpr State kStates[kMaxStates] = {{"states"}, {"states"}, {"states"}};
  if (written.empty() || written.size() > kMaxStates + 1) throw py::value_error("move takes 1 to 4 lists of arrays");
  const std::span<const State> states(kStates, written.size() - 1);
  py::list arguments(py::make_tuple("params", "grads"));
  for (const State& state : states) arguments.append(state.name);
  const Arrays arrays{written, grads, py::tuple(arguments), py::cast(std::vector<std::string>(grads.size()))};
  arrays.require_whole(states);
  Plan plan;
  add_jobs(plan, arrays, by_states[states.size()], nullptr);
  carry_out(plan, num_threads);
}

py::list as_arrays(const py::list& objects, const py::str& argument, const py::list& labels) {
  std::vector<View> views;
  for (std::size_t i = 0; i < objects.size(); ++i)
    views.push_back(view(item(objects, i), Access::write, {argument, PyList_GET_ITEM(labels.ptr(), i)}));
  require_disjoint(views);
  py::list arrays;
  for (const View& v : views) arrays.append(v.array);
  return arrays;
}

}  // namespace

const Entry& find(const py::handle& rule) {
  for (const auto& [name, entry] : registry())
    if (PyUnicode_CompareWithASCIIString(rule.ptr(), name.c_str()) == 0) return entry;
  throw py::value_error("there is no rule '" + std::string(py::str(rule)) + "'");
}

void register_optimizers(py::module_& module) {
  module.def(
      "rules",
      [] {
        py::dict rules;
        for (const auto& [name, entry] : registry()) rules[name.c_str()] = entry.describe();
        return rules;
      },
      "Every rule by name: its source, its states (name, needed by, starts at) and its options with their defaults.");
  module.def(
      "step", &step, py::arg("groups"), py::arg("grads"), py::arg("number"), py::arg("num_threads"), py::arg("notes"),
      "Takes step `number` with every parameter of every group, in place, in one parallel region; 0 threads stand "
      "for the default. Afterwards notes every (dict, key, value).");
  module.def("move", &move_arrays, py::arg("arrays"), py::arg("grads"), py::arg("num_threads"),
             "Moves the memory of a step over the lists (params, *states) and grads, destroying their values.");
  module.def("as_arrays", &as_arrays, py::arg("objects"), py::arg("argument"), py::arg("labels"),
             "NumPy arrays on the memory of writable, disjoint arrays that a step can update in place.");
}

}  // namespace schuss::bind
