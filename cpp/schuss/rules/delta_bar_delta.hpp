#pragma once

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct DeltaBarDelta {
  double lr = 0.01;
  double kappa = 0.001;
  double phi = 0.1;
  double gamma = 0.7;
  Convention convention = Convention::book;

  static constexpr auto name = "delta_bar_delta";
  static constexpr auto source = "Jacobs 1988; Deep Learning, section 8.5";
  static constexpr auto states =
      std::array{State{.name = "rate", .starts_at = "lr", .positive = true}, State{"delta_bar"}};
  static constexpr auto options = std::tuple{Option{"lr", &DeltaBarDelta::lr}, Option{"kappa", &DeltaBarDelta::kappa},
                                             Option{"phi", &DeltaBarDelta::phi}, Option{"gamma", &DeltaBarDelta::gamma},
                                             Option{"convention", &DeltaBarDelta::convention}};

  template <class B>
  void operator()(B& theta, const B& g, B& rate, B& delta_bar) const {
    const B agreement = delta_bar * g;
    rate = where_positive(agreement, rate + kappa, where_positive(-agreement, (1 - phi) * rate, rate));
    delta_bar = (1 - gamma) * g + gamma * delta_bar;
    theta -= rate * g;
  }
};

}  // namespace schuss
