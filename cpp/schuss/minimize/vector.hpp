// Vectors of a minimiser, and passes over several of them at once.
//
// Sums are taken in an order that depends on the length alone: each chunk of a vector into eight lanes of doubles, the
// lanes by a fixed tree, the chunks one after the other. So every number of threads and every instruction set gives
// the same bits. Products of float32 values are exact in double.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "schuss/codec.hpp"
#include "schuss/engine.hpp"
#include "schuss/threads.hpp"

namespace schuss::minimize {

constexpr Index kAlignment = 64;

struct Release {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t(kAlignment)); }
};

// Aligned memory, filled with zeros.
template <class T>
class Buffer {
 public:
  explicit Buffer(Index size = 0)
      : size_(size), values_(static_cast<T*>(::operator new(size * sizeof(T), std::align_val_t(kAlignment)))) {
    clear();
  }

  void clear() { std::memset(data(), 0, size_ * sizeof(T)); }
  Index size() const { return size_; }
  T* data() { return static_cast<T*>(values_.get()); }
  const T* data() const { return static_cast<const T*>(values_.get()); }

 private:
  Index size_;
  std::unique_ptr<void, Release> values_;
};

// n numbers in whole blocks; what the last block has beyond them is zero and stays so.
template <class T>
class Vector {
 public:
  explicit Vector(Index n = 0) : n_(n), values_((n + kBlock<T> - 1) / kBlock<T> * kBlock<T>) {}

  Index size() const { return n_; }
  Index padded() const { return values_.size(); }
  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }

  Block<T> operator()(Index at) const { return Plain<T>::load(data() + at); }
  void set(Index at, const Block<T>& block) { Plain<T>::store(data() + at, block); }

  void read(const T* from) { std::memcpy(data(), from, n_ * sizeof(T)); }
  void copy(const Vector& other) {
    if (n_ != other.n_) *this = Vector(other.n_);
    read(other.data());
  }
  void clear() { values_.clear(); }

 private:
  Index n_;
  Buffer<T> values_;
};

// ---- lanes ----

using Lane = Eigen::Array<double, 8, 1>;

inline void add_product(Lane& lane, const Block<double>& a, const Block<double>& b) { lane += a * b; }

inline Lane widened(const float* values) {
  Lane wide;
  for (int i = 0; i < 8; ++i) wide[i] = values[i];
  return wide;
}

inline void add_product(Lane& lane, const Block<float>& a, const Block<float>& b) {
  lane += widened(a.data()) * widened(b.data());
  lane += widened(a.data() + 8) * widened(b.data() + 8);
}

inline void take_largest(Lane& lane, const Block<double>& a) { lane = lane.max(a.abs()); }
inline void take_largest(Lane& lane, const Block<float>& a) {
  lane = lane.max(widened(a.data()).abs()).max(widened(a.data() + 8).abs());
}

inline double total(const Lane& x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }
inline double total(const Block<float>& x) {  // in double, in the order of the lanes
  return total(Lane(widened(x.data()) + widened(x.data() + 8)));
}

// What a pass collects: sums and largest magnitudes.
template <int kSums, int kLargest>
struct Collected {
  std::array<double, kSums> sum{};
  std::array<double, kLargest> largest{};
};

template <int kSums, int kLargest>
struct Lanes {
  std::array<Lane, kSums> sum;
  std::array<Lane, kLargest> largest;

  Lanes() {
    sum.fill(Lane::Zero());
    largest.fill(Lane::Zero());
  }

  void add_to(Collected<kSums, kLargest>& collected) const {
    for (int k = 0; k < kSums; ++k) collected.sum[k] += total(sum[k]);
    for (int k = 0; k < kLargest; ++k) collected.largest[k] = std::max(collected.largest[k], largest[k].maxCoeff());
  }
};

// ---- passes ----

constexpr Index kChunk = 4096;  // elements; a vector is cut into chunks of so many, whoever works on them

// Runs body(begin, end, chunk) for every chunk of `length` elements.
template <class Body>
void for_chunks(Index length, Index bytes_per_element, int max_threads, const Body& body) {
  if (length <= kChunk) return body(Index(0), length, Index(0));
  const auto task = [&](Index i) { body(i * kChunk, std::min((i + 1) * kChunk, length), i); };
  threads.team().run((length + kChunk - 1) / kChunk, threads.helpers(length * bytes_per_element, max_threads), task);
}

// Runs body(at, lanes) for every block of vectors with `padded` elements; it touches `vectors` of them.
template <int kSums, int kLargest, class T, class Body>
[[gnu::flatten]] Collected<kSums, kLargest> pass(Index padded, int vectors, int max_threads, const Body& body) {
  Collected<kSums, kLargest> all;
  const auto sweep = [&](Index begin, Index end) {
    Lanes<kSums, kLargest> lanes;
    for (Index at = begin; at < end; at += kBlock<T>) body(at, lanes);
    return lanes;
  };
  if (padded <= kChunk) {
    sweep(0, padded).add_to(all);
    return all;
  }
  std::vector<Collected<kSums, kLargest>> parts((padded + kChunk - 1) / kChunk);
  for_chunks(padded, vectors * sizeof(T), max_threads,
             [&](Index begin, Index end, Index chunk) { sweep(begin, end).add_to(parts[chunk]); });
  for (const auto& part : parts) {
    for (int k = 0; k < kSums; ++k) all.sum[k] += part.sum[k];
    for (int k = 0; k < kLargest; ++k) all.largest[k] = std::max(all.largest[k], part.largest[k]);
  }
  return all;
}

// aᵀb
template <class T>
double dot(const Vector<T>& a, const Vector<T>& b, int max_threads) {
  const auto products = [&](Index at, auto& lanes) { add_product(lanes.sum[0], a(at), b(at)); };
  return pass<1, 0, T>(a.padded(), 2, max_threads, products).sum[0];
}

// Whether no element is infinite or not a number.
template <class T>
bool all_finite(const Vector<T>& a, int max_threads) {
  const auto zeros = [&](Index at, auto& lanes) { add_product(lanes.sum[0], a(at), Block<T>::Zero()); };
  return pass<1, 0, T>(a.padded(), 1, max_threads, zeros).sum[0] == 0;
}

// The largest magnitude of an element.
template <class T>
double largest(const Vector<T>& a, int max_threads) {
  const auto magnitudes = [&](Index at, auto& lanes) { take_largest(lanes.largest[0], a(at)); };
  return pass<0, 1, T>(a.padded(), 1, max_threads, magnitudes).largest[0];
}

}  // namespace schuss::minimize
