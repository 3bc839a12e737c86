#include "bind/plan.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace schuss::bind {

namespace {

constexpr Formats kFloating{Format::f32, Format::f64, Format::bf16, Format::f16};
constexpr Formats kHalves{Format::bf16, Format::f16};

// What gradients and states may be stored in, for parameters of a format.
Formats gradient_formats(Format theta) {
  return theta == Format::f64 ? Formats{Format::f64} : Formats{Format::f32, Format::bf16, Format::f16};
}
Formats state_formats(Format theta) {
  return theta == Format::f64 ? Formats{Format::f64, Format::f32, Format::bf16, Format::u8}
                              : Formats{Format::f32, Format::bf16, Format::u8};
}
Formats computed(Format theta) { return theta == Format::f64 ? Format::f64 : Format::f32; }

// Borrowed items may go while Python code runs, which an array's export may do.
py::object item(const py::handle& list, std::size_t i) {
  PyObject* borrowed = PyList_GetItem(list.ptr(), i);
  if (!borrowed) throw py::error_already_set();
  return py::reinterpret_borrow<py::object>(borrowed);
}

void require_length(const py::handle& list, std::size_t length, const std::string& name) {
  if (!PyList_Check(list.ptr()) || py::len(list) != length)
    throw py::value_error(name + " is not a list of " + std::to_string(length) + " arrays like params");
}

Stored stored(const View& view) { return {view.data(), view.format, false, nullptr}; }

}  // namespace

void Arrays::require_whole(std::span<const State> states) const {
  if (written.size() != states.size() + 1 || arguments.size() != states.size() + 2)
    throw py::value_error("a group has " + std::to_string(written.size()) + " lists of arrays, expected " +
                          std::to_string(states.size() + 1));
  const auto require = [&](const py::handle& list, std::size_t argument) {
    require_length(list, labels.size(), py::str(arguments[argument]));
  };
  require(written[0], 0);
  require(grads, 1);
  for (std::size_t k = 0; k < states.size(); ++k) {
    const py::object list = written[k + 1];
    if (!list.is_none() || states[k].always()) require(list, k + 2);
  }
}

Phase Request::phase(std::int64_t step, std::optional<double> measured) const {
  Phase phase;
  phase.factor = 1 / grad_scale;
  if (clip_norm && std::isfinite(*clip_norm)) {
    const double unscaled = *measured, guard = convention == Convention::torch ? 1e-6 : 0;
    const double ratio = *clip_norm / (unscaled + guard);
    if (ratio < 1 || std::isnan(ratio)) phase.factor *= ratio;
  }
  if (clip_value) phase.limit = *clip_value;
  phase.zero_gradient = zero_grad;
  phase.stochastic = stochastic;
  phase.seed = seed;
  phase.step = step;
  phase.decay = average_decay;
  phase.count = averaged + 1;
  if (!averaging.empty())
    phase.averaging = averaged == 0                     ? Averaging::first
                      : averaging == "uniform"          ? Averaging::uniform
                      : convention == Convention::torch ? Averaging::ema_torch
                                                        : Averaging::ema_book;
  return phase;
}

const View& Plan::add_view(const py::handle& list, std::size_t i, Access access, const Name& name, Formats formats) {
  views.push_back(view(item(list, i), access, name, formats));
  return views.back();
}

bool Plan::add(const Arrays& arrays, const Update (&update)[2], const void* options) {
  for (std::size_t i = 0; i < arrays.labels.size(); ++i) {
    const std::size_t first = views.size();
    const auto add_array = [&](const py::handle& list, std::size_t argument, Access access) {
      const View& added = add_view(list, i, access, arrays.name(argument, i), kPlain);
      require_like(added, views[first]);
      return added.data();
    };
    Tensor tensor{};
    tensor.theta = add_array(arrays.written[0], 0, Access::write);
    tensor.size = views[first].size();
    const View& gradient =
        add_view(arrays.grads, i, Access::read, arrays.name(1, i), gradient_formats(views[first].format));
    require_same_shape(gradient, views[first]);
    if (gradient.format != views[first].format) return false;
    tensor.gradient = gradient.data();
    for (std::size_t k = 1; k < arrays.written.size(); ++k) {
      const py::handle list = PyTuple_GET_ITEM(arrays.written.ptr(), k);
      if (!list.is_none()) tensor.states[k - 1] = add_array(list, k + 1, Access::write);
    }
    Index bytes = 0;
    for (std::size_t k = first; k < views.size(); ++k) bytes += views[k].bytes_moved();
    jobs.push_back({tensor, update[views[first].format == Format::f64], options, bytes});
  }
  return true;
}

void Plan::add(const Arrays& arrays, const Entry& rule, const void* options, const Extras& extras,
               bool writes_gradient) {
  const std::span<const State> states = rule.states;
  for (const auto& [list, name] :
       {std::pair{extras.averages, "averages"}, {extras.copies, "copies"}, {extras.places, "places"}})
    if (list && !list.is_none()) require_length(list, arrays.labels.size(), name);
  for (std::size_t i = 0; i < arrays.labels.size(); ++i) {
    const std::size_t first = views.size();
    const auto add_array = [&](const py::handle& list, const Name& name, Access access, Formats formats) {
      const View& added = add_view(list, i, access, name, formats);
      require_same_shape(added, views[first]);
      return stored(added);
    };
    const py::handle label = PyList_GET_ITEM(arrays.labels.ptr(), i);
    Staging staging;
    staging.number = static_cast<Index>(jobs.size());
    if (extras.places && !extras.places.is_none())
      std::tie(staging.number, staging.first) = py::cast<std::pair<Index, Index>>(extras.places[py::int_(i)]);
    if (staging.first % storage::kScaled != 0)
      throw py::value_error("an array begins at element " + std::to_string(staging.first) +
                            " of its tensor, expected a multiple of " + std::to_string(storage::kScaled));
    staging.theta = add_array(arrays.written[0], arrays.name(0, i), Access::write, kFloating);
    const Format theta = staging.theta.format;
    staging.gradient = add_array(arrays.grads, arrays.name(1, i), writes_gradient ? Access::write : Access::read,
                                 gradient_formats(theta));
    for (std::size_t k = 0; k < states.size(); ++k) {
      const py::handle list = PyTuple_GET_ITEM(arrays.written.ptr(), k + 1);
      if (list.is_none()) continue;
      Stored& state = staging.states[k] = add_array(list, arrays.name(k + 2, i), Access::write, state_formats(theta));
      state.positive = states[k].positive;
      if (state.format != Format::u8) continue;
      const View& scales = add_view(extras.scales[py::int_(k)], i, Access::write, arrays.name(k + 2, i), Format::f32);
      if (scales.size() != (views[first].size() + storage::kScaled - 1) / storage::kScaled)
        throw py::value_error(scales.name.str() + " has " + std::to_string(scales.size()) + " scales");
      state.scales = static_cast<float*>(scales.data());
    }
    static const py::handle averages = PyUnicode_InternFromString("averages");
    static const py::handle copies = PyUnicode_InternFromString("copies");
    if (extras.averages && !extras.averages.is_none())
      staging.average = add_array(extras.averages, {averages, label}, Access::write, computed(theta)).data;
    if (extras.copies && !extras.copies.is_none())
      staging.copy =
          add_array(extras.copies, {copies, label}, Access::write, theta == Format::f64 ? kFloating : kHalves);
    staging.look_ahead = extras.look_ahead.value_or(0);
    staging.velocity = extras.velocity;
    staging.update = rule.few_bits.of(theta, staging.states);
    Index bytes = 0;
    for (std::size_t k = first; k < views.size(); ++k) bytes += views[k].bytes_moved();
    Tensor tensor{};
    tensor.size = views[first].size();
    jobs.push_back({tensor, rule.update[theta == Format::f64], options, bytes});
    stagings.push_back(staging);
  }
}

py::tuple as_arrays(const py::list& objects, const py::str& argument, const py::list& labels) {
  static constexpr const char* names[] = {"float32", "float64", "bfloat16", "float16"};
  std::vector<View> views;
  for (std::size_t i = 0; i < objects.size(); ++i)
    views.push_back(view(item(objects, i), Access::write, {argument, PyList_GET_ITEM(labels.ptr(), i)}, kFloating));
  require_disjoint(views);
  py::list arrays, formats;
  for (const View& v : views) {
    arrays.append(v.array);
    formats.append(names[static_cast<int>(v.format)]);
  }
  return py::make_tuple(arrays, formats);
}

}  // namespace schuss::bind
