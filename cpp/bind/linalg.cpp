// The minimisers' kernels by themselves.
#include "bind/bind.hpp"
#include "bind/objective.hpp"
#include "schuss/minimize/linear.hpp"
#include "schuss/minimize/newton.hpp"

namespace schuss::bind {

namespace {

template <class Values>
void require_finite(const Values& values, const char* name) {
  if (!values.allFinite()) throw py::value_error(std::string(name) + " has elements that are not finite");
}

void bfgs_update(const py::handle& h, const py::handle& s, const py::handle& y, int num_threads) {
  const View matrix = view_of(h, "H", Access::write, 2);
  const View step = view_of(s, "s", Access::read, 1), change = view_of(y, "y", Access::read, 1);
  const Index n = step.size();
  require_shape(matrix, {n, n}, step);
  require_shape(change, {n}, step);
  require_disjoint({matrix, step, change});
  with_format(matrix.format, [&]<class T>(T) {
    const T *const from_s = static_cast<const T*>(step.data()), *const from_y = static_cast<const T*>(change.data());
    {
      const py::gil_scoped_release released;
      if (minimize::bfgs_update(static_cast<T*>(matrix.data()), from_s, from_y, n, thread_count(num_threads))) return;
    }
    const double sy = minimize::row_product(from_s, from_y, n);
    throw py::value_error("sᵀy is " + std::string(py::str(py::float_(sy))) +
                          ", expected a positive number, and an update within range");
  });
}

// The direction and the shift.
py::object newton_direction(const py::handle& h, const py::handle& g, double alpha, const std::string& curvature,
                            double floor) {
  const View matrix = view_of(h, "H", Access::read, 2), gradient = view_of(g, "g", Access::read, 1);
  const Index n = gradient.size();
  require_shape(matrix, {n, n}, gradient);
  return with_format(gradient.format, [&]<class T>(T) -> py::object {
    py::array_t<T> direction(n);
    const Eigen::Map<const minimize::Matrix<T>> hessian(static_cast<const T*>(matrix.data()), n, n);
    const Eigen::Map<const minimize::Column<T>> at(static_cast<const T*>(gradient.data()), n);
    Eigen::Map<minimize::Column<T>> p(direction.mutable_data(), n);
    require_finite(hessian, "H");
    require_finite(at, "g");
    if (n > 0) {
      const py::gil_scoped_release released;
      if (curvature == "saddle_free") {
        minimize::saddle_free_direction<T>(hessian, at, p, floor);
      } else {
        minimize::regularized_direction<T>(hessian, at, p, alpha);
      }
    }
    return py::make_tuple(direction, alpha);
  });
}

// x, the number of iterations, the norm of the residual, and whether it is as small as was asked for.
py::object cg(const py::object& a, const py::handle& b, const py::object& x0, double rtol, Index maxiter,
              int num_threads) {
  const View right = view_of(b, "b", Access::read, 1);
  const Index n = right.size();
  const int wanted = thread_count(num_threads);
  return with_format(right.format, [&]<class T>(T) -> py::object {
    const T* const from = static_cast<const T*>(right.data());
    require_finite(Eigen::Map<const minimize::Column<T>>(from, n), "b");
    py::array_t<T> x(n);
    std::fill_n(x.mutable_data(), n, T(0));
    if (!x0.is_none()) {
      const View start = view_of(x0, "x0", Access::read, 1);
      require_shape(start, {n}, right);
      require_finite(Eigen::Map<const minimize::Column<T>>(static_cast<const T*>(start.data()), n), "x0");
      std::memcpy(x.mutable_data(), start.data(), n * sizeof(T));
    }
    minimize::LinearSystem<T> system;
    if (py::isinstance<py::function>(a) || PyCallable_Check(a.ptr())) {
      Points<T> points(n);
      system.solve(from, x.mutable_data(), n, rtol, maxiter, wanted, [&](const T* p, T* q) {
        const py::object product = a(points.at(p));
        std::memcpy(q, numbers_of<T>(product, {n}, "A(p)").data(), n * sizeof(T));
      });
    } else {
      const View matrix = view_of(a, "A", Access::read, 2);
      require_shape(matrix, {n, n}, right);
      const T* const rows = static_cast<const T*>(matrix.data());
      const py::gil_scoped_release released;
      system.solve(from, x.mutable_data(), n, rtol, maxiter, wanted,
                   [&](const T* p, T* q) { minimize::multiply(rows, p, q, n, wanted); });
    }
    return py::make_tuple(x, system.iterations, system.residual, system.success);
  });
}

}  // namespace

void register_linalg(py::module_& module) {
  module.def("bfgs_update", &bfgs_update);
  module.def("newton_direction", &newton_direction);
  module.def("cg", &cg);
}

}  // namespace schuss::bind
