// A step on arrays that are stored in fewer bits than they are computed with, or on a gradient that is scaled. They are
// decoded in registers, met by the rule there, and encoded again.
//
// How one array gets into registers and back is known to a codec. It goes by rows of 256 values:
//
//   open(array, at, draw)     the row that begins at element `at`; draw() is its noise
//   load(i), store(i, block)  the block at value i of it
//   close()                   when all of the row is stored; it may be in memory later
//   finish()                  when all rows are; now they are there
//   by_rows                   whether what follows the rule may follow each row of a state stored so
//
// That pays where arithmetic takes about as long as memory, which is then asked for evenly.
#pragma once

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "schuss/engine.hpp"
#include "schuss/registers.hpp"
#include "schuss/storage.hpp"

namespace schuss {

using StepDice = Dice<kMaxStates + 1>;

// A tensor that is stored so.
struct FewBits {
  Stored theta;
  std::array<Stored, kMaxStates> states;
};

// What is left of its gradient, in float32 or bfloat16, from the first element to be updated on, and a factor of it.
struct ScaledGradient {
  Stored values;
  float factor;
};

// What is done to the row at element `at` when its parameters are stored, if anything. Its states may not be in memory
// yet. Only for states in 8 bits.
struct AfterRow {
  void (*work)(void* context, Index at) = nullptr;
  void* context = nullptr;
};

namespace few_bits {

using storage::Bits, storage::kScaled;

// Room that a codec has for values of two rows.
using TwoRows = float[2][kScaled];

// That of the values in a register, from value i of the row on.
inline Words drawn(const Noise& noise, Index i) { return load_register<Words>(noise.columns + i) ^ noise.row; }

// A block of bfloat16.
inline Block<float> load_half(const std::uint16_t* halves) {
  return block_by_registers([=](int k) { return floats_of(load_halves(halves + k) << 16); });
}

// float32, as it is computed with.
struct Whole {
  static constexpr bool by_rows = false;

  explicit Whole(TwoRows&) {}

  void open(const Stored& array, Index at, const auto&) { values_ = array.at<float>(at); }
  Block<float> load(Index i) const { return Plain<float>::load(values_ + i); }
  void store(Index i, const Block<float>& block) { Plain<float>::store(values_ + i, block); }
  void close() {}
  void finish() {}

 private:
  float* values_;
};

// bfloat16.
struct Half {
  static constexpr bool by_rows = false;

  explicit Half(TwoRows&) {}

  void open(const Stored& array, Index at, const auto& draw) {
    halves_ = array.at<std::uint16_t>(at);
    noise_ = draw();
  }
  Block<float> load(Index i) const { return load_half(halves_ + i); }
  void store(Index i, const Block<float>& block) {
    by_registers(block, [&](int k, Floats x) {
      const Words rounded =
          noise_ ? storage::rounded_to_bf16(x, drawn(noise_, i + k)) : storage::rounded_to_bf16<Words>(x);
      store_upper_halves(halves_ + i + k, rounded);
    });
  }
  void close() {}
  void finish() {}

 private:
  std::uint16_t* halves_;
  Noise noise_;
};

// 8 bits. The scale is known when a whole row is stored, so its values are kept until then. Encoding them at once would
// leave the processor waiting for the scale: a row is encoded when the next one is closed.
template <bool positive>
struct Codes {
  using Code = storage::Code<positive>;

  static constexpr bool by_rows = true;

  explicit Codes(TwoRows& rows) : row_(rows[0]), closed_{.values = rows[1]} {}

  void open(const Stored& array, Index at, const auto& draw) {
    codes_ = array.at<std::uint8_t>(at);
    scale_ = array.scales + at / kScaled;
    floor_ = all_floats(*scale_ * Code::fraction);
    largest_ = Words{};
    noise_ = draw();
  }
  Block<float> load(Index i) const {
    return block_by_registers([&](int k) { return Code::decode(load_bytes(codes_ + i + k), floor_); });
  }
  void store(Index i, const Block<float>& block) {
    by_registers(block, [&](int k, Floats x) {
      const Words bits = Code::magnitude(words_of(x));
      largest_ = largest_ > bits ? largest_ : bits;
      store_register(row_ + i + k, x);
    });
  }
  void close() {
    encode_closed();
    Bits largest = 0;
    for (int i = 0; i < kWords; ++i) largest = std::max<Bits>(largest, largest_[i]);
    *scale_ = Code::scale(largest);
    closed_ = {codes_, *scale_, std::exchange(row_, closed_.values), noise_};
  }
  void finish() {
    encode_closed();
    closed_.codes = nullptr;
  }

 private:
  // A row that is closed and is not encoded, if it has codes.
  struct Closed {
    std::uint8_t* codes = nullptr;
    float scale = 0;
    float* values;
    Noise noise{};
  };

  void encode_closed() {
    if (!closed_.codes) return;
    if (!(closed_.scale > 0)) {
      std::memset(closed_.codes, 0, kScaled);
    } else if (closed_.noise) {
      encode([this](Index i) { return drawn(closed_.noise, i); });
    } else {
      encode([](Index) { return all_words(storage::kHalf); });
    }
  }

  template <class Random>
  void encode(const Random& noise) {
    const Floats floor = all_floats(closed_.scale * Code::fraction);
#pragma GCC unroll 1
    for (Index i = 0; i < kScaled; i += kWords)
      store_bytes(closed_.codes + i, Code::encode(load_register<Floats>(closed_.values + i), floor, noise(i)));
  }

  float* row_;
  std::uint8_t* codes_ = nullptr;
  float* scale_ = nullptr;
  Floats floor_{};
  Words largest_{};
  Noise noise_;
  Closed closed_;
};

// Of a state, which may be one that is never negative.
template <bool>
using WholeState = Whole;
template <bool>
using HalfState = Half;

}  // namespace few_bits

// Updates whole rows of one tensor, from element `begin` to before `end`.
template <class Rule, class Parameters, template <bool> class Kept>
[[gnu::flatten]] void update(const void* bound, const FewBits& in_memory, const ScaledGradient& gradient,
                             StepDice& dice, AfterRow after, Index begin, Index end) {
  const FewBits arrays = in_memory;
  const bool is_half = gradient.values.format == Format::bf16;
  const float factor = gradient.factor;
  const Bound<Rule> own = *static_cast<const Bound<Rule>*>(bound);
  alignas(64) few_bits::TwoRows rows[Rule::states.size() + 1];

  const auto each_row = [&]<std::size_t... K>(std::index_sequence<K...>) {
    [[maybe_unused]] const auto kept = [&](std::size_t k) { return Rule::states[k].always() || arrays.states[k].data; };
    Parameters parameters(rows[sizeof...(K)]);
    std::tuple states{Kept<Rule::states[K].positive>(rows[K])...};
    for (Index at = begin; at < end; at += storage::kScaled) {
      const Stored& values = gradient.values;
      const float* wholes = is_half ? nullptr : values.at<float>(at - begin);
      const std::uint16_t* halves = is_half ? values.at<std::uint16_t>(at - begin) : nullptr;
      const auto open = [&](auto& codec, const Stored& array, int operand) {
        codec.open(array, at, [&] { return dice.roll(operand, at, noise_bits(array.format)); });
      };
      open(parameters, arrays.theta, kMaxStates);
      ((kept(K) ? open(std::get<K>(states), arrays.states[K], K) : void()), ...);
      for (Index i = 0; i < storage::kScaled; i += kBlock<float>) {
        Block<float> theta = parameters.load(i);
        Block<float> g = factor * (is_half ? few_bits::load_half(halves + i) : Plain<float>::load(wholes + i));
        std::array<Block<float>, sizeof...(K)> state{kept(K) ? std::get<K>(states).load(i)
                                                             : Block<float>(Block<float>::Zero())...};
        own.pass(theta, g, own.rule.lr);
        own.rule(theta, g, state[K]...);
        parameters.store(i, theta);
        ((kept(K) ? std::get<K>(states).store(i, state[K]) : void()), ...);
      }
      parameters.close();
      ((kept(K) ? std::get<K>(states).close() : void()), ...);
      if constexpr (Kept<true>::by_rows)
        if (after.work) after.work(after.context, at);
    }
    parameters.finish();
    ((kept(K) ? std::get<K>(states).finish() : void()), ...);
  };
  each_row(std::make_index_sequence<Rule::states.size()>{});
}

// One for each way of storing that there is a loop for.
using UpdateFewBits = void (*)(const void* bound, const FewBits&, const ScaledGradient&, StepDice&, AfterRow,
                               Index begin, Index end);

}  // namespace schuss
