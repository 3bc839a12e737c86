// Random words by number: a function of a key and an index and of nothing else, so that any thread may draw any of
// them, in any order.
#pragma once

#include <array>
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

// A sequence of numbers of some random bits, of which many are drawn: number i is column i mod 256 XOR row ⌊i / 256⌋,
// and those are the upper bits of random words. Any two numbers are as independent as words are, for one operation
// each.
class RandomGrid {
 public:
  static constexpr std::int64_t kColumns = 256;

  RandomGrid(std::uint64_t key, int bits) : dropped_(32 - bits), row_key_(mix(key)) {
    for (std::uint32_t i = 0; i < kColumns; ++i) columns_[i] = random_word(key, i) >> dropped_;
  }

  const std::uint32_t* columns() const { return columns_.data(); }
  std::uint32_t row(std::int64_t number) const {
    return random_word(row_key_, static_cast<std::uint32_t>(number)) >> dropped_;
  }

 private:
  alignas(64) std::array<std::uint32_t, kColumns> columns_;
  int dropped_;
  std::uint64_t row_key_;
};

}  // namespace schuss
