// A symmetric matrix of which one half is stored, and the one pass over it that a quasi-Newton iteration needs.
//
// Rows come in panels of a block's size. A panel stores its rows up to and including its diagonal block: panel p has
// B rows of B(p + 1) values. So every row is whole blocks, and half the matrix is n²/2 + Bn/2 values.
//
//   panel 0   ■
//   panel 1   ■ ■
//   panel 2   ■ ■ ■
#pragma once

#include <numeric>

#include "schuss/minimize/vector.hpp"

namespace schuss::minimize {

template <class T>
class Symmetric {
 public:
  static constexpr Index B = kBlock<T>;

  // An update that is to be applied in the next pass: H ← τH + usᵀ + suᵀ.
  struct Update {
    double scale = 1;
    Vector<T> u, s;
    bool pending = false;
  };

  explicit Symmetric(Index n) : update{1, Vector<T>(n), Vector<T>(n)}, n_(n), panels_((n + B - 1) / B) {
    const Index slabs = std::clamp<Index>(n / kRowsPerSlab, 1, kMostSlabs);
    bounds_.push_back(0);
    for (Index k = 1; k <= slabs; ++k) {
      const Index bound = std::llround(static_cast<double>(panels_) * std::sqrt(static_cast<double>(k) / slabs));
      if (bound > bounds_.back()) bounds_.push_back(bound);
    }
  }

  Update update;

  Index size() const { return n_; }
  Index stored() const { return panel(panels_) - panel(0); }
  bool empty() const { return values_.size() == 0; }
  Buffer<T>& values() { return values_; }
  void allocate() {
    if (!empty()) return;
    values_ = Buffer<T>(stored());
    for (std::size_t k = 0; k + 1 < bounds_.size(); ++k) partial_.push_back(Vector<T>(bounds_[k + 1] * B));
  }

  // γ times the identity.
  void set_identity(double gamma) {
    allocate();
    values_.clear();
    for (Index i = 0; i < n_; ++i) values_.data()[row(i) + i] = static_cast<T>(gamma);
    update.pending = false;
  }

  // From and to a full matrix, of which `read` takes the lower half.
  void read(const T* full) {
    set_identity(0);
    for (Index i = 0; i < n_; ++i)
      for (Index j = 0; j < n_; ++j)
        if (j / B <= i / B) values_.data()[row(i) + j] = full[std::max(i, j) * n_ + std::min(i, j)];
  }
  void write(T* full) const {
    for (Index i = 0; i < n_; ++i)
      for (Index j = 0; j <= i; ++j) {
        const T u = update.u.data()[i] * update.s.data()[j] + update.s.data()[i] * update.u.data()[j];
        const T h = values_.data()[row(i) + j];
        full[i * n_ + j] = full[j * n_ + i] = update.pending ? static_cast<T>(update.scale) * h + u : h;
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
    threads.team().run(std::ssize(partial_), helpers_for(2 * values_.size() * sizeof(T), max_threads), slab);
    add_up(q);
  }

 private:
  static constexpr Index kRowsPerSlab = 64, kMostSlabs = 64;
  static constexpr int kRows = 4;  // at a time: as many as registers allow

  static Index panel(Index p) { return B * B * (p * (p + 1) / 2); }
  static Index row(Index i) { return panel(i / B) + (i % B) * (i / B + 1) * B; }

  template <bool kPending>
  void pass_panel(Index p, const Vector<T>& v, Vector<T>& q) {
    for (Index r = 0; r < B; r += kRows) pass_rows<kPending>(p, r, v, q);
  }

  // Rows r … r + kRows − 1 of a panel: with the diagonal block, row times v; without it, column times v besides.
  template <bool kPending>
  [[gnu::flatten]] void pass_rows(Index p, Index r, const Vector<T>& v, Vector<T>& q) {
    const T* const s = update.s.data();
    const T* const u = update.u.data();
    const Index first = p * B + r, width = (p + 1) * B;
    T* const h = values_.data() + panel(p) + r * width;
    const T scale = static_cast<T>(update.scale);
    std::array<Block<T>, kRows> sums;
    sums.fill(Block<T>::Zero());

    const auto one_block = [&](Index at, bool column) {
      using P = Plain<T>;
      const Block<T> vj = P::load(v.data() + at), sj = P::load(s + at), uj = P::load(u + at);
      Block<T> qj = P::load(q.data() + at);
      for (int i = 0; i < kRows; ++i) {
        Block<T> hij = P::load(h + i * width + at);
        if constexpr (kPending) {
          hij = scale * hij + (u[first + i] * sj + s[first + i] * uj);
          P::store(h + i * width + at, hij);
        }
        sums[i] += hij * vj;
        if (column) qj += v.data()[first + i] * hij;
      }
      if (column) P::store(q.data() + at, qj);
    };
    for (Index at = 0; at < p * B; at += B) one_block(at, true);
    one_block(p * B, false);
    for (int i = 0; i < kRows; ++i) q.data()[first + i] += static_cast<T>(total(sums[i]));
  }

  // Slabs were added to by one thread each; their sum is taken in their order.
  void add_up(Vector<T>& q) const {
    for (Index i = 0; i < n_; ++i) {
      double sum = 0;
      for (const Vector<T>& part : partial_)
        if (i < part.size()) sum += part.data()[i];
      q.data()[i] = static_cast<T>(sum);
    }
  }

  Index n_, panels_;
  Buffer<T> values_;
  std::vector<Index> bounds_;       // of slabs: panels bounds_[k] … bounds_[k + 1] − 1, of equal area
  std::vector<Vector<T>> partial_;  // what each slab adds to the product
};

}  // namespace schuss::minimize
