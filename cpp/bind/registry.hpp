// The registry with the rules' types erased: what the bindings know of an update rule.
#pragma once

#include <memory>
#include <span>

#include "bind/bind.hpp"
#include "schuss/few_bits.hpp"

namespace schuss::bind {

namespace py = pybind11;

// The loops of a rule for storage in few bits.
struct UpdatesFewBits {
  UpdateFewBits wholes, halves, codes;  // of the states, with parameters in float32
  UpdateFewBits all_halves;             // with parameters in bfloat16, too

  // Null if there is none.
  UpdateFewBits of(Format theta, const std::array<Stored, kMaxStates>& states) const;
};

// Of the rule at this place in the list of all.
UpdatesFewBits updates_few_bits(std::size_t rule);

struct Entry {
  std::span<const State> states;
  py::dict (*describe)();
  std::shared_ptr<const void> (*bind)(const py::dict& options, double step);
  Update update[2];  // in float32 and in float64
  UpdatesFewBits few_bits;
};

// The rule of that name; throws ValueError where there is none.
const Entry& find(const py::handle& rule);

}  // namespace schuss::bind
