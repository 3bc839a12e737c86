// Sparse coding of many samples by the same atoms: for each sample x, over its code h,
//
//   ½‖x − Dᵀh‖² + α‖h‖₁
//
// The samples share one Gram matrix and are worked on in parallel, each by one thread.
#pragma once

#include "schuss/coordinate/certificate.hpp"
#include "schuss/coordinate/forms.hpp"
#include "schuss/coordinate/gram.hpp"

namespace schuss::coordinate {

struct Coding {
  double alpha, tolerance;
  Index most;  // sweeps for a sample
  int threads;
};

// Where the codes go, and what is known of each sample: the objective and the gap over the objective at zero.
template <class T>
struct Codes {
  T* h;
  double *objective, *gap, *relative;
  std::int64_t* sweeps;
};

template <class T>
class SparseEncoder {
 public:
  // x has a sample in each column, and so has the dictionary its atoms.
  SparseEncoder(const Strided<T>& x, const Strided<T>& dictionary, const Coding& coding)
      : coding_(coding), samples_(x, false, coding.threads), atoms_(dictionary, false, coding.threads) {
    std::vector<Index> all(atoms_.count);
    for (Index k = 0; k < atoms_.count; ++k) all[k] = k;
    if (atoms_.finite) products_.add(atoms_, all, coding.threads);
  }

  const Columns& samples() const { return samples_; }
  const Columns& atoms() const { return atoms_; }

  // codes.h holds the start. tick() is called after each sweep, by the thread that sweeps; once it returns true the
  // rest is left as it is.
  template <class Tick>
  void run(const Codes<T>& codes, const Tick& tick) const {
    const Index bytes = samples_.count * (atoms_.count + 8) * samples_.stride * 8;
    const auto task = [&](Index i) { Worker(*this, codes).encode(i * kSamples, tick); };
    threads.team().run((samples_.count + kSamples - 1) / kSamples, threads.helpers(bytes, coding_.threads), task);
  }

 private:
  static constexpr Index kSamples = 32;  // in a task

  // What one thread needs for a few samples.
  class Worker {
   public:
    Worker(const SparseEncoder& all, const Codes<T>& codes)
        : all_(all),
          codes_(codes),
          k_(all.atoms_.count),
          n_(all.samples_.stride),
          v_(k_),
          l1_(k_),
          l2_(k_, 0),
          out_(k_),
          q_(all.products_.length(), 0),
          r_(n_) {}

    template <class Tick>
    void encode(Index begin, const Tick& tick) {
      const Index count = std::min(kSamples, all_.samples_.count - begin);
      const RowMajor products =
          rows_of(all_.samples_[begin], count, n_, n_) * rows_of(all_.atoms_.values.data(), k_, n_, n_).transpose();
      for (Index i = 0; i < count; ++i) {
        if (tick()) return;
        std::copy_n(products.data() + i * k_, k_, q_.data());
        one(begin + i, tick);
      }
    }

   private:
    template <class Tick>
    void one(Index i, const Tick& tick) {
      const double* const u = all_.samples_[i];
      const int unit = all_.samples_.units[i].exponent;
      const double uu = all_.samples_.square[i], enough = 0.5 * all_.coding_.tolerance * uu;
      const Coordinates x{k_, v_.data(), all_.atoms_.square.data(), l1_.data(), l2_.data()};
      begin(i, unit, uu, x);
      Certificate made;
      Index sweeps = 0;
      for (double least = kInfinity;;) {
        made = look(u, uu, unit, x);
        if (made.gap <= enough || sweeps >= all_.coding_.most || !(made.gap < 0.5 * least)) break;
        least = made.gap;
        Gram form(all_.products_.data(), all_.products_.stride(), all_.products_.length(), q_.data(), uu, x);
        sweeps += descend(form, x, 0.3 * enough, all_.coding_.most - sweeps, tick);
      }
      write(i, unit, made, uu, sweeps);
    }

    // The start, unless zero is no worse.
    void begin(Index i, int unit, double uu, const Coordinates& x) {
      const T* const h = codes_.h + i * k_;
      bool any = false;
      for (Index k = 0; k < k_; ++k) {
        const int e = unit - all_.atoms_.units[k].exponent;
        l1_[k] = std::ldexp(all_.coding_.alpha, -unit - all_.atoms_.units[k].exponent);
        v_[k] = h[k] == 0 || x.square[k] == 0 ? 0 : std::ldexp(static_cast<double>(h[k]), -e);
        any = any || v_[k] != 0;
      }
      if (!any) return;
      residual(all_.samples_[i], n_, v_.data(), k_, column(), r_.data(), 1);
      const double here = 0.5 * dot(r_.data(), r_.data(), n_) + x.penalty();
      if (!std::isfinite(here) || (all_.coding_.most > 0 && here >= 0.5 * uu)) std::fill(v_.begin(), v_.end(), 0);
    }

    Certificate look(const double* u, double uu, int unit, const Coordinates& x) {
      residual(u, n_, v_.data(), k_, column(), r_.data(), 1);
      const bool any = std::any_of(v_.begin(), v_.end(), [](double v) { return v != 0; });
      for (Index k = 0; k < k_; ++k) {
        if (any) q_[k] = dot(all_.atoms_[k], r_.data(), n_);
        const int e = unit - all_.atoms_.units[k].exponent;
        out_[k] = v_[k] == 0 ? 0 : std::ldexp(representable<T>(v_[k], e), -e);
      }
      return certify(x, q_.data(), r_.data(), out_.data(), uu, n_, column(), 1);
    }

    void write(Index i, int unit, const Certificate& made, double uu, Index sweeps) {
      for (Index k = 0; k < k_; ++k)
        codes_.h[i * k_ + k] =
            out_[k] == 0 ? 0 : static_cast<T>(std::ldexp(out_[k], unit - all_.atoms_.units[k].exponent));
      codes_.objective[i] = std::ldexp(made.objective, 2 * unit);
      codes_.gap[i] = std::ldexp(made.gap, 2 * unit);
      codes_.relative[i] = made.gap == 0 ? 0 : made.gap / (0.5 * uu);
      codes_.sweeps[i] = sweeps;
    }

    auto column() const {
      return [this](Index k) { return all_.atoms_[k]; };
    }

    const SparseEncoder& all_;
    const Codes<T>& codes_;
    Index k_, n_;
    std::vector<double> v_, l1_, l2_, out_, q_, r_;
  };

  Coding coding_;
  Columns samples_, atoms_;
  Products products_;
};

}  // namespace schuss::coordinate
