// Every method there is.
#pragma once

#include <memory>

#include "schuss/minimize/bfgs.hpp"
#include "schuss/minimize/conjugate_gradient.hpp"
#include "schuss/minimize/gradient_descent.hpp"
#include "schuss/minimize/lbfgs.hpp"
#include "schuss/minimize/newton.hpp"

namespace schuss::minimize {

template <class T>
struct Entry {
  std::string_view name;
  std::unique_ptr<Solver> (*make)(const T* x0, Index n, const Options& options);
};

template <class T, template <class> class Method>
std::unique_ptr<Solver> make(const T* x0, Index n, const Options& options) {
  return std::make_unique<Descent<T, Method>>(x0, n, options);
}

template <class T>
inline constexpr Entry<T> kMethods[] = {{"gd", &make<T, GradientDescent>},
                                        {"cg", &make<T, ConjugateGradient>},
                                        {"bfgs", &make<T, Bfgs>},
                                        {"lbfgs", &make<T, Lbfgs>},
                                        {"newton", &make<T, Newton>}};

// Null if there is no such method.
template <class T>
std::unique_ptr<Solver> make_solver(std::string_view method, const T* x0, Index n, const Options& options) {
  for (const Entry<T>& entry : kMethods<T>)
    if (entry.name == method) return entry.make(x0, n, options);
  return nullptr;
}

}  // namespace schuss::minimize
