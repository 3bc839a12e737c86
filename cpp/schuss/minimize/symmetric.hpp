// A symmetric matrix of which one half is stored, and the one pass over it that a quasi-Newton iteration needs.
//
// Rows come in panels of a block's size. A panel stores its rows up to and including its diagonal block: panel p has
// B rows of B(p + 1) values. So every row is whole blocks, and half the matrix is n²/2 + Bn/2 values.
//
//   panel 0   ■
//   panel 1   ■ ■
//   panel 2   ■ ■ ■
//
// The pass works on a few rows of a panel at a time. Their blocks lie in memory in the order in which it comes to them,
// so that it is a single stream.
//
// A product reads the matrix, an update would read and write it. So updates wait, as vectors that a product takes into
// account by themselves, until there are several; then one pass applies them all and multiplies besides.
#pragma once

#include <numeric>
#include <stdexcept>
#include <string>

#include "schuss/minimize/solver.hpp"
#include "schuss/minimize/vector.hpp"

namespace schuss::minimize {

template <class T>
class Symmetric {
 public:
  static constexpr Index B = kBlock<T>;

  // An update of what is stored: it becomes itself + usᵀ + suᵀ.
  struct Update {
    Vector<T> u, s;
  };

  explicit Symmetric(Index n) : n_(n), panels_((n + B - 1) / B) {
    const Index most = std::clamp<Index>(n / kRowsPerUpdate, 1, kMostUpdates);
    for (Index k = 0; k < most; ++k) updates_.push_back({Vector<T>(n), Vector<T>(n)});
    const Index slabs = std::clamp<Index>(n / kRowsPerSlab, 1, kMostSlabs);
    bounds_.push_back(0);
    for (Index k = 1; k <= slabs; ++k) {
      const Index bound = std::llround(static_cast<double>(panels_) * std::sqrt(static_cast<double>(k) / slabs));
      if (bound > bounds_.back()) bounds_.push_back(bound);
    }
  }

  double scale = 1;  // H is what is stored, with the updates that wait, times this

  Index size() const { return n_; }
  bool empty() const { return values_.size() == 0; }
  void allocate() {
    if (!empty()) return;
    values_ = Buffer<T>(panel(panels_));
    sum_ = Buffer<double>(n_);
    for (std::size_t k = 0; k + 1 < bounds_.size(); ++k) partial_.push_back(Vector<T>(bounds_[k + 1] * B));
  }

  // A multiple of the identity.
  void set_identity(double gamma) {
    allocate();
    values_.clear();
    for (Index i = 0; i < n_; ++i) values_.data()[place(i, i)] = static_cast<T>(gamma);
    waiting_ = 0;
    scale = 1;
  }

  // The next update, to be filled in. There is room for one after a product, and after all have been dropped.
  Update& next() { return updates_[waiting_]; }
  void add_next() { ++waiting_; }
  void drop_updates() { waiting_ = 0; }

  void visit(Visitor& visitor) {
    allocate();
    visitor.number("scale", scale);
    visitor.array("h", values_.data(), values_.size());
    visitor.count("waiting", waiting_);
    if (waiting_ > std::ssize(updates_))
      throw std::invalid_argument("state has " + std::to_string(waiting_) + " updates that wait, expected at most " +
                                  std::to_string(updates_.size()));
    for (Index k = 0; k < waiting_; ++k) {
      const std::string number = std::to_string(k);
      visitor.vector(std::string("u").append(number), updates_[k].u);
      visitor.vector(std::string("s").append(number), updates_[k].s);
    }
  }

  // From and to a full matrix, of which `read` takes the lower half.
  void read(const T* full) {
    set_identity(0);
    for (Index i = 0; i < n_; ++i)
      for (Index j = 0; j < n_; ++j)
        if (j / B <= i / B) values_.data()[place(i, j)] = full[std::max(i, j) * n_ + std::min(i, j)];
  }
  void write(T* full) const {
    for (Index i = 0; i < n_; ++i)
      for (Index j = 0; j <= i; ++j) {
        T h = values_.data()[place(i, j)];
        for (Index k = 0; k < waiting_; ++k) {
          const T *const u = updates_[k].u.data(), *const s = updates_[k].s.data();
          h += u[i] * s[j] + s[i] * u[j];
        }
        full[i * n_ + j] = full[j * n_ + i] = static_cast<T>(scale) * h;
      }
  }

  // q = Hv, in one pass, which applies the updates if as many wait as can.
  void multiply(const Vector<T>& v, Vector<T>& q, int max_threads) {
    const bool apply = waiting_ == std::ssize(updates_);
    const auto slab = [&](Index k) {
      partial_[k].clear();
      for (Index p = bounds_[k]; p < bounds_[k + 1]; ++p)
        apply ? pass_panel<true>(p, v, partial_[k]) : pass_panel<false>(p, v, partial_[k]);
    };
    const Index bytes = (apply ? 2 : 1) * values_.size() * sizeof(T);
    threads.team().run(std::ssize(partial_), threads.helpers(bytes, max_threads), slab);
    if (apply) waiting_ = 0;
    add_up(v, q, max_threads);
  }

 private:
  static constexpr Index kRowsPerSlab = 64, kMostSlabs = 64;
  static constexpr Index kRows = 4;  // at a time: as many as registers allow

  // Updates that wait at most. An update that waits costs a product 4n operations, where applying it costs n².
  static constexpr Index kMostUpdates = 8, kRowsPerUpdate = 128;

  static Index panel(Index p) { return B * B * (p * (p + 1) / 2); }
  static Index place(Index i, Index j) {
    const Index p = i / B, rows = i % B / kRows;
    return panel(p) + rows * kRows * (p + 1) * B + j / B * kRows * B + i % kRows * B + j % B;
  }

  template <bool kApply>
  void pass_panel(Index p, const Vector<T>& v, Vector<T>& q) {
    for (Index r = 0; r < B; r += kRows) pass_rows<kApply>(p, r, v, q);
  }

  // Rows r … r + kRows − 1 of a panel: with the diagonal block, row times v; without it, column times v besides.
  template <bool kApply>
  [[gnu::flatten]] void pass_rows(Index p, Index r, const Vector<T>& v, Vector<T>& q) {
    const Index first = p * B + r;
    const T* const vs = v.data();
    T* const qs = q.data();
    std::array<T, kRows> vi;
    std::copy_n(vs + first, kRows, vi.data());
    T* const h = values_.data() + place(first, 0);
    std::array<Block<T>, kRows> sums;
    sums.fill(Block<T>::Zero());

    const auto one_block = [&](Index at, bool column) {
      using P = Plain<T>;
      const Block<T> vj = P::load(vs + at);
      Block<T> qj = P::load(qs + at);
      std::array<Block<T>, kRows> hj;
      for (Index i = 0; i < kRows; ++i) hj[i] = P::load(h + kRows * at + i * B);
      if constexpr (kApply) {
        for (const Update& update : updates_) {
          const T *const u = update.u.data(), *const s = update.s.data();
          const Block<T> uj = P::load(u + at), sj = P::load(s + at);
          for (Index i = 0; i < kRows; ++i) hj[i] += u[first + i] * sj + s[first + i] * uj;
        }
        for (Index i = 0; i < kRows; ++i) P::store(h + kRows * at + i * B, hj[i]);
      }
      for (Index i = 0; i < kRows; ++i) {
        sums[i] += hj[i] * vj;
        if (column) qj += vi[i] * hj[i];
      }
      if (column) P::store(qs + at, qj);
    };
    for (Index at = 0; at < p * B; at += B) one_block(at, true);
    one_block(p * B, false);
    for (Index i = 0; i < kRows; ++i) qs[first + i] += static_cast<T>(total(sums[i]));
  }

  // Slabs were added to by one thread each; their sum is taken in their order, and then that of the updates that wait.
  void add_up(const Vector<T>& v, Vector<T>& q, int max_threads) {
    sum_.clear();
    double* const sum = sum_.data();
    for (const Vector<T>& part : partial_)
      for (Index i = 0; i < std::min(part.size(), n_); ++i) sum[i] += part.data()[i];
    for (Index k = 0; k < waiting_; ++k) {
      const auto& [u, s] = updates_[k];
      const double uv = dot(u, v, max_threads), sv = dot(s, v, max_threads);
      for (Index i = 0; i < n_; ++i) sum[i] += sv * u.data()[i] + uv * s.data()[i];
    }
    for (Index i = 0; i < n_; ++i) q.data()[i] = static_cast<T>(scale * sum[i]);
  }

  Index n_, panels_;
  std::vector<Update> updates_;
  Index waiting_ = 0;  // so many of them wait
  Buffer<T> values_;
  std::vector<Index> bounds_;       // of slabs: panels bounds_[k] … bounds_[k + 1] − 1, of equal area
  std::vector<Vector<T>> partial_;  // what each slab adds to the product
  Buffer<double> sum_;
};

}  // namespace schuss::minimize
