// The loops of all rules for storage in few bits. They are compiled by themselves, because they are many.
#include "schuss/few_bits.hpp"

#include <algorithm>

#include "bind/registry.hpp"
#include "schuss/registry.hpp"

namespace schuss::bind {

namespace {

using few_bits::Codes, few_bits::Half, few_bits::HalfState, few_bits::Whole, few_bits::WholeState;

template <class... Rule>
constexpr std::array<UpdatesFewBits, sizeof...(Rule)> table(const std::tuple<Rule...>*) {
  return {UpdatesFewBits{&update<Rule, Whole, WholeState>, &update<Rule, Whole, HalfState>, &update<Rule, Whole, Codes>,
                         &update<Rule, Half, HalfState>}...};
}

}  // namespace

UpdateFewBits UpdatesFewBits::of(Format theta, const std::array<Stored, kMaxStates>& states) const {
  const auto all = [&](Format format) {
    return std::all_of(states.begin(), states.end(), [=](const Stored& s) { return !s.data || s.format == format; });
  };
  if (theta == Format::bf16) return all(Format::bf16) ? all_halves : nullptr;
  if (theta != Format::f32) return nullptr;
  return all(Format::f32) ? wholes : all(Format::bf16) ? halves : all(Format::u8) ? codes : nullptr;
}

UpdatesFewBits updates_few_bits(std::size_t rule) { return table(static_cast<const Rules*>(nullptr))[rule]; }

}  // namespace schuss::bind
