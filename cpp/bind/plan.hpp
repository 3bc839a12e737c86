// A step of an optimizer as Python describes it, checked whole before anything is modified.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bind/options.hpp"
#include "bind/registry.hpp"
#include "schuss/norm.hpp"

namespace schuss::bind {

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
  void require_whole(std::span<const State> states) const;
};

// What a group has beside parameters, gradients and states. Lists that are not there are None.
struct Extras {
  py::object scales;  // a tuple with a list, or None, for each state
  py::object averages;
  py::object copies;
  py::object places;  // of arrays that are parts of tensors: (number of the tensor, where in it the part begins)
  std::optional<double> look_ahead;
  int velocity = 0;

  static constexpr auto options =
      std::tuple{Option{"scales", &Extras::scales},         Option{"averages", &Extras::averages},
                 Option{"copies", &Extras::copies},         Option{"places", &Extras::places},
                 Option{"look_ahead", &Extras::look_ahead}, Option{"velocity", &Extras::velocity}};
};

// What a step is to do around the update rule, in the words of Python.
struct Request {
  double grad_scale = 1;
  std::optional<double> clip_norm, clip_value;
  std::optional<double> norm;  // of the gradients before they are unscaled, if it has been measured already
  bool skip_nonfinite = false, zero_grad = false, stochastic = false;
  std::uint64_t seed = 0;
  std::string averaging;
  double average_decay = 0, averaged = 0;
  Convention convention = Convention::book;

  static constexpr auto options = std::tuple{Option{"grad_scale", &Request::grad_scale},
                                             Option{"clip_norm", &Request::clip_norm},
                                             Option{"clip_value", &Request::clip_value},
                                             Option{"norm", &Request::norm},
                                             Option{"skip_nonfinite", &Request::skip_nonfinite},
                                             Option{"zero_grad", &Request::zero_grad},
                                             Option{"stochastic", &Request::stochastic},
                                             Option{"seed", &Request::seed},
                                             Option{"averaging", &Request::averaging},
                                             Option{"average_decay", &Request::average_decay},
                                             Option{"averaged", &Request::averaged},
                                             Option{"convention", &Request::convention}};

  bool measures() const { return clip_norm || skip_nonfinite; }

  // What this asks for at a step whose gradients have that norm before they are unscaled.
  Phase phase(std::int64_t step, std::optional<double> measured) const;
};

// What a call is to do.
struct Plan {
  std::vector<View> views;
  std::vector<Job> jobs;
  std::vector<Staging> stagings;  // one for each job, or none
  std::vector<std::shared_ptr<const void>> bound;

  // Adds a job for each parameter; update[0] does it in float32, update[1] in float64. False if a gradient is stored in
  // fewer bits than that, which a rule alone does not read.
  bool add(const Arrays& arrays, const Update (&update)[2], const void* bound);

  // Likewise, with what is done around it.
  void add(const Arrays& arrays, const Entry& rule, const void* bound, const Extras& extras, bool writes_gradient);

  // Throws if an array that is written overlaps another one.
  void require_disjoint() const { bind::require_disjoint(views); }

 private:
  const View& add_view(const py::handle& list, std::size_t i, Access access, const Name& name, Formats formats);
};

// The objects as NumPy arrays on the same memory, and the names of their formats.
py::tuple as_arrays(const py::list& objects, const py::str& argument, const py::list& labels);

}  // namespace schuss::bind
