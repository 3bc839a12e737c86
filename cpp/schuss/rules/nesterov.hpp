#pragma once

#include <optional>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

// The stored theta is the book's look-ahead point, where the next gradient is taken. This step's gradient was taken
// `momentum` ahead; the next one will be taken `look_ahead` ahead. They differ only while the momentum changes.
struct Nesterov {
  double lr = 0.01;
  double momentum = 0.9;
  std::optional<double> look_ahead;  // momentum, unless given
  Convention convention = Convention::book;

  static constexpr auto name = "nesterov";
  static constexpr auto source = "Nesterov 1983, Sutskever et al. 2013; Deep Learning, algorithm 8.3";
  static constexpr auto states = std::array{State{"v"}};
  static constexpr auto options =
      std::tuple{Option{"lr", &Nesterov::lr}, Option{"momentum", &Nesterov::momentum},
                 Option{"look_ahead", &Nesterov::look_ahead}, Option{"convention", &Nesterov::convention}};

  bool first = false;
  void begin(double step) { first = step == 1; }

  template <class B>
  void operator()(B& theta, const B& g, B& v) const {
    if (convention == Convention::book) {
      v = momentum * v - lr * g;
      theta += look_ahead.value_or(momentum) * v - lr * g;
    } else {
      v = momentum * v + g;
      if (first) v = g;
      theta -= lr * (g + momentum * v);
    }
  }
};

}  // namespace schuss
