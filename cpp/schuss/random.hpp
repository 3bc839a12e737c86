// Random words by number: a function of a key and an index and of nothing else, so that any thread may draw any of
// them, in any order.
#pragma once

#include <cstdint>

namespace schuss {

// Mixes 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The key of one sequence of words, told apart from others by any number of numbers.
template <class... Numbers>
constexpr std::uint64_t key_of(std::uint64_t seed, Numbers... numbers) {
  std::uint64_t key = mix(seed);
  ((key = mix(key ^ static_cast<std::uint64_t>(numbers))), ...);
  return key;
}

// Word `index` of a sequence: two rounds of multiplying and folding (the constants of Wellons' 2018 search for the
// least bias), half of the key before each.
constexpr std::uint32_t random_word(std::uint64_t key, std::uint32_t index) {
  std::uint32_t x = index ^ static_cast<std::uint32_t>(key);
  x = (x ^ (x >> 16)) * 0x7FEB352Du;
  x += static_cast<std::uint32_t>(key >> 32);
  x = (x ^ (x >> 15)) * 0x846CA68Bu;
  return x ^ (x >> 16);
}

}  // namespace schuss
