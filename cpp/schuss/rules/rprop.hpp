#pragma once

#include "schuss/block.hpp"
#include "schuss/rule.hpp"

namespace schuss {

// Where the gradient has changed its sign the last step went too far: the book's convention takes it back, torch's
// stays where it is, and in both the next step compares with no gradient. A NaN has no sign for torch, which stays
// where it is there too.
struct Rprop {
  double lr = 0.01;
  std::array<double, 2> etas{0.5, 1.2};
  std::array<double, 2> step_sizes{1e-6, 50};
  Convention convention = Convention::book;

  static constexpr auto name = "rprop";
  static constexpr auto source = "Riedmiller and Braun 1993";
  static constexpr auto states =
      std::array{State{.name = "size", .starts_at = "lr", .positive = true}, State{"previous"}};
  static constexpr auto options =
      std::tuple{Option{"lr", &Rprop::lr}, Option{"etas", &Rprop::etas}, Option{"step_sizes", &Rprop::step_sizes},
                 Option{"convention", &Rprop::convention}};

  template <class B>
  void operator()(B& theta, const B& g, B& size, B& previous) const {
    const B zero = B::Zero();
    const B smallest = B::Constant(rounded<B>(step_sizes[0])), largest = B::Constant(rounded<B>(step_sizes[1]));
    const B agreement = g * previous;
    const B back = convention == Convention::book ? size : zero;
    const B rest = convention == Convention::book ? g : zero;
    size = where_positive(agreement, etas[1] * size, where_positive(-agreement, etas[0] * size, size));
    size = minimum(maximum(size, smallest), largest);
    const B step = where_positive(-agreement, back, size);
    theta -= where_positive(g, step, where_positive(-g, -step, rest));  // sign(g)·step
    previous = where_positive(-agreement, zero, g);
  }
};

}  // namespace schuss
