#pragma once

#include <cmath>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct Adamax {
  double lr = 0.002;
  std::array<double, 2> betas{0.9, 0.999};
  double eps = 1e-8;
  Convention convention = Convention::book;

  static constexpr auto name = "adamax";
  static constexpr auto source = "Kingma and Ba 2015, algorithm 2";
  static constexpr auto states = std::array{State{"s"}, State{.name = "u", .positive = true}};
  static constexpr auto options = std::tuple{Option{"lr", &Adamax::lr}, Option{"betas", &Adamax::betas},
                                             Option{"eps", &Adamax::eps}, Option{"convention", &Adamax::convention}};

  double unbias1 = 0;
  void begin(double step) { unbias1 = 1 / (1 - std::pow(betas[0], step)); }

  template <class B>
  void operator()(B& theta, const B& g, B& s, B& u) const {
    const auto [rho1, rho2] = betas;
    if (convention == Convention::book) {
      s = rho1 * s + (1 - rho1) * g;
    } else {
      s += (1 - rho1) * (g - s);
    }
    u = maximum(rho2 * u, g.abs() + eps);
    theta -= (lr * unbias1) * s / u;
  }
};

}  // namespace schuss
