#pragma once

#include <cmath>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

// Adam, whose first steps are plain momentum, as long as too few gradients make up the average of the squares.
struct RAdam {
  double lr = 0.001;
  std::array<double, 2> betas{0.9, 0.999};
  double eps = 1e-8;
  Convention convention = Convention::book;

  static constexpr auto name = "radam";
  static constexpr auto source = "Liu et al. 2020, algorithm 2";
  static constexpr auto states = std::array{State{"s"}, State{.name = "r", .positive = true}};
  static constexpr auto options = std::tuple{Option{"lr", &RAdam::lr}, Option{"betas", &RAdam::betas},
                                             Option{"eps", &RAdam::eps}, Option{"convention", &RAdam::convention}};

  // The length of the simple average that r amounts to decides whether its variance can be rectified.
  double unbias1 = 0, unbias2 = 0, rectifier = 0;
  bool rectified = false;
  void begin(double step) {
    const double power = std::pow(betas[1], step);
    const double longest = 2 / (1 - betas[1]) - 1;
    const double length = longest - 2 * step * power / (1 - power);
    unbias1 = 1 / (1 - std::pow(betas[0], step));
    unbias2 = 1 / (1 - power);
    rectified = length > (convention == Convention::book ? 4 : 5);
    if (rectified)
      rectifier = std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
  }

  template <class B>
  void operator()(B& theta, const B& g, B& s, B& r) const {
    const auto [rho1, rho2] = betas;
    r = rho2 * r + (1 - rho2) * g.square();
    if (convention == Convention::book) {
      s = rho1 * s + (1 - rho1) * g;
    } else {
      s += (1 - rho1) * (g - s);
    }
    const B s_hat = unbias1 * s;
    if (!rectified) {
      theta -= lr * s_hat;
    } else if (convention == Convention::book) {
      const B r_hat = unbias2 * r;
      theta -= (lr * rectifier) * s_hat / (sqrt(r_hat) + eps);
    } else {
      theta -= (lr * rectifier / std::sqrt(unbias2)) * s_hat / (sqrt(r) + eps);
    }
  }
};

}  // namespace schuss
