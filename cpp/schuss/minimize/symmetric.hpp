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
#pragma once

#include <numeric>

#include "schuss/minimize/vector.hpp"

namespace schuss::minimize {

template <class T>
class Symmetric {
 public:
  static constexpr Index B = kBlock<T>;

  // An update of what is stored that is to be applied in the next pass: it becomes itself + usᵀ + suᵀ.
  struct Update {
    Vector<T> u, s;
    bool pending = false;
  };

  explicit Symmetric(Index n) : update{Vector<T>(n), Vector<T>(n)}, n_(n), panels_((n + B - 1) / B) {
    const Index slabs = std::clamp<Index>(n / kRowsPerSlab, 1, kMostSlabs);
    bounds_.push_back(0);
    for (Index k = 1; k <= slabs; ++k) {
      const Index bound = std::llround(static_cast<double>(panels_) * std::sqrt(static_cast<double>(k) / slabs));
      if (bound > bounds_.back()) bounds_.push_back(bound);
    }
  }

  Update update;
  double scale = 1;  // H is what is stored, times this

  Index size() const { return n_; }
  Index stored() const { return panel(panels_) - panel(0); }
  bool empty() const { return values_.size() == 0; }
  Buffer<T>& values() { return values_; }
  void allocate() {
    if (!empty()) return;
    values_ = Buffer<T>(stored());
    sum_ = Buffer<double>(n_);
    for (std::size_t k = 0; k + 1 < bounds_.size(); ++k) partial_.push_back(Vector<T>(bounds_[k + 1] * B));
  }

  // γ times the identity.
  void set_identity(double gamma) {
    allocate();
    values_.clear();
    for (Index i = 0; i < n_; ++i) values_.data()[place(i, i)] = static_cast<T>(gamma);
    update.pending = false;
    scale = 1;
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
        const T u = update.u.data()[i] * update.s.data()[j] + update.s.data()[i] * update.u.data()[j];
        const T h = values_.data()[place(i, j)];
        full[i * n_ + j] = full[j * n_ + i] = static_cast<T>(scale) * (update.pending ? h + u : h);
      }
  }

  // q = Hv, in one pass that applies the pending update too.
  void multiply(const Vector<T>& v, Vector<T>& q, int max_threads) {
    const bool pending = std::exchange(update.pending, false);
    const auto slab = [&](Index k) {
      partial_[k].clear();
      for (Index p = bounds_[k]; p < bounds_[k + 1]; ++p)
        pending ? pass_panel<true>(p, v, partial_[k]) : pass_panel<false>(p, v, partial_[k]);
    };
    threads.team().run(std::ssize(partial_), threads.helpers(2 * values_.size() * sizeof(T), max_threads), slab);
    add_up(q);
  }

 private:
  static constexpr Index kRowsPerSlab = 64, kMostSlabs = 64;
  static constexpr Index kRows = 4;  // at a time: as many as registers allow

  static Index panel(Index p) { return B * B * (p * (p + 1) / 2); }
  static Index place(Index i, Index j) {
    const Index p = i / B, rows = i % B / kRows;
    return panel(p) + rows * kRows * (p + 1) * B + j / B * kRows * B + i % kRows * B + j % B;
  }

  template <bool kPending>
  void pass_panel(Index p, const Vector<T>& v, Vector<T>& q) {
    for (Index r = 0; r < B; r += kRows) pass_rows<kPending>(p, r, v, q);
  }

  // Rows r … r + kRows − 1 of a panel: with the diagonal block, row times v; without it, column times v besides.
  template <bool kPending>
  [[gnu::flatten]] void pass_rows(Index p, Index r, const Vector<T>& v, Vector<T>& q) {
    const Index first = p * B + r;
    const T *const s = update.s.data(), *const u = update.u.data(), *const vs = v.data();
    T* const qs = q.data();
    std::array<T, kRows> si, ui, vi;
    std::copy_n(s + first, kRows, si.data());
    std::copy_n(u + first, kRows, ui.data());
    std::copy_n(vs + first, kRows, vi.data());
    T* const h = values_.data() + place(first, 0);
    std::array<Block<T>, kRows> sums;
    sums.fill(Block<T>::Zero());

    const auto one_block = [&](Index at, bool column) {
      using P = Plain<T>;
      const Block<T> vj = P::load(vs + at), sj = P::load(s + at), uj = P::load(u + at);
      Block<T> qj = P::load(qs + at);
      for (Index i = 0; i < kRows; ++i) {
        Block<T> hij = P::load(h + kRows * at + i * B);
        if constexpr (kPending) {
          hij += ui[i] * sj + si[i] * uj;
          P::store(h + kRows * at + i * B, hij);
        }
        sums[i] += hij * vj;
        if (column) qj += vi[i] * hij;
      }
      if (column) P::store(qs + at, qj);
    };
    for (Index at = 0; at < p * B; at += B) one_block(at, true);
    one_block(p * B, false);
    for (Index i = 0; i < kRows; ++i) qs[first + i] += static_cast<T>(total(sums[i]));
  }

  // Slabs were added to by one thread each; their sum is taken in their order.
  void add_up(Vector<T>& q) {
    sum_.clear();
    double* const sum = sum_.data();
    for (const Vector<T>& part : partial_)
      for (Index i = 0; i < std::min(part.size(), n_); ++i) sum[i] += part.data()[i];
    for (Index i = 0; i < n_; ++i) q.data()[i] = static_cast<T>(scale * sum[i]);
  }

  Index n_, panels_;
  Buffer<T> values_;
  std::vector<Index> bounds_;       // of slabs: panels bounds_[k] … bounds_[k + 1] − 1, of equal area
  std::vector<Vector<T>> partial_;  // what each slab adds to the product
  Buffer<double> sum_;
};

}  // namespace schuss::minimize
