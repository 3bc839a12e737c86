// Sums over the positions of each channel, in an order that depends on nothing but the number of positions: not on the
// layout, the number of threads or the instruction set.
//
// Positions are cut into chunks of 512. Within a chunk, position p belongs to lane p mod 8, which is summed in the
// order of positions; the lanes are then added in pairs, halves upon halves. All sums are in double.
//
// A summand says how two terms of a sum are made from the values of its input arrays at one position:
//
//   std::array<const T*, K> inputs;
//   constants(at)           what it needs of a channel, from `at.first(array)`, an input's value at the first position
//                           of the chunk, and `at.channel(array)`, a value of an array with one for each channel
//   add(a, b, constants, x...)  adds the two terms, made from a value of each input, to the sums a and b
#pragma once

#include <array>
#include <tuple>
#include <utility>
#include <vector>

#include "schuss/lanes.hpp"
#include "schuss/layout.hpp"

namespace schuss {

constexpr Index kChunk = 512;

// What a chunk has come to in each channel: two sums, of which summands make what they like.
struct ChunkSums {
  Index positions, chunks, channels;
  std::vector<double> a, b;  // [chunk][channel]

  explicit ChunkSums(const Layout& layout)
      : positions(layout.positions()),
        chunks((positions + kChunk - 1) / kChunk),
        channels(layout.channels),
        a(chunks * channels),
        b(chunks * channels) {}

  Index end(Index chunk) const { return std::min((chunk + 1) * kChunk, positions); }  // of its positions
  double* a_of(Index chunk, Index channel) { return &a[chunk * channels + channel]; }
  double* b_of(Index chunk, Index channel) { return &b[chunk * channels + channel]; }
};

namespace chunk {

// ---- channels side by side: rows of the array hold one position of every channel ----

// So many channels are summed at a time: their lanes stay in the first-level cache.
constexpr int kTile = 256;

// How far ahead of the sums memory is asked for, in rows: a tile's part of a row is too short for the processor to
// foresee.
constexpr Index kRowsAhead = 2;

struct AtColumn {
  Index first_row, channel_;
  template <class T>
  Narrow<T> first(const T* input) const {
    return load_narrow(input + first_row);
  }
  template <class T>
  Narrow<T> channel(const T* values) const {
    return load_narrow(values + channel_);
  }
};

// Calls work(c, from) for the columns 0 … count − 1, a block of doubles at a time. The last columns step back as far as
// they must to be a whole block; c is where their lanes are, and `from` where their values are.
template <class Work>
[[gnu::always_inline]] inline void by_columns(int count, const Work& work) {
  int c = 0;
  for (; c + kLanes <= count; c += kLanes) work(c, c);
  if (c < count) work(c, count - kLanes);
}

// Some rows of one lane, `apart` elements from one to the next: adds columns c … to the lane's sums.
template <int Rows, class Summand>
[[gnu::always_inline]] inline void add_rows(const Summand& summand, const auto& constants, Index row, Index apart,
                                            Index ahead, double* a, double* b) {
  Block<double> sum_a = Plain<double>::load(a), sum_b = Plain<double>::load(b);
  for (int k = 0; k < Rows; ++k)
    std::apply(
        [&](const auto*... input) {
          (__builtin_prefetch(input + row + k * apart + ahead), ...);
          summand.add(sum_a, sum_b, constants, load_narrow(input + row + k * apart)...);
        },
        summand.inputs);
  Plain<double>::store(a, sum_a);
  Plain<double>::store(b, sum_b);
}

// Positions begin … end − 1 of channels channel … channel + count − 1, at least a block of doubles; inner = 1. The sums
// go to to_a[0 … count − 1] and to_b.
template <class Summand>
[[gnu::flatten]] void sum_rows(const Summand& in_memory, const Layout& layout, Index begin, Index end, Index channel,
                               int count, double* to_a, double* to_b) {
  const Summand summand = in_memory;
  alignas(64) double lanes_a[kLanes * kTile] = {}, lanes_b[kLanes * kTile] = {};
  const Index stride = layout.row, first = layout.offset(begin, channel);
  const auto add = [&]<int Rows>(std::integral_constant<int, Rows>, Index p) {
    const Index row = first + (p - begin) * stride, lane = (p - begin) % kLanes * kTile;
    by_columns(count, [&](int c, int from) {
      const auto constants = summand.constants(AtColumn{first + from, channel + from});
      add_rows<Rows>(summand, constants, row + from, kLanes * stride, kRowsAhead * stride, lanes_a + lane + c,
                     lanes_b + lane + c);
    });
  };
  // So many rows of a lane are added at a time. More arrays at once would be more than the processor can foresee.
  constexpr int rows = 4 / std::tuple_size_v<decltype(summand.inputs)>;
  Index p = begin;
  for (; p + rows * kLanes <= end; p += rows * kLanes)
    for (int lane = 0; lane < kLanes; ++lane) add(std::integral_constant<int, rows>{}, p + lane);
  for (; p < end; ++p) add(std::integral_constant<int, 1>{}, p);
  fold(lanes_a, kTile, kTile);
  fold(lanes_b, kTile, kTile);
  by_columns(count, [&](int c, int from) {
    std::copy_n(lanes_a + c, kLanes, to_a + from);
    std::copy_n(lanes_b + c, kLanes, to_b + from);
  });
}

// ---- positions side by side, in segments of `inner` ----

struct AtPosition {
  Index first_, channel_;
  template <class T>
  Narrow<T> first(const T* input) const {
    return Narrow<T>::Constant(input[first_]);
  }
  template <class T>
  Narrow<T> channel(const T* values) const {
    return Narrow<T>::Constant(values[channel_]);
  }
};

// How far ahead of the sums memory is asked for, in elements: segments are too short for the processor to foresee.
constexpr Index kAhead = 512;

// Walks along the positions of a channel.
struct Walk {
  Index step, inner, i, at;  // from the end of a segment to the next one; the place in the segment and in the array
  Walk(const Layout& layout, Index position, Index channel)
      : step(layout.row - layout.inner),
        inner(layout.inner),
        i(position % layout.inner),
        at(layout.offset(position, channel)) {}
  Index left() const { return inner - i; }  // in this segment
  void advance(Index count) {
    at += count;
    if ((i += count) == inner) {
      i = 0;
      at += step;
    }
  }
};

// Up to so many channels are summed at a time, as registers allow: an addition need not wait for the one before.
constexpr int kTogether = EIGEN_MAX_ALIGN_BYTES / 16;

// Positions begin … end − 1 of `Channels` channels from `channel` on.
template <int Channels, class Summand>
[[gnu::flatten]] void sum_segments(const Summand& in_memory, const Layout& layout, Index begin, Index end,
                                   Index channel, double* to_a, double* to_b) {
  const Summand summand = in_memory;
  using T = typename Summand::Type;
  constexpr auto inputs = std::make_index_sequence<std::tuple_size_v<decltype(summand.inputs)>>{};
  const Index inner = layout.inner, first = layout.offset(begin, channel);
  Walk walk(layout, begin, channel);
  Block<double> a[Channels], b[Channels];
  for (int c = 0; c < Channels; ++c) a[c] = b[c] = Block<double>::Zero();
  const auto constants = [&]<Index... C>(std::integer_sequence<Index, C...>) {
    return std::array{summand.constants(AtPosition{first + C * inner, channel + C})...};
  }(std::make_integer_sequence<Index, Channels>{});

  const auto add = [&](int c, const auto*... input) { summand.add(a[c], b[c], constants[c], load_narrow(input)...); };
  // A group of lanes that crosses the end of a segment, or of the chunk, is gathered first; of the lanes beyond the end
  // of the chunk nothing is kept.
  const auto add_gathered = [&]<std::size_t... K>(std::index_sequence<K...>, int count) {
    T group[Channels][sizeof...(K)][kLanes] = {};
    for (int k = 0; k < count; ++k, walk.advance(1))
      for (int c = 0; c < Channels; ++c) ((group[c][K][k] = summand.inputs[K][walk.at + c * inner]), ...);
    for (int c = 0; c < Channels; ++c) {
      const Block<double> a_before = a[c], b_before = b[c];
      add(c, static_cast<const T*>(group[c][K])...);
      for (int k = count; k < kLanes; ++k) {
        a[c][k] = a_before[k];
        b[c][k] = b_before[k];
      }
    }
  };

  Index p = begin;
  while (p + kLanes <= end) {
    const Index groups = std::min(walk.left(), end - p) / kLanes;
    for (Index g = 0; g < groups; ++g) {
      const Index at = walk.at + g * kLanes, ahead = at + kAhead + (g * kLanes + kAhead < walk.left() ? 0 : walk.step);
      for (int c = 0; c < Channels; ++c) {
        std::apply([&](const auto*... input) { (__builtin_prefetch(input + ahead + c * inner), ...); }, summand.inputs);
        std::apply([&](const auto*... input) { add(c, (input + at + c * inner)...); }, summand.inputs);
      }
    }
    if (groups > 0) walk.advance(groups * kLanes);
    p += groups * kLanes;
    if (p + kLanes <= end && walk.left() < kLanes) {
      add_gathered(inputs, kLanes);
      p += kLanes;
    }
  }
  if (p < end) add_gathered(inputs, static_cast<int>(end - p));

  for (int c = 0; c < Channels; ++c) {
    fold(a[c].data(), 1, 1);
    fold(b[c].data(), 1, 1);
    to_a[c] = a[c][0];
    to_b[c] = b[c][0];
  }
}

}  // namespace chunk

// Some channels of some chunks: a unit of work.
struct Part {
  Index first_chunk, last_chunk, first_channel, last_channel;  // the last ones are not among them

  Index channels() const { return last_channel - first_channel; }
};

template <class Summand>
void sum_rows(const Summand& summand, const Layout& layout, const Part& part, ChunkSums& sums) {
  for (Index k = part.first_chunk; k < part.last_chunk; ++k)
    chunk::sum_rows(summand, layout, k * kChunk, sums.end(k), part.first_channel, static_cast<int>(part.channels()),
                    sums.a_of(k, part.first_channel), sums.b_of(k, part.first_channel));
}

// As many channels together as can be, along all the chunks, and then the next ones.
template <int Together = chunk::kTogether, class Summand>
void sum_segments(const Summand& summand, const Layout& layout, Part part, ChunkSums& sums) {
  for (; part.channels() >= Together; part.first_channel += Together)
    for (Index k = part.first_chunk; k < part.last_chunk; ++k)
      chunk::sum_segments<Together>(summand, layout, k * kChunk, sums.end(k), part.first_channel,
                                    sums.a_of(k, part.first_channel), sums.b_of(k, part.first_channel));
  if constexpr (Together > 1)
    if (part.channels() > 0) sum_segments<Together - 1>(summand, layout, part, sums);
}

// The two sums of every chunk and channel.
template <class Summand>
ChunkSums sum_chunks(const Summand& summand, const Layout& layout, int max_threads) {
  constexpr Index kUnit = 256 * 1024;  // bytes of a unit of work
  constexpr Index width = sizeof(typename Summand::Type) * std::tuple_size_v<decltype(summand.inputs)>;
  ChunkSums sums(layout);
  // Fewer channels than a block of doubles holds are summed one by one.
  const bool rows = layout.inner == 1 && layout.channels >= kLanes;
  // Long segments: a few channels along several chunks. Short ones: so many channels that pieces of a chunk that share
  // a cache line are used together.
  const bool is_long = layout.inner >= kChunk;
  const Index tile = rows ? chunk::kTile : is_long ? chunk::kTogether : std::max<Index>(16, 64 / layout.inner);
  const Index run = std::max<Index>(1, kUnit / (tile * kChunk * width));
  const Index tiles = (layout.channels + tile - 1) / tile, runs = (sums.chunks + run - 1) / run;
  for_units(runs * tiles, layout.size() * width, max_threads, [&](Index unit) {
    // Neighbours in memory follow each other.
    const Index r = is_long ? unit % runs : unit / tiles, t = is_long ? unit / runs : unit % tiles;
    const Part part{r * run, std::min((r + 1) * run, sums.chunks), t * layout.channels / tiles,
                    (t + 1) * layout.channels / tiles};
    rows ? sum_rows(summand, layout, part, sums) : sum_segments(summand, layout, part, sums);
  });
  return sums;
}

}  // namespace schuss
