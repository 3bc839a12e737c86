#pragma once

#include "schuss/rules/adam.hpp"

namespace schuss {

// Adam, whose weight decay acts on the parameters and not through the gradient.
struct AdamW : Adam {
  static constexpr auto name = "adamw";
  static constexpr auto source = "Loshchilov and Hutter 2019, algorithm 2";
  static constexpr bool decoupled_weight_decay = true;
};

}  // namespace schuss
