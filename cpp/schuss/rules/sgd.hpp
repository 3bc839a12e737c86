#pragma once

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct Sgd {
  double lr = 0.01;
  Convention convention = Convention::book;

  static constexpr auto name = "sgd";
  static constexpr auto source = "Robbins and Monro 1951; Deep Learning, algorithm 8.1";
  static constexpr std::array<State, 0> states{};
  static constexpr auto options = std::tuple{Option{"lr", &Sgd::lr}, Option{"convention", &Sgd::convention}};

  template <class B>
  void operator()(B& theta, const B& g) const {
    theta -= lr * g;
  }
};

}  // namespace schuss
