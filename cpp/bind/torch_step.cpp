// A step over the tensors of a torch optimizer. They are read where torch has them, at every step anew: a parameter
// keeps its Python object when it gets other memory.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "bind/bind.hpp"
#include "bind/registry.hpp"
#include "bind/stretches.hpp"
#include "bind/torch_memory.hpp"
#include "schuss/threads.hpp"

namespace schuss::bind {

namespace {

constexpr std::size_t kMaxScalars = 3;

// The helpers are woken up when so many parameters are left to be read, which takes about as long as waking up.
constexpr Index kAhead = 100;

// A tensor of one element, such as the number of steps taken.
struct Scalar {
  void* at;
  int itemsize;

  double get() const { return itemsize == 4 ? *static_cast<const float*>(at) : *static_cast<const double*>(at); }
  void set(double value) const {
    if (itemsize == 4) {
      *static_cast<float*>(at) = static_cast<float>(value);
    } else {
      *static_cast<double*>(at) = value;
    }
  }
};

struct Member {
  py::object gradient, state;  // owned for as long as their memory is used
  Tensor tensor;
  int itemsize;
  std::array<Scalar, kMaxScalars> scalars;
  std::size_t clock;
};

// Parameters of which some may have taken more steps than others. Those that agree in all scalars share a clock.
struct Group {
  const Entry* entry;
  std::size_t scalars;
  std::vector<Member> members;
  std::vector<std::array<double, kMaxScalars>> clocks;
};

// What a step is to do, when all that it needs is known.
struct Work {
  std::vector<std::shared_ptr<const void>> bound;
  std::vector<Job> jobs;
  std::vector<std::pair<Scalar, double>> after;
  Stretches memory;
};

using Names = std::span<PyObject* const>;

Names names_in(const py::tuple& tuple) { return {PySequence_Fast_ITEMS(tuple.ptr()), tuple.size()}; }

py::object attribute(PyObject* object, PyObject* name) {
  return py::reinterpret_steal<py::object>(PyObject_GetAttr(object, name));
}

PyObject* find_state(PyObject* own, PyObject* name) {
  return own && PyDict_Check(own) ? PyDict_GetItemWithError(own, name) : nullptr;
}

// Looks up in a dict what mostly comes in the order of the dict, without hashing: a tensor's hash is Python code.
class InOrder {
 public:
  explicit InOrder(const py::dict& dict) : dict_(dict.ptr()) { advance(); }

  // A borrowed reference, or null.
  PyObject* find(PyObject* wanted) {
    if (wanted != key_) return PyDict_GetItemWithError(dict_, wanted);
    PyObject* const found = value_;
    advance();
    return found;
  }

 private:
  void advance() {
    if (!PyDict_Next(dict_, &position_, &key_, &value_)) key_ = nullptr;
  }

  PyObject *dict_, *key_ = nullptr, *value_ = nullptr;
  Py_ssize_t position_ = 0;
};

// Of one element even the imaginary part of a conjugate is contiguous, which keeps its sign aside.
bool is_negated(PyObject* tensor) { return py::handle(tensor).attr("is_neg")().cast<bool>(); }

class TorchStep {
 public:
  TorchStep(const py::tuple& types, const py::object& table, std::uintptr_t describe)
      : reader_(types, table, describe) {}

  // Forgets what an earlier step has left.
  void begin() {
    groups_.clear();
    reader_.forget();
    until_rousing_ = rouse_after_;
    if (rouse_after_ > 0 && threads.team().in_a_row()) threads.team().rouse();
  }

  // Adds the parameters that have a gradient; those with state are in the dict `state`. `states` has the names of the
  // rule's states in there, None for one that is not kept, and `scalars` those of tensors of one element. Gives the
  // parameters that are stepped and the values of the scalars for each clock, or None, and nothing is added, if the
  // kernels do not cover the tensors.
  py::object add(const py::str& rule, const py::tuple& states, const py::tuple& scalars, const py::list& params,
                 const py::object& grads, const py::dict& state) {
    const Names state_names = names_in(states), scalar_names = names_in(scalars);
    Group group{&find(rule), scalars.size(), {}, {}};
    group.members.reserve(params.size());
    py::list stepped;
    InOrder next_state(state);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(params.ptr()); ++i) {
      PyObject* const param = PyList_GET_ITEM(params.ptr(), i);
      py::object gradient = grads.is_none() ? attribute(param, grad_name())
                                            : py::reinterpret_borrow<py::object>(PyList_GetItem(grads.ptr(), i));
      if (!gradient) throw py::error_already_set();
      if (gradient.is_none()) continue;
      PyObject* const own = next_state.find(param);
      if (!add_member(group, param, std::move(gradient), state_names, scalar_names, own)) return py::none();
      stepped.append(py::handle(param));
      if (--until_rousing_ == 0) threads.team().rouse();
    }
    py::list clocks;
    for (const auto& clock : group.clocks) {
      py::tuple values(group.scalars);
      for (std::size_t k = 0; k < group.scalars; ++k) values[k] = clock[k];
      clocks.append(values);
    }
    groups_.push_back(std::move(group));
    return py::make_tuple(stepped, clocks);
  }

  // Takes the step. `orders` has for each group and each of its clocks the options of the rule, the number of the step
  // and what the scalars are after it. Gives False, and nothing has been modified, if tensors overlap.
  bool run(const py::list& orders, int num_threads) {
    const std::vector<Group> groups = std::exchange(groups_, {});  // owns the gradients until the end
    const int count = num_threads > 0 ? num_threads : threads.count();
    Work work = reserved(groups);
    for (std::size_t i = 0; i < groups.size(); ++i) add_work(work, groups[i], orders[i]);
    if (overlap_.is_in(std::move(work.memory))) return false;
    plan_rousing(work.jobs, count);
    {
      const py::gil_scoped_release released;
      schuss::run(work.jobs, count);
    }
    for (const auto& [scalar, value] : work.after) scalar.set(value);
    return true;
  }

 private:
  static PyObject* grad_name() {
    static PyObject* const name = PyUnicode_InternFromString("grad");
    return name;
  }

  bool add_member(Group& group, PyObject* param, py::object gradient, Names states, Names scalars, PyObject* own) {
    Memory theta, other;
    if (!reader_.read(param, theta) || !reader_.read(gradient.ptr(), other)) return false;
    if (!is_like(other, theta) || !is_dense(theta)) return false;
    const Index size = theta.size();
    if (size == 1 && (is_negated(param) || is_negated(gradient.ptr()))) return false;
    Member& member = group.members.emplace_back();
    member.gradient = std::move(gradient);
    member.state = py::reinterpret_borrow<py::object>(own);
    member.tensor = {size, theta.data, other.data, {}};
    member.itemsize = theta.itemsize;
    for (std::size_t k = 0; k < states.size(); ++k) {
      if (states[k] == Py_None) continue;
      PyObject* const tensor = find_state(own, states[k]);
      if (!tensor || !reader_.read(tensor, other) || !is_like(other, theta)) return false;
      member.tensor.states[k] = other.data;
    }
    std::array<double, kMaxScalars> values{};
    for (std::size_t k = 0; k < scalars.size(); ++k) {
      PyObject* const tensor = find_state(own, scalars[k]);
      if (!tensor || !reader_.read(tensor, other) || other.size() != 1) return false;
      member.scalars[k] = {other.data, other.itemsize};
      values[k] = member.scalars[k].get();
    }
    member.clock = clock_of(group, values);
    return true;
  }

  static std::size_t clock_of(Group& group, const std::array<double, kMaxScalars>& values) {
    const auto found = std::find(group.clocks.begin(), group.clocks.end(), values);
    const std::size_t clock = found - group.clocks.begin();
    if (found == group.clocks.end()) group.clocks.push_back(values);
    return clock;
  }

  static Work reserved(const std::vector<Group>& groups) {
    std::size_t members = 0, states = 0, scalars = 0;
    for (const Group& group : groups) {
      members += group.members.size();
      states += group.members.size() * group.entry->states.size();
      scalars += group.members.size() * group.scalars;
    }
    Work work;
    work.jobs.reserve(members);
    work.after.reserve(scalars);
    work.memory.written.reserve(members + states);
    work.memory.read.reserve(members);
    return work;
  }

  static void add_work(Work& work, const Group& group, const py::list& orders) {
    const std::size_t first = work.bound.size();
    std::vector<std::vector<double>> after;
    for (std::size_t k = 0; k < group.clocks.size(); ++k) {
      const py::tuple order = orders[k];
      work.bound.push_back(group.entry->bind(order[0], order[1].cast<double>()));
      after.push_back(order[2].cast<std::vector<double>>());
      if (after.back().size() != group.scalars) throw py::value_error("an order has another number of scalars");
    }
    for (const Member& m : group.members) {
      const Index bytes = m.tensor.size * m.itemsize;
      Index streams = 3;
      work.memory.write(m.tensor.theta, bytes);
      work.memory.read_only(m.tensor.gradient, bytes);
      for (void* state : m.tensor.states) {
        if (!state) continue;
        work.memory.write(state, bytes);
        streams += 2;
      }
      work.jobs.push_back(
          {m.tensor, group.entry->update[m.itemsize == 8], work.bound[first + m.clock].get(), streams * bytes});
      for (std::size_t k = 0; k < group.scalars; ++k) work.after.emplace_back(m.scalars[k], after[m.clock][k]);
    }
  }

  // Lets the next step wake up helpers while it reads its tensors, if it is like this one and this one is worth it.
  void plan_rousing(const std::vector<Job>& jobs, int count) {
    Index bytes = 0;
    for (const Job& job : jobs) bytes += job.bytes;
    rouse_after_ = threads.helpers(bytes, count) > 0 ? std::max<Index>(std::ssize(jobs) - kAhead, 1) : 0;
  }

  Reader reader_;
  std::vector<Group> groups_;
  Overlap overlap_;
  Index rouse_after_ = 0;    // so many parameters, or never
  Index until_rousing_ = 0;  // in this step
};

}  // namespace

void register_torch(py::module_& module) {
  py::class_<TorchStep>(module, "TorchStep", py::module_local())
      .def(py::init<const py::tuple&, const py::object&, std::uintptr_t>(), py::arg("types"), py::arg("table"),
           py::arg("describe"))
      .def("begin", &TorchStep::begin, "Forgets what an earlier step has left.")
      .def("add", &TorchStep::add, py::arg("rule"), py::arg("states"), py::arg("scalars"), py::arg("params"),
           py::arg("grads"), py::arg("state"),
           "Adds the parameters with a gradient. Gives them and the scalars of each clock, or None if not covered.")
      .def("run", &TorchStep::run, py::arg("orders"), py::arg("num_threads"),
           "Takes the step: for each group and clock (options, number, scalars after it). False if tensors overlap.");
}

}  // namespace schuss::bind
