// The machine's limit: what moving a step's memory takes when nothing is computed. Benchmarks divide by it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "schuss/engine.hpp"
#include "schuss/layout.hpp"

namespace schuss {

// An array that a pass over a tensor reads, writes, or both.
struct Stream {
  std::byte* data;
  Index bytes;     // of the array, and
  Index in_grain;  // of what belongs to kGrain elements of the tensor: as many values, or a scale
  bool reads, writes;
};

namespace ceiling {

// Units in which memory is moved: a register of the instruction set, or a byte. They are accessed as volatile: a value
// that is stored where it came from need not be loaded otherwise, and neither need one that is not used. (The
// attributes are of types of their own, as template arguments lose them.)
struct InRegisters {
  using Packet = Eigen::internal::packet_traits<float>::type;
  typedef unsigned char Value __attribute__((vector_size(sizeof(Packet))));
  typedef Value InMemory __attribute__((aligned(1), may_alias));

  static Value load(const std::byte* from) { return *reinterpret_cast<const volatile InMemory*>(from); }
  static void store(std::byte* to, Value value) { *reinterpret_cast<volatile InMemory*>(to) = value; }
};

struct InBytes {
  using Value = std::byte;

  static Value load(const std::byte* from) { return *static_cast<const volatile std::byte*>(from); }
  static void store(std::byte* to, Value value) { *static_cast<volatile std::byte*>(to) = value; }
};

// Stands for what is not read: zeros, wherever they are looked for.
alignas(64) constexpr std::byte kZeros[64]{};

// Moves bytes begin … end − 1 of all streams, a unit of each in turn, but for less than one at the end. All are
// loaded before any is stored: a load waits for a store of just before if their addresses differ by whole pages, as
// those of large arrays do.
template <class Unit, std::size_t... K>
void interleave(std::index_sequence<K...>, const Stream* streams, Index begin, Index end) {
  const std::byte* const from[] = {(streams[K].reads ? streams[K].data : kZeros)...};
  const Index moving[] = {(streams[K].reads ? ~Index{0} : 0)...};
  std::byte* const to[] = {streams[K].data...};
  const bool writes[] = {streams[K].writes...};
  constexpr Index width = sizeof(typename Unit::Value);
  for (Index at = begin; at + width <= end; at += width) {
    const typename Unit::Value values[] = {Unit::load(from[K] + (at & moving[K]))...};
    ((writes[K] ? Unit::store(to[K] + at, values[K]) : void()), ...);
  }
}

// Moves what belongs to elements begin … end − 1, of `Count` streams with as many bytes in a grain. The last register
// ends where they do, so that some bytes are moved twice.
template <std::size_t Count>
void move_alike(const Stream* streams, Index begin, Index end) {
  constexpr auto each = std::make_index_sequence<Count>{};
  const Index first = begin / kGrain * streams->in_grain;
  const Index last = std::min((end + kGrain - 1) / kGrain * streams->in_grain, streams->bytes);
  constexpr Index width = sizeof(InRegisters::Value);
  if (last - first < width) return interleave<InBytes>(each, streams, first, last);
  interleave<InRegisters>(each, streams, first, last);
  if ((last - first) % width != 0) interleave<InRegisters>(each, streams, last - width, last);
}

constexpr std::array kMoveAlike{&move_alike<1>, &move_alike<2>, &move_alike<3>, &move_alike<4>,
                                &move_alike<5>, &move_alike<6>, &move_alike<7>, &move_alike<8>};

// How many of the streams, from the first on, are moved together.
inline std::size_t alike(std::span<const Stream> streams) {
  std::size_t count = 1;
  while (count < std::min(streams.size(), kMoveAlike.size()) && streams[count].in_grain == streams[0].in_grain) ++count;
  return count;
}

// Moves what belongs to elements begin … end − 1, of all streams: those that are not moved together take turns, a grain
// of each.
inline void move(std::span<const Stream> streams, Index begin, Index end) {
  const Index turn = alike(streams) == streams.size() ? end - begin : kGrain;
  for (; begin < end; begin += turn)
    for (auto rest = streams; !rest.empty();) {
      const std::size_t count = alike(rest);
      kMoveAlike[count - 1](rest.data(), begin, std::min(begin + turn, end));
      rest = rest.subspan(count);
    }
}

}  // namespace ceiling

// One pass over several tensors, whose values stay what they are; what is only written becomes zero. Each job's tensor
// has as many of the streams, in their order, and those of one width follow each other.
inline void move(std::span<const Job> jobs, std::span<const Stream> streams, int max_threads) {
  const std::size_t each = jobs.empty() ? 0 : streams.size() / jobs.size();
  Index bytes = 0;
  for (const Stream& stream : streams) bytes += stream.bytes * (stream.reads + stream.writes);
  for_pieces(jobs, bytes, max_threads,
             [&](Index k, Index begin, Index end) { ceiling::move(streams.subspan(k * each, each), begin, end); });
}

// Two passes as batch normalization makes them: the first reads x, and dy unless it is null; the second reads them once
// more and writes y. In inference there is no first pass. Each unit's values of the first pass are
// combined into one word that the second uses, so that no reading can be left out.
template <class Word>
void move_in_passes(const Word* x, const Word* dy, Word* y, Index size, bool first_pass, int max_threads) {
  constexpr Index step = 8 * 1024;
  const Index units = (size + step - 1) / step;
  const Index bytes = size * static_cast<Index>(sizeof(Word)) * (dy ? 2 : 1);
  const Word* other = dy ? dy : x;
  std::vector<Word> seen(units);
  if (first_pass)
    for_units(units, bytes, max_threads, [&, x, other](Index unit) {
      const Index end = std::min(size, (unit + 1) * step);
      Word any = 0;
      for (Index i = unit * step; i < end; ++i) any |= x[i] | other[i];
      seen[unit] = any;
    });
  for_units<Order::outwards>(units, bytes + size * sizeof(Word), max_threads, [&, x, other, y](Index unit) {
    const Index end = std::min(size, (unit + 1) * step);
    const Word any = seen[unit];
#pragma GCC ivdep
    for (Index i = unit * step; i < end; ++i) y[i] = x[i] | other[i] | any;
  });
}

}  // namespace schuss
