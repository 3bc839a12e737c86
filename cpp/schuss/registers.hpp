// Registers of 32-bit words, and how halves and bytes become such words and words become them. The rest is what
// compilers make of operators on vectors.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "schuss/block.hpp"

namespace schuss {

#if defined(__AVX512F__)
constexpr int kWords = 16;
#elif defined(__AVX2__)
constexpr int kWords = 8;
#else
constexpr int kWords = 4;
#endif

using Words [[gnu::vector_size(4 * kWords)]] = std::uint32_t;
using Floats [[gnu::vector_size(4 * kWords)]] = float;
using Halves [[gnu::vector_size(2 * kWords)]] = std::uint16_t;

template <class Register>
Register load_register(const void* from) {
  Register values;
  std::memcpy(&values, from, sizeof(Register));
  return values;
}
template <class Register>
void store_register(void* to, Register values) {
  std::memcpy(to, &values, sizeof(Register));
}

inline Words words_of(Floats values) { return std::bit_cast<Words>(values); }
inline Floats floats_of(Words words) { return std::bit_cast<Floats>(words); }

inline Words all_words(std::uint32_t word) { return Words{} + word; }
inline Floats all_floats(float value) { return value - Floats{}; }  // x − 0 is x; −0 + 0 is not −0

// Halves and bytes are left to instructions for them: in the general form they become words piece by piece.
inline Words load_halves(const std::uint16_t* from) {
  const Halves halves = load_register<Halves>(from);
#if defined(__AVX512F__)
  return std::bit_cast<Words>(_mm512_cvtepu16_epi32(std::bit_cast<__m256i>(halves)));
#elif defined(__AVX2__)
  return std::bit_cast<Words>(_mm256_cvtepu16_epi32(std::bit_cast<__m128i>(halves)));
#else
  return __builtin_convertvector(halves, Words);
#endif
}

// The upper half of each word.
inline void store_upper_halves(std::uint16_t* to, Words words) {
#if defined(__AVX512BW__)
  const __m512i odd = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 31, 29, 27, 25, 23, 21, 19, 17,
                                       15, 13, 11, 9, 7, 5, 3, 1);
  store_register(to, _mm512_castsi512_si256(_mm512_permutexvar_epi16(odd, std::bit_cast<__m512i>(words))));
#else
  store_register(to, __builtin_convertvector(words >> 16, Halves));
#endif
}

inline Words load_bytes(const std::uint8_t* from) {
#if defined(__AVX512F__)
  return std::bit_cast<Words>(_mm512_cvtepu8_epi32(load_register<__m128i>(from)));
#elif defined(__AVX2__)
  return std::bit_cast<Words>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
#elif defined(__SSE4_1__)
  return std::bit_cast<Words>(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(load_register<std::int32_t>(from))));
#else
  Words words;
  for (int i = 0; i < kWords; ++i) words[i] = from[i];
  return words;
#endif
}

// The lowest byte of each word.
inline void store_bytes(std::uint8_t* to, Words words) {
#if defined(__AVX512F__)
  store_register(to, _mm512_cvtepi32_epi8(std::bit_cast<__m512i>(words)));
#elif defined(__AVX2__)
  const __m256i lowest = _mm256_set_epi64x(-1, 0x0C080400FFFFFFFF, -1, 0xFFFFFFFF0C080400);
  const __m256i halves = _mm256_shuffle_epi8(std::bit_cast<__m256i>(words), lowest);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to),
                   _mm_or_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
#elif defined(__SSE4_1__)
  const __m128i bytes = _mm_shuffle_epi8(std::bit_cast<__m128i>(words), _mm_set1_epi32(0x0C080400));
  store_register(to, _mm_cvtsi128_si32(bytes));
#else
  for (int i = 0; i < kWords; ++i) to[i] = static_cast<std::uint8_t>(words[i]);
#endif
}

// A block from f(i), a register with its values from i on; and one taken apart so, by work(i, register).
template <class F>
Block<float> block_by_registers(const F& f) {
  Block<float> block;
  for (int i = 0; i < kBlock<float>; i += kWords) store_register<Floats>(block.data() + i, f(i));
  return block;
}
template <class Work>
void by_registers(const Block<float>& block, const Work& work) {
  for (int i = 0; i < kBlock<float>; i += kWords) work(i, load_register<Floats>(block.data() + i));
}

}  // namespace schuss
