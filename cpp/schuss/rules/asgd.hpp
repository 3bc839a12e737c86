#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

struct ASGD {
  double lr = 0.01;
  double lambd = 0;
  double alpha = 0.75;
  double t0 = 0;
  std::optional<double> eta, mu;  // this step's rate, and its weight in the average; by their schedules, unless given
  Convention convention = Convention::book;

  static constexpr auto name = "asgd";
  static constexpr auto source = "Polyak and Juditsky 1992";
  static constexpr auto states = std::array{State{"theta_bar"}};
  static constexpr auto options = std::tuple{Option{"lr", &ASGD::lr},
                                             Option{"lambd", &ASGD::lambd},
                                             Option{"alpha", &ASGD::alpha},
                                             Option{"t0", &ASGD::t0},
                                             Option{"eta", &ASGD::eta},
                                             Option{"mu", &ASGD::mu},
                                             Option{"convention", &ASGD::convention}};

  double rate = 0, weight = 0;
  void begin(double step) {
    const bool book = convention == Convention::book;
    const double since = book ? step : step - 1;  // torch sets both schedules at the end of a step, for the next one
    rate = eta.value_or(lr / std::pow(book ? step : 1 + lambd * lr * since, alpha));
    weight = mu.value_or(1 / std::max(1.0, since - t0));
  }

  template <class B>
  void operator()(B& theta, const B& g, B& theta_bar) const {
    if (lambd != 0) theta = (1 - lambd * rate) * theta;
    theta -= rate * g;
    if (weight == 1) {
      theta_bar = theta;
    } else {
      theta_bar += weight * (theta - theta_bar);
    }
  }
};

}  // namespace schuss
