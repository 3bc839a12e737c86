// Batch normalization, for Python.
#include "schuss/batch_norm.hpp"

#include "bind/bind.hpp"
#include "bind/views.hpp"
#include "schuss/ceiling.hpp"

namespace schuss::bind {

namespace {

// The arrays of a call, all checked before anything is modified. None becomes a null pointer.
class Arrays {
 public:
  Arrays(const py::handle& x, int channel_axis) {
    views_.reserve(10);  // references to views stay valid
    add(x, Access::read, "x");
    const auto ndim = static_cast<int>(data().array.ndim());
    if (channel_axis < -ndim || channel_axis >= ndim)
      throw py::value_error("channel_axis is " + std::to_string(channel_axis) + ", expected an axis of x, which has " +
                            std::to_string(ndim) + " dimensions");
    axis_ = channel_axis < 0 ? channel_axis + ndim : channel_axis;
    Index outer = 1, inner = 1;
    for (int k = 0; k < ndim; ++k)
      if (k != axis_) (k < axis_ ? outer : inner) *= data().array.shape(k);
    layout = Layout(outer, data().array.shape(axis_), inner);
    if (layout.size() == 0) throw py::value_error("x has shape " + shape() + ", expected at least one element");
  }

  void* like_x(const py::handle& object, Access access, const char* name) {
    if (object.is_none()) return nullptr;
    const View& added = add(object, access, name);
    require_like(added, data());
    return added.data();
  }
  void* by_channel(const py::handle& object, Access access, const char* name) {
    return object.is_none() ? nullptr : by_channel(object, access, name, data().format);
  }
  void* by_channel(const py::handle& object, Access access, const char* name, Format format) {
    const View& added = add(object, access, name);
    require_channels(added, format, data(), axis_);
    return added.data();
  }
  void require_several_positions() const {
    if (layout.positions() < 2)
      throw py::value_error("x of shape " + shape() + " has one value for each channel on axis " +
                            std::to_string(axis_) + ", expected at least two in training");
  }
  void require_disjoint() const { bind::require_disjoint(views_); }

  py::array new_like_x() const {
    return py::array(data().array.dtype(),
                     std::vector<py::ssize_t>(data().array.shape(), data().array.shape() + data().array.ndim()));
  }
  py::array new_by_channel() const {
    return py::array(data().array.dtype(), std::vector<py::ssize_t>{layout.channels});
  }

  const View& data() const { return views_.front(); }
  std::string shape() const { return py::str(data().array.attr("shape")); }

  Layout layout{1, 1, 1};

 private:
  const View& add(const py::handle& object, Access access, const char* name) {
    return views_.emplace_back(view(object, access, Name(name)));
  }

  std::vector<View> views_;
  py::ssize_t axis_ = 0;
};

using Doubles = py::array_t<double>;

double* begin(const Doubles& array) { return const_cast<double*>(array.data()); }

template <class Call>
void carry_out(const Call& call, const Arrays& arrays, double eps, bool training, int num_threads) {
  // The caller and `arrays` own references to every array, so their memory outlives the call.
  py::gil_scoped_release released;
  call(arrays.layout, batch_norm::Options{eps, training, thread_count(num_threads)});
}

template <class Call>
auto by_format(const View& data, const Call& call) {
  return data.format == Format::f32 ? call.template operator()<float>() : call.template operator()<double>();
}

py::tuple forward(const py::object& x, const py::object& gamma, const py::object& beta, const py::object& running_mean,
                  const py::object& running_var, const py::object& residual, const py::object& out, bool training,
                  double weight, double eps, int channel_axis, bool relu, int num_threads) {
  Arrays arrays(x, channel_axis);
  const void* gamma_ = arrays.by_channel(gamma, Access::read, "gamma");
  const void* beta_ = arrays.by_channel(beta, Access::read, "beta");
  const Access running = training ? Access::write : Access::read;
  void* mean_ = arrays.by_channel(running_mean, running, "running_mean");
  void* var_ = arrays.by_channel(running_var, running, "running_var");
  const void* residual_ = arrays.like_x(residual, Access::read, "residual");
  void* out_ = arrays.like_x(out, Access::write, "out");
  if (training) arrays.require_several_positions();
  arrays.require_disjoint();

  const py::object y = out.is_none() ? arrays.new_like_x() : out;
  if (!out_) out_ = py::reinterpret_borrow<py::array>(y).mutable_data();
  const Doubles mean(arrays.layout.channels), var(arrays.layout.channels);
  by_format(arrays.data(), [&]<class T>() {
    const batch_norm::Forward<T> call{static_cast<const T*>(arrays.data().data()),
                                      static_cast<const T*>(gamma_),
                                      static_cast<const T*>(beta_),
                                      static_cast<const T*>(residual_),
                                      static_cast<T*>(mean_),
                                      static_cast<T*>(var_),
                                      static_cast<T*>(out_),
                                      relu,
                                      weight,
                                      {begin(mean), begin(var)}};
    carry_out(call, arrays, eps, training, num_threads);
  });
  return py::make_tuple(y, mean, var);
}

py::tuple backward(const py::object& dy, const py::object& x, const py::object& y, const py::object& gamma,
                   const py::object& beta, const py::object& mean, const py::object& var, const py::object& out,
                   bool training, double eps, int channel_axis, bool relu, bool residual, int num_threads) {
  Arrays arrays(x, channel_axis);
  const void* dy_ = arrays.like_x(dy, Access::read, "dy");
  const void* y_ = arrays.like_x(y, Access::read, "saved.y");
  const void* gamma_ = arrays.by_channel(gamma, Access::read, "gamma");
  const void* beta_ = arrays.by_channel(beta, Access::read, "beta");
  const void* mean_ = arrays.by_channel(mean, Access::read, "saved.mean", Format::f64);
  const void* var_ = arrays.by_channel(var, Access::read, "saved.var", Format::f64);
  void* out_ = arrays.like_x(out, Access::write, "out");
  arrays.require_disjoint();

  const py::object dx = out.is_none() ? arrays.new_like_x() : out;
  if (!out_) out_ = py::reinterpret_borrow<py::array>(dx).mutable_data();
  const auto made = [](bool wanted, auto make) { return wanted ? py::object(make()) : py::none(); };
  const py::object dgamma = made(gamma_, [&] { return arrays.new_by_channel(); });
  const py::object dbeta = made(beta_, [&] { return arrays.new_by_channel(); });
  // Without an activation the gradient for the residual is dy itself.
  const bool masks_residual = residual && relu;
  const py::object dresidual = made(masks_residual, [&] { return arrays.new_like_x(); });
  using batch_norm::Mask;
  by_format(arrays.data(), [&]<class T>() {
    const auto memory = [](const py::object& array) -> T* {
      return array.is_none() ? nullptr : static_cast<T*>(py::reinterpret_borrow<py::array>(array).mutable_data());
    };
    const batch_norm::Backward<T> call{static_cast<const T*>(dy_),
                                       static_cast<const T*>(arrays.data().data()),
                                       static_cast<const T*>(y_),
                                       static_cast<const T*>(gamma_),
                                       static_cast<const T*>(beta_),
                                       static_cast<const double*>(mean_),
                                       static_cast<const double*>(var_),
                                       static_cast<T*>(out_),
                                       memory(dgamma),
                                       memory(dbeta),
                                       memory(dresidual),
                                       !relu ? Mask::none
                                       : y_  ? Mask::stored
                                             : Mask::computed};
    carry_out(call, arrays, eps, training, num_threads);
  });
  if (residual) return py::make_tuple(dx, dgamma, dbeta, relu ? dresidual : dy);
  return py::make_tuple(dx, dgamma, dbeta);
}

// The number of values in a channel, their means and their biased variances. running_mean is only looked at.
py::tuple moments(const py::object& x, const py::object& running_mean, int channel_axis, int num_threads) {
  Arrays arrays(x, channel_axis);
  arrays.by_channel(running_mean, Access::read, "running_mean");
  const Doubles mean(arrays.layout.channels), var(arrays.layout.channels);
  const batch_norm::Statistics to{begin(mean), begin(var)};
  by_format(arrays.data(), [&]<class T>() {
    const auto call = [&](const Layout& layout, const batch_norm::Options& options) {
      batch_norm::statistics(static_cast<const T*>(arrays.data().data()), layout, to, options.max_threads);
    };
    carry_out(call, arrays, 0, true, num_threads);
  });
  return py::make_tuple(arrays.layout.positions(), mean, var);
}

void move_arrays_in_passes(const py::object& x, const py::object& dy, const py::object& out, bool first_pass,
                           int num_threads) {
  Arrays arrays(x, 0);
  const void* dy_ = arrays.like_x(dy, Access::read, "dy");
  void* out_ = arrays.like_x(out, Access::write, "out");
  arrays.require_disjoint();
  const auto call = [&]<class Word>() {
    const py::gil_scoped_release released;
    move_in_passes(static_cast<const Word*>(arrays.data().data()), static_cast<const Word*>(dy_),
                   static_cast<Word*>(out_), arrays.data().size(), first_pass, thread_count(num_threads));
  };
  arrays.data().format == Format::f32 ? call.template operator()<std::uint32_t>()
                                      : call.template operator()<std::uint64_t>();
}

}  // namespace

void register_batch_norm(py::module_& module) {
  module.def("batch_norm", &forward, py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("running_mean"),
             py::arg("running_var"), py::arg("residual"), py::arg("out"), py::arg("training"), py::arg("weight"),
             py::arg("eps"), py::arg("channel_axis"), py::arg("relu"), py::arg("num_threads"),
             "y, and the mean and the biased variance that normalized it; weight is that of a new batch in the "
             "running statistics.");
  module.def("batch_norm_backward", &backward, py::arg("dy"), py::arg("x"), py::arg("y"), py::arg("gamma"),
             py::arg("beta"), py::arg("mean"), py::arg("var"), py::arg("out"), py::arg("training"), py::arg("eps"),
             py::arg("channel_axis"), py::arg("relu"), py::arg("residual"), py::arg("num_threads"),
             "dx, dgamma, dbeta and, with a residual, its gradient.");
  module.def("batch_moments", &moments, py::arg("x"), py::arg("running_mean"), py::arg("channel_axis"),
             py::arg("num_threads"),
             "The number of values in each channel, their means and their biased variances; x must fit running_mean.");
  module.def("move_in_passes", &move_arrays_in_passes, py::arg("x"), py::arg("dy"), py::arg("out"),
             py::arg("first_pass"), py::arg("num_threads"),
             "Reads x, and dy unless it is None, twice, or once without a first pass, and writes out, as batch "
             "normalization does.");
}

}  // namespace schuss::bind
