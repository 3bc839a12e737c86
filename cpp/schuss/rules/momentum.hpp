#pragma once

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct Momentum {
  double lr = 0.01;
  double momentum = 0.9;
  double dampening = 0;
  Convention convention = Convention::book;

  static constexpr auto name = "momentum";
  static constexpr auto source = "Polyak 1964; Deep Learning, algorithm 8.2";
  static constexpr auto states = std::array{State{"v"}};
  static constexpr auto options =
      std::tuple{Option{"lr", &Momentum::lr}, Option{"momentum", &Momentum::momentum},
                 Option{"dampening", &Momentum::dampening}, Option{"convention", &Momentum::convention}};

  bool first = false;
  void begin(double step) { first = step == 1; }

  template <class B>
  void operator()(B& theta, const B& g, B& v) const {
    if (convention == Convention::book) {
      v = momentum * v - lr * g;
      theta += v;
    } else {
      v = momentum * v + (1 - dampening) * g;
      if (first) v = g;
      theta -= lr * v;
    }
  }
};

}  // namespace schuss
