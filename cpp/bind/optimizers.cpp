// The optimizers: every rule of the registry, described to Python and stepped from it.
#include <cmath>

#include "bind/bind.hpp"
#include "bind/plan.hpp"
#include "bind/registry.hpp"
#include "schuss/registry.hpp"

namespace schuss::bind {

namespace {

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
  py::list states, positive;
  for (const State& state : Rule::states) {
    states.append(py::make_tuple(state.name, state.needed_by, state.starts_at));
    if (state.positive) positive.append(state.name);
  }
  py::dict options;
  show(defaults<Rule>().rule, options);
  show(defaults<Rule>().pass, options);
  py::dict description;
  description["source"] = Rule::source;
  description["states"] = py::tuple(states);
  description["positive"] = py::tuple(positive);
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
  std::size_t place = 0;
  return {{Rule::name,
           {Rule::states,
            &describe<Rule>,
            &bind_options<Rule>,
            {&update<Rule, float>, &update<Rule, double>},
            updates_few_bits(place++)}}...};
}

const Registry& registry() {
  static const Registry all = entries(static_cast<const Rules*>(nullptr));
  return all;
}

// ---- a step ----

// A group is (rule, options, (params, *states), arguments, labels, extras). Every (dict, key, value) of `notes` is
// noted when the step is done: here, because on the way back into Python an interrupt may be raised, and a step that
// has been taken must count.
void note(const py::list& notes) {
  for (const py::handle& one : notes)
    PyDict_SetItem(PyTuple_GET_ITEM(one.ptr(), 0), PyTuple_GET_ITEM(one.ptr(), 1), PyTuple_GET_ITEM(one.ptr(), 2));
}

// The groups of a step: `add(plan, arrays, entry, options, group)` adds each.
template <class Add>
Plan plan_for(const py::list& groups, const py::list& grads, double number, const Add& add) {
  Plan plan;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const py::tuple group = groups[i];
    const Entry& entry = find(group[0]);
    plan.bound.push_back(entry.bind(group[1], number));
    const Arrays arrays{group[2], grads[i], group[3], group[4]};
    arrays.require_whole(entry.states);
    add(plan, arrays, entry, plan.bound.back().get(), group);
  }
  plan.require_disjoint();
  return plan;
}

// `grads` has a list of gradients for each group. The plan owns a reference to every array, so other threads may drop
// theirs while the GIL is released. False, and nothing is modified, if a gradient needs a step with what is around it.
bool step(const py::list& groups, const py::list& grads, double number, int num_threads, const py::list& notes) {
  bool alone = true;
  const Plan plan = plan_for(groups, grads, number,
                             [&](Plan& to, const Arrays& arrays, const Entry& entry, const void* options,
                                 const py::tuple&) { alone = alone && to.add(arrays, entry.update, options); });
  if (!alone) return false;
  {
    const py::gil_scoped_release released;
    run(plan.jobs, thread_count(num_threads));
  }
  note(notes);
  return true;
}

// A step with all that is done around it. Where the norm of the gradients is measured, it is noted in `measured` under
// "grad_norm" before `notes`, or, if the step is left out because it is not finite, before `notes_if_skipped`.
bool step_phase(const py::list& groups, const py::list& grads, double number, int num_threads, const py::list& notes,
                const py::dict& request, const py::dict& measured, const py::list& notes_if_skipped) {
  Request wanted;
  read(wanted, request);
  const Plan plan =
      plan_for(groups, grads, number,
               [&](Plan& to, const Arrays& arrays, const Entry& entry, const void* options, const py::tuple& group) {
                 Extras extras;
                 read(extras, group[5]);
                 to.add(arrays, entry, options, extras, wanted.zero_grad);
               });
  std::optional<double> norm;
  bool taken = true;
  {
    const py::gil_scoped_release released;
    const int count = thread_count(num_threads);
    if (wanted.measures())
      norm = (wanted.norm ? *wanted.norm : gradient_norm(plan.jobs, plan.stagings, count)) / wanted.grad_scale;
    taken = !(wanted.skip_nonfinite && !std::isfinite(*norm));
    if (taken) run(plan.jobs, plan.stagings, wanted.phase(static_cast<std::int64_t>(number), norm), count);
  }
  if (norm) PyDict_SetItemString(measured.ptr(), "grad_norm", py::float_(*norm).ptr());
  note(taken ? notes : notes_if_skipped);
  return taken;
}

// For each piece of each array, the sum of the squares of its values times a power of two.
py::array_t<double> square_sums(const py::list& arrays, double power, int num_threads) {
  std::vector<View> views;
  std::vector<Job> jobs;
  std::vector<Staging> stagings;
  for (const py::handle& array : arrays) {
    const View& added = views.emplace_back(view(array, Access::read, Name("arrays")));
    jobs.push_back({{added.size(), nullptr, nullptr, {}}, nullptr, nullptr, 0});
    stagings.emplace_back().gradient = {added.data(), added.format, false, nullptr};
  }
  std::vector<double> sums;
  {
    const py::gil_scoped_release released;
    sums = norm::sums_of_pieces(jobs, stagings, power, thread_count(num_threads));
  }
  return py::array_t<double>(static_cast<py::ssize_t>(sums.size()), sums.data());
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
      "for the default. Afterwards notes every (dict, key, value). False if a gradient is in fewer bits.");
  module.def("step_phase", &step_phase, py::arg("groups"), py::arg("grads"), py::arg("number"), py::arg("num_threads"),
             py::arg("notes"), py::arg("request"), py::arg("measured"), py::arg("notes_if_skipped"),
             "Likewise, with all that is done around the update rule; whether the step has been taken.");
  module.def("square_sums", &square_sums, py::arg("arrays"), py::arg("power"), py::arg("num_threads"),
             "For every 4096 values of each array, the sum of their squares after multiplying with a power of two.");
  module.def(
      "as_arrays", &as_arrays, py::arg("objects"), py::arg("argument"), py::arg("labels"),
      "NumPy arrays on the memory of writable, disjoint arrays that a step can update in place, and their formats.");
}

}  // namespace schuss::bind
