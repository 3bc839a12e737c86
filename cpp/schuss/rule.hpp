// The words in which an update rule describes itself: its state, its options, its convention.
//
// A rule is a struct with
//   name, source   what the registry and the documentation call it
//   states         the arrays it keeps for each parameter, in the order in which its call operator takes them
//   options        its hyperparameters by public name; their defaults are the members' own
//   begin(step)    (optional) the constants of one step, computed in double; the first step is 1
//   operator()     the textbook lines, on blocks: parameters, gradient, then the states
#pragma once

#include <array>
#include <tuple>

namespace schuss {

// Where the book and torch.optim write the same method differently, a rule offers both.
enum class Convention { book, torch };

struct State {
  const char* name;
  const char* needed_by = "";  // the option that must be on for this state to exist; "" = always
  const char* starts_at = "";  // the option that gives its initial value; "" = zero
  bool positive = false;       // whether no value of it is ever below zero

  constexpr bool always() const { return needed_by[0] == 0; }
};

template <class Rule, class Value>
struct Option {
  const char* name;
  Value Rule::* member;
};
template <class Rule, class Value>
Option(const char*, Value Rule::*) -> Option<Rule, Value>;

}  // namespace schuss
