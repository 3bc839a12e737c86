#pragma once

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct AdaDelta {
  double lr = 1;
  double rho = 0.95;
  double eps = 1e-6;
  Convention convention = Convention::book;

  static constexpr auto name = "adadelta";
  static constexpr auto source = "Zeiler 2012, algorithm 1";
  static constexpr auto states = std::array{State{.name = "r", .positive = true}, State{.name = "u", .positive = true}};
  static constexpr auto options =
      std::tuple{Option{"lr", &AdaDelta::lr}, Option{"rho", &AdaDelta::rho}, Option{"eps", &AdaDelta::eps},
                 Option{"convention", &AdaDelta::convention}};

  template <class B>
  void operator()(B& theta, const B& g, B& r, B& u) const {
    r = rho * r + (1 - rho) * g.square();
    const B step = sqrt((u + eps) / (r + eps)) * g;
    u = rho * u + (1 - rho) * step.square();
    theta -= lr * step;
  }
};

}  // namespace schuss
