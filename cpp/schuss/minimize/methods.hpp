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
  double curvature;  // its Wolfe constant c₂
};

template <class T, template <class> class Method>
std::unique_ptr<Solver> make(const T* x0, Index n, const Options& options) {
  return std::make_unique<Descent<T, Method>>(x0, n, options);
}

template <class T, template <class> class Method>
constexpr Entry<T> entry(std::string_view name) {
  return {name, &make<T, Method>, Method<T>::kCurvature};
}

template <class T>
inline constexpr Entry<T> kMethods[] = {entry<T, GradientDescent>("gd"), entry<T, ConjugateGradient>("cg"),
                                        entry<T, Bfgs>("bfgs"), entry<T, Lbfgs>("lbfgs"), entry<T, Newton>("newton")};

// Null if there is no such method.
template <class T>
std::unique_ptr<Solver> make_solver(std::string_view method, const T* x0, Index n, const Options& options) {
  for (const Entry<T>& entry : kMethods<T>)
    if (entry.name == method) return entry.make(x0, n, options);
  return nullptr;
}

}  // namespace schuss::minimize
