#pragma once

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct AdaGrad {
  double lr = 0.01;
  double eps = 1e-7;
  double lr_decay = 0;
  Convention convention = Convention::book;

  static constexpr auto name = "adagrad";
  static constexpr auto source = "Duchi et al. 2011; Deep Learning, algorithm 8.4";
  static constexpr auto states = std::array{State{.name = "r", .positive = true}};
  static constexpr auto options =
      std::tuple{Option{"lr", &AdaGrad::lr}, Option{"eps", &AdaGrad::eps}, Option{"lr_decay", &AdaGrad::lr_decay},
                 Option{"convention", &AdaGrad::convention}};

  double rate = 0;
  void begin(double step) { rate = lr / (1 + (step - 1) * lr_decay); }

  template <class B>
  void operator()(B& theta, const B& g, B& r) const {
    r += g.square();
    theta -= rate * g / (eps + sqrt(r));
  }
};

}  // namespace schuss
