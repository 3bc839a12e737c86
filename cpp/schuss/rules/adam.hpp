#pragma once

#include <cmath>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct Adam {
  double lr = 0.001;
  std::array<double, 2> betas{0.9, 0.999};
  double eps = 1e-8;
  Convention convention = Convention::book;

  static constexpr auto name = "adam";
  static constexpr auto source = "Kingma and Ba 2015; Deep Learning, algorithm 8.7";
  static constexpr auto states = std::array{State{"s"}, State{.name = "r", .positive = true}};
  static constexpr auto options = std::tuple{Option{"lr", &Adam::lr}, Option{"betas", &Adam::betas},
                                             Option{"eps", &Adam::eps}, Option{"convention", &Adam::convention}};

  // The averages start at zero; these factors undo that bias.
  double unbias1 = 0, unbias2 = 0;
  void begin(double step) {
    unbias1 = 1 / (1 - std::pow(betas[0], step));
    unbias2 = 1 / (1 - std::pow(betas[1], step));
  }

  template <class B>
  void operator()(B& theta, const B& g, B& s, B& r) const {
    const auto [rho1, rho2] = betas;
    r = rho2 * r + (1 - rho2) * g.square();
    if (convention == Convention::book) {
      s = rho1 * s + (1 - rho1) * g;
      const B s_hat = unbias1 * s;
      const B r_hat = unbias2 * r;
      theta -= lr * s_hat / (sqrt(r_hat) + eps);
    } else {
      s += (1 - rho1) * (g - s);
      theta -= (lr * unbias1) * s / (std::sqrt(unbias2) * sqrt(r) + eps);
    }
  }
};

}  // namespace schuss
