#pragma once

#include <cmath>
#include <optional>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

// Adam with Nesterov's look-ahead, and with a momentum that warms up: μₜ = ρ₁(1 − ½·0.96^(t·ψ)), ψ the momentum decay.
struct NAdam {
  double lr = 0.002;
  std::array<double, 2> betas{0.9, 0.999};
  double eps = 1e-8;
  double momentum_decay = 0.004;
  std::optional<double> mu_product;  // μ₁ ⋯ μₜ; from the betas, unless given
  Convention convention = Convention::book;

  static constexpr auto name = "nadam";
  static constexpr auto source = "Dozat 2016, algorithm 2";
  static constexpr auto states = std::array{State{"s"}, State{.name = "r", .positive = true}};
  static constexpr auto options = std::tuple{Option{"lr", &NAdam::lr},
                                             Option{"betas", &NAdam::betas},
                                             Option{"eps", &NAdam::eps},
                                             Option{"momentum_decay", &NAdam::momentum_decay},
                                             Option{"mu_product", &NAdam::mu_product},
                                             Option{"convention", &NAdam::convention}};

  // The shares of the gradient and of its average in a step, with the bias of the zero start undone.
  double mu = 0, share_g = 0, share_s = 0, unbias2 = 0;
  void begin(double step) {
    const auto momentum = [this](double t) { return betas[0] * (1 - 0.5 * std::pow(0.96, t * momentum_decay)); };
    const double mu_next = momentum(step + 1);
    mu = momentum(step);
    double product = mu_product.value_or(1);
    if (!mu_product)  // of a smaller product nothing is left in 1 − product
      for (double t = 1; t <= step && product > 1e-17; ++t) product *= momentum(t);
    share_g = (1 - mu) / (1 - product);
    share_s = mu_next / (1 - product * mu_next);
    unbias2 = 1 / (1 - std::pow(betas[1], step));
  }

  template <class B>
  void operator()(B& theta, const B& g, B& s, B& r) const {
    const auto [rho1, rho2] = betas;
    r = rho2 * r + (1 - rho2) * g.square();
    if (convention == Convention::book) {
      s = mu * s + (1 - mu) * g;
    } else {
      s += (1 - rho1) * (g - s);
    }
    const B s_hat = share_g * g + share_s * s;
    const B r_hat = unbias2 * r;
    theta -= lr * s_hat / (sqrt(r_hat) + eps);
  }
};

}  // namespace schuss
