// The optimizers: every rule of the registry, described to Python and stepped from it.
#include <pybind11/stl.h>

#include <memory>

#include "bind/bind.hpp"
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
  return value.cast<std::string>() == "torch" ? Convention::torch : Convention::book;
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
  const auto read_one = [&]<class R, class Value>(const Option<R, Value>& option) {
    if (values.contains(option.name)) options.*option.member = from_python<Value>(values[option.name]);
  };
  std::apply([&](const auto&... option) { (read_one(option), ...); }, Options::options);
}

template <class Options>
void show(const Options& options, py::dict& values) {
  std::apply([&](const auto&... option) { ((values[option.name] = to_python(options.*option.member)), ...); },
             Options::options);
}

// ---- the registry, with the rules' types erased ----

struct Entry {
  py::dict (*describe)();
  std::shared_ptr<const void> (*bind)(const py::dict& options, double step);
  Update update[2];  // by Format
};

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
  return {{Rule::name, {&describe<Rule>, &bind_options<Rule>, {&update<Rule, float>, &update<Rule, double>}}}...};
}

const Registry& registry() {
  static const Registry all = entries(static_cast<const Rules*>(nullptr));
  return all;
}

const Entry& find(const std::string& rule) {
  for (const auto& [name, entry] : registry())
    if (name == rule) return entry;
  throw py::value_error("there is no rule '" + rule + "'");
}

// ---- a step ----

// What a call is to do, checked whole before anything is modified.
struct Plan {
  std::vector<View> views;
  std::vector<Job> jobs;
  std::vector<std::shared_ptr<const void>> bound;
};

// Adds a job for each parameter. `arrays` holds the lists of parameters, of gradients and of each state (or None);
// arguments[k] is what an error calls list k, labels[i] what it calls its element i; update[f] does it for format f.
void add_jobs(Plan& plan, const py::tuple& arrays, const py::tuple& arguments, const py::list& labels,
              const Update (&update)[2], const void* bound) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t theta = plan.views.size();
    std::array<void*, 2 + kMaxStates> data{};
    for (std::size_t k = 0; k < arrays.size(); ++k) {
      const py::handle list = PyTuple_GET_ITEM(arrays.ptr(), k);
      if (list.is_none()) continue;
      const Name name{PyTuple_GET_ITEM(arguments.ptr(), k), PyList_GET_ITEM(labels.ptr(), i)};
      plan.views.push_back(view(PyList_GET_ITEM(list.ptr(), i), k == 1 ? Access::read : Access::write, name));
      if (k > 0) require_like(plan.views.back(), plan.views[theta]);
      data[k] = plan.views.back().data();
    }
    const View& parameter = plan.views[theta];
    Tensor tensor{parameter.size(), data[0], data[1], {}};
    std::copy(data.begin() + 2, data.end(), tensor.states.begin());
    plan.jobs.push_back({tensor, update[static_cast<int>(parameter.format())], bound});
  }
}

void carry_out(const Plan& plan, int num_threads) {
  require_disjoint(plan.views);
  // The plan owns a reference to every array, so their memory outlives the call whatever other threads do.
  py::gil_scoped_release released;
  run(plan.jobs, num_threads);
}

// A group is (rule, options, step, arrays, arguments, labels).
void step(const py::list& groups, int num_threads) {
  Plan plan;
  for (const py::handle& item : groups) {
    const auto group = py::reinterpret_borrow<py::tuple>(item);
    const Entry& entry = find(group[0].cast<std::string>());
    plan.bound.push_back(entry.bind(group[1], group[2].cast<double>()));
    add_jobs(plan, group[3], group[4], group[5], entry.update, plan.bound.back().get());
  }
  carry_out(plan, num_threads);
}

void move_arrays(const py::tuple& arrays, int num_threads) {
  static constexpr Update by_states[][2] = {{&move<std::uint32_t, 0>, &move<std::uint64_t, 0>},
                                            {&move<std::uint32_t, 1>, &move<std::uint64_t, 1>},
                                            {&move<std::uint32_t, 2>, &move<std::uint64_t, 2>},
                                            {&move<std::uint32_t, 3>, &move<std::uint64_t, 3>}};
  const py::list labels = py::cast(std::vector<std::string>(py::len(arrays[0])));
  const py::tuple arguments = py::make_tuple("params", "grads", "states", "states", "states");
  Plan plan;
  add_jobs(plan, arrays, arguments, labels, by_states[arrays.size() - 2], nullptr);
  carry_out(plan, num_threads);
}

py::list as_arrays(const py::list& objects, const py::str& argument, const py::list& labels) {
  std::vector<View> views;
  for (std::size_t i = 0; i < objects.size(); ++i)
    views.push_back(view(objects[i], Access::write, {argument, PyList_GET_ITEM(labels.ptr(), i)}));
  require_disjoint(views);
  py::list arrays;
  for (const View& v : views) arrays.append(v.array);
  return arrays;
}

}  // namespace

void register_optimizers(py::module_& module) {
  module.def(
      "rules",
      [] {
        py::dict rules;
        for (const auto& [name, entry] : registry()) rules[name.c_str()] = entry.describe();
        return rules;
      },
      "Every rule by name: its source, its states (name, needed by, starts at) and its options with their defaults.");
  module.def("step", &step, py::arg("groups"), py::arg("num_threads"),
             "Steps every parameter of every group, in place, in one parallel region.");
  module.def("move", &move_arrays, py::arg("arrays"), py::arg("num_threads"),
             "Moves the memory of a step over the lists (params, grads, *states), destroying their values.");
  module.def("as_arrays", &as_arrays, py::arg("objects"), py::arg("argument"), py::arg("labels"),
             "NumPy arrays on the memory of writable, disjoint arrays that a step can update in place.");
}

}  // namespace schuss::bind
