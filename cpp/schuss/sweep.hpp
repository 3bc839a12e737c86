// One element-wise pass over an array whose elements meet the numbers of their channel.
//
// An operation says what happens at one block of the arrays:
//
//   arrays()             the arrays that it needs of one number for each channel, as references to pointers
//   numbers(of)          these numbers for the channels of a block, from of(array), a block of an array's numbers
//   operator()(at, numbers, count...)   reads and writes the block at element `at`; `count` is nothing for a whole one
#pragma once

#include <array>
#include <tuple>

#include "schuss/codec.hpp"
#include "schuss/layout.hpp"

namespace schuss {

namespace sweep {

// Elements of one unit of work.
constexpr Index kUnit = 32 * 1024;

// Below this length of a segment the channels' numbers are spread out, one for each element of a row.
constexpr Index kShortSegment = 64;

// Rows of this many columns at a time: the columns' numbers stay in the first-level cache.
constexpr Index kTile = 512;

// Calls work(place) for the blocks of the places 0 … count − 1. The last block steps back as far as it must to be
// whole: what it does twice gives the same results, because no operation reads what it writes. If even the first one is
// not whole, work(0, count).
template <class T, class Work>
[[gnu::always_inline]] inline void by_blocks(Index count, const Work& work) {
  Index at = 0;
  if (count < kBlock<T>) return work(at, static_cast<int>(count));
  for (; at + kBlock<T> <= count; at += kBlock<T>) work(at);
  if (at < count) work(count - kBlock<T>);
}

// Segments begin … end − 1 of an array, each of one channel: `length` elements from `first` on of each.
template <class Operation>
[[gnu::flatten]] void segments(const Operation& in_memory, const Layout& layout, Index begin, Index end, Index first,
                               Index length) {
  using T = typename Operation::Type;
  const Operation operation = in_memory;
  Index channel = begin % layout.channels;
  Index start = begin / layout.channels * layout.row + channel * layout.inner + first;
  for (Index segment = begin; segment < end; ++segment) {
    const auto numbers = operation.numbers([&](const T* v) { return Block<T>(Block<T>::Constant(v[channel])); });
    by_blocks<T>(length, [&](Index at, auto... count) { operation(start + at, numbers, count...); });
    start += layout.inner;
    if (++channel == layout.channels) {
      channel = 0;
      start += layout.row - layout.channels * layout.inner;
    }
  }
}

// `columns` elements of rows begin … end − 1, each `stride` elements after the one before; `first` is the place of the
// first one. Each column has numbers of its own.
template <class Operation>
[[gnu::flatten]] void rows(const Operation& in_memory, Index stride, Index begin, Index end, Index first,
                           Index columns) {
  using T = typename Operation::Type;
  const Operation operation = in_memory;
  for (Index row = begin; row < end; ++row)
    by_blocks<T>(columns, [&](Index c, auto... count) {
      const auto numbers = operation.numbers([&](const T* v) { return Plain<T>::load(v + c, count...); });
      operation(row * stride + first + c, numbers, count...);
    });
}

// Long segments: a unit is some of them, or a piece of one.
template <class Operation>
void over_segments(const Operation& operation, const Layout& layout, Index bytes, int max_threads) {
  const Index count = layout.outer * layout.channels;
  const Index together = std::max<Index>(1, kUnit / layout.inner), pieces = (layout.inner + kUnit - 1) / kUnit;
  const Index units = (count + together - 1) / together * pieces;
  for_units<Order::outwards>(units, bytes, max_threads, [&](Index unit) {
    const Index segment = unit / pieces * together, first = unit % pieces * kUnit;
    segments(operation, layout, segment, std::min(segment + together, count), first,
             std::min(layout.inner - first, pieces == 1 ? layout.inner : kUnit));
  });
}

// The channels' numbers for some columns, from column `first` on, of rows in which each channel has `inner` columns and
// the channels recur.
template <class T>
void spread(const T* values, const Layout& layout, Index first, Index columns, T* to) {
  Index channel = first / layout.inner % layout.channels, i = first % layout.inner;
  for (Index c = 0; c < columns; ++c) {
    to[c] = values[channel];
    if (++i < layout.inner) continue;
    i = 0;
    if (++channel == layout.channels) channel = 0;
  }
}

// Short segments: the array is one of rows, whose columns repeat the channels' numbers. Narrow rows are taken several
// at a time.
template <class Operation>
void over_rows(const Operation& operation, const Layout& layout, Index bytes, int max_threads) {
  using T = typename Operation::Type;
  constexpr Index least = 128;
  const Index plain = layout.channels * layout.inner;
  const bool whole_rows = plain == layout.row;
  const Index repeats = whole_rows && plain < least ? std::min(layout.outer, (least + plain - 1) / plain) : 1;
  const Index period = plain * repeats, stride = layout.row * repeats;
  const auto some_columns = [&](Index begin, Index end, Index first, Index columns) {
    Operation at_columns = operation;
    const auto arrays = at_columns.arrays();
    T spread_out[std::tuple_size_v<decltype(at_columns.arrays())>][kTile];
    for (std::size_t k = 0; k < arrays.size(); ++k) {
      if (period > layout.channels) {
        spread(*arrays[k], layout, first, columns, spread_out[k]);
        *arrays[k] = spread_out[k];
      } else {
        *arrays[k] += first;
      }
    }
    rows(at_columns, stride, begin, end, first, columns);
  };

  const Index count = layout.outer / repeats, left = layout.outer % repeats * plain;
  const Index tiles = (period + kTile - 1) / kTile;
  const Index height = std::max<Index>(1, kUnit / std::min(period, kTile));
  const Index heights = (count + height - 1) / height;
  for_units<Order::outwards>(heights * tiles, bytes, max_threads, [&](Index unit) {
    const Index row = unit / tiles * height, first = unit % tiles * kTile;
    some_columns(row, std::min(row + height, count), first, std::min(kTile, period - first));
  });
  if (left > 0) some_columns(count, count + 1, 0, left);
}

}  // namespace sweep

// `bytes` is what the operation moves.
template <class Operation>
void sweep_elements(const Operation& operation, const Layout& layout, Index bytes, int max_threads) {
  if (layout.inner < sweep::kShortSegment)
    sweep::over_rows(operation, layout, bytes, max_threads);
  else
    sweep::over_segments(operation, layout, bytes, max_threads);
}

}  // namespace schuss
