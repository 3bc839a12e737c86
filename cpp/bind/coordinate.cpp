// Coordinate descent, for Python. Its arrays come from python/schuss/coordinate, which has made them: of one format,
// aligned, of shapes that fit. Those that are read may have any strides.
#include <atomic>
#include <thread>

#include "bind/bind.hpp"
#include "bind/signals.hpp"
#include "bind/views.hpp"
#include "schuss/coordinate/dictionary.hpp"
#include "schuss/coordinate/elastic_net.hpp"
#include "schuss/coordinate/quadratic.hpp"
#include "schuss/coordinate/sparse_encode.hpp"

namespace schuss::bind {

namespace {

using namespace coordinate;

template <class T>
Strided<T> strided(const py::array& a) {
  const auto rows = a.shape(0), columns = a.ndim() > 1 ? a.shape(1) : 1;
  return {static_cast<const char*>(a.data()), rows, columns, a.strides(0), a.ndim() > 1 ? a.strides(1) : 0};
}

template <class T>
Strided<T> transposed(const py::array& a) {
  const Strided<T> s = strided<T>(a);
  return {s.data, s.columns, s.rows, s.column_step, s.row_step};
}

Format format_of(const py::array& a) { return a.itemsize() == 4 ? Format::f32 : Format::f64; }

template <class T>
T* memory(py::array& array) {
  return static_cast<T*>(array.mutable_data());
}

void require_finite(const Columns& columns, const char* name) {
  if (!columns.finite) throw py::value_error(std::string(name) + " has elements that are not finite");
}

// Rounds are added to `rounds` as (sweeps, objective, gap, relative gap, intercept), and coef is set in each, so that
// both are there if an exception ends the run. Returns how it ended.
int elastic_net(const py::array& x, const py::array& y, py::array& coef, double alpha, double l1_ratio, bool intercept,
                double tol, Index maxiter, int num_threads, py::list& rounds, const py::object& callback) {
  const Request request{alpha, l1_ratio, intercept, tol, maxiter, thread_count(num_threads)};
  return with_format(format_of(x), [&]<class T>(T) {
    T* const w = memory<T>(coef);
    const Strided<T> from_x = strided<T>(x), from_y = strided<T>(y);
    Signals signals;
    const py::gil_scoped_release released;
    ElasticNet<T> problem(from_x, from_y, request);
    {
      const py::gil_scoped_acquire acquired;
      require_finite(problem.columns(), "X");
      require_finite(problem.target(), "y");
    }
    problem.begin(w);
    const auto watch = [&](const Progress& now) {
      const py::gil_scoped_acquire acquired;
      rounds.append(py::make_tuple(now.sweeps, now.objective, now.gap, now.relative, now.intercept));
      return !callback.is_none() && py::cast<bool>(callback());
    };
    return static_cast<int>(problem.run(w, watch, [&] { signals.raise(); }));
  });
}

// Sets h, which holds the start, and the four arrays of what is known of each sample.
void sparse_encode(const py::array& x, const py::array& dictionary, py::array& h, py::array_t<double>& objective,
                   py::array_t<double>& gap, py::array_t<double>& relative, py::array_t<std::int64_t>& sweeps,
                   double alpha, double tol, Index maxiter, int num_threads) {
  const Coding coding{alpha, tol, maxiter, thread_count(num_threads)};
  with_format(format_of(x), [&]<class T>(T) {
    const Codes<T> codes{memory<T>(h), objective.mutable_data(), gap.mutable_data(), relative.mutable_data(),
                         sweeps.mutable_data()};
    const Strided<T> from_x = transposed<T>(x), from_dictionary = transposed<T>(dictionary);
    Signals signals;
    std::atomic<bool> ended = false;
    const auto tick = [&, caller = std::this_thread::get_id()] {
      try {
        if (std::this_thread::get_id() == caller) signals.raise();
      } catch (...) {
        ended = true;
        throw;
      }
      return ended.load(std::memory_order_relaxed);
    };
    const py::gil_scoped_release released;
    const SparseEncoder<T> encoder(from_x, from_dictionary, coding);
    {
      const py::gil_scoped_acquire acquired;
      require_finite(encoder.samples(), "X");
      require_finite(encoder.atoms(), "dictionary");
    }
    encoder.run(codes, tick);
  });
}

template <class T>
Factors<T> factors(const py::array& x, const py::array& h) {
  return {static_cast<const T*>(x.data()), static_cast<const T*>(h.data()), x.shape(0), x.shape(1), h.shape(1)};
}

Index update_dictionary(const py::array& x, const py::array& h, py::array& w, double enough, Index most,
                        int num_threads) {
  return with_format(format_of(x), [&]<class T>(T) {
    const Factors<T> from = factors<T>(x, h);
    T* const atoms = memory<T>(w);
    Signals signals;
    const py::gil_scoped_release released;
    return coordinate::update_dictionary(from, atoms, enough, most, thread_count(num_threads),
                                         [&] { signals.raise(); });
  });
}

py::array_t<double> residual_squares(const py::array& x, const py::array& h, const py::array& w, int num_threads) {
  py::array_t<double> found(x.shape(0));
  double* const to = found.mutable_data();
  with_format(format_of(x), [&]<class T>(T) {
    const Factors<T> from = factors<T>(x, h);
    const T* const atoms = static_cast<const T*>(w.data());
    const py::gil_scoped_release released;
    squares(from, atoms, to, thread_count(num_threads));
  });
  return found;
}

// Sweeps over x, which is changed in place; adds the objective and the violation after each to `rounds`. a, b and x are
// of float64. Returns how it ended.
int coordinate_descent(const py::array_t<double>& a, const py::array_t<double>& b, py::array_t<double>& x, double alpha,
                       double enough, Index maxiter, py::list& rounds, const py::object& callback) {
  const Index n = b.size(), stride = padded(n);
  Buffer<double> rows(n * stride), q(stride);
  std::vector<double> diagonal(n), l1(n, alpha), l2(n, 0);
  for (Index i = 0; i < n; ++i) {
    std::copy_n(a.data() + i * n, n, rows.data() + i * stride);
    diagonal[i] = a.data()[i * n + i];
    q.data()[i] = b.data()[i];
  }
  const Coordinates all{n, x.mutable_data(), diagonal.data(), l1.data(), l2.data()};
  for (Index j = 0; j < n; ++j) subtract_multiple(q.data(), all.v[j], rows.data() + j * stride, stride);
  Quadratic form{rows.data(), stride, q.data()};
  for (Index sweeps = 0;; ++sweeps) {
    const double f = objective(all, q.data(), b.data()), off = violation(all, q.data());
    rounds.append(py::make_tuple(sweeps, f, off));
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!callback.is_none() && py::cast<bool>(callback())) return static_cast<int>(Status::stopped);
    if (!std::isfinite(f) || !std::isfinite(off)) return static_cast<int>(Status::precision_limit);
    if (off <= enough) return static_cast<int>(Status::converged);
    if (sweeps >= maxiter) return static_cast<int>(Status::iteration_limit);
    const py::gil_scoped_release released;
    sweep(form, all);
  }
}

}  // namespace

void register_coordinate(py::module_& module) {
  module.def("elastic_net", &elastic_net);
  module.def("sparse_encode", &sparse_encode);
  module.def("update_dictionary", &update_dictionary);
  module.def("residual_squares", &residual_squares);
  module.def("coordinate_descent", &coordinate_descent);
}

}  // namespace schuss::bind
