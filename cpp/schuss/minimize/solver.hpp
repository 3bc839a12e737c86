// A minimisation seen from outside: what it can be told to do, what it wants, and what is known of it.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "schuss/minimize/line_search.hpp"
#include "schuss/minimize/vector.hpp"

namespace schuss::minimize {

enum class Status {
  running = -1,
  converged = 0,
  iteration_limit = 1,
  precision_limit = 2,
  nonfinite = 3,
  evaluation_limit = 4,
  time_limit = 5,
  failure = 6,
  stopped = 99,
};

enum class Search { wolfe, backtracking, exact };
enum class Beta { pr, fr, hs, dy, hz };
enum class Scaling { none, first, always };
enum class Curvature { regularized, saddle_free };

struct Options {
  double gtol = 1e-5;
  double xrtol = 0;
  double ftol = 0;
  double norm = kInfinity;
  Index max_iterations = std::numeric_limits<Index>::max();
  Index max_evaluations = std::numeric_limits<Index>::max();
  double max_seconds = kInfinity;
  Search search = Search::wolfe;
  double decrease = 1e-4;
  double curvature = 0;   // 0: the method's own
  double first_step = 0;  // the length of the first step over that of p; 0: from the scales of x, f and g
  int threads = 1;

  Index memory = 10;                  // L-BFGS
  Beta beta = Beta::pr;               // conjugate gradients
  Index restart = 0;                  // conjugate gradients: every so many iterations; 0: as many as unknowns
  double powell = kInfinity;          // conjugate gradients: Powell's test; infinity: never
  Scaling scaling = Scaling::always;  // BFGS
  Curvature curvature_of = Curvature::regularized;  // Newton
  double floor = 0;                                 // Newton, saddle-free: the least |λ| over the largest; 0: √ε
};

enum class Wants { gradient, hessian, nothing };

// Sees the members of a state, to save or to load them.
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void number(std::string_view name, double& value) = 0;
  virtual void count(std::string_view name, Index& value) = 0;
  virtual void flag(std::string_view name, bool& value) = 0;
  virtual void array(std::string_view name, float* values, Index size) = 0;
  virtual void array(std::string_view name, double* values, Index size) = 0;

  template <class T>
  void vector(std::string_view name, Vector<T>& v) {
    array(name, v.data(), v.size());
  }
};

// A minimisation, whatever its method and its number format.
class Solver {
 public:
  virtual ~Solver() = default;

  virtual Wants wants() const = 0;
  virtual const void* asked() const = 0;  // the point to evaluate at
  virtual void tell(double f, const void* g) = 0;
  virtual void tell_hessian(const void* h) = 0;
  virtual void stop(Status status) = 0;  // ends it, or says another reason for its end

  virtual Status status() const = 0;
  virtual Index size() const = 0;
  virtual Index iterations() const = 0;
  virtual Index evaluations() const = 0;
  virtual Index hessians() const = 0;

  struct Point {
    const void *x, *g;
    double f, norm;
  };
  virtual Point best() const = 0;     // the best finite point; once converged, the point that has
  virtual Point iterate() const = 0;  // the current one

  virtual void set_limits(const Options& options) = 0;  // of what stops it, all but the method's own
  virtual void visit(Visitor& visitor) = 0;             // the state at the start of this iteration
  virtual void restart() = 0;                           // from a state that was loaded
  virtual bool inverse_hessian(void* full) = 0;         // false if the method has none
  virtual void set_inverse_hessian(const void* full) = 0;
};

}  // namespace schuss::minimize
