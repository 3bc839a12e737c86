#pragma once

#include <optional>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

// One rule for the whole family: without momentum v is not kept and starts each step at zero, without centering the
// mean gradient is not kept. With nesterov the stored theta is the look-ahead point; see nesterov.hpp.
struct RMSProp {
  double lr = 0.001;
  double rho = 0.9;
  double eps = 1e-6;
  double momentum = 0;
  std::optional<double> look_ahead;  // momentum, unless given
  bool nesterov = false;
  bool centered = false;
  Convention convention = Convention::book;

  static constexpr auto name = "rmsprop";
  static constexpr auto source = "Hinton 2012, Graves 2013 (centered); Deep Learning, algorithms 8.5 and 8.6";
  static constexpr auto states =
      std::array{State{.name = "r", .positive = true}, State{"g_bar", "centered"}, State{"v", "momentum"}};
  static constexpr auto options = std::tuple{Option{"lr", &RMSProp::lr},
                                             Option{"rho", &RMSProp::rho},
                                             Option{"eps", &RMSProp::eps},
                                             Option{"momentum", &RMSProp::momentum},
                                             Option{"look_ahead", &RMSProp::look_ahead},
                                             Option{"nesterov", &RMSProp::nesterov},
                                             Option{"centered", &RMSProp::centered},
                                             Option{"convention", &RMSProp::convention}};

  template <class B>
  void operator()(B& theta, const B& g, B& r, B& g_bar, B& v) const {
    r = rho * r + (1 - rho) * g.square();
    B variance = r;
    if (centered) {
      g_bar = rho * g_bar + (1 - rho) * g;
      variance = r - g_bar.square();
      variance = where_positive(-variance, B::Zero(), variance);  // rounding may leave it below zero
    }
    if (convention == Convention::book) {
      const B step = lr * g / sqrt(eps + variance);
      v = momentum * v - step;
      if (nesterov) {
        theta += look_ahead.value_or(momentum) * v - step;
      } else {
        theta += v;
      }
    } else {
      v = momentum * v + g / (sqrt(variance) + eps);
      theta -= lr * v;
    }
  }
};

}  // namespace schuss
