// Newton's method: p = −H⁻¹g with the Hessian at each iterate; Deep Learning, section 8.6.1.
//
// Where H is not positive definite there are two ways on:
//   regularized   H + αI with α grown until it is (equation 8.28). H is then reduced to a tridiagonal T = QᵀHQ, once,
//                 on which a shift costs O(n) and not another factorization;
//   saddle-free   |H|, the matrix with the magnitudes of H's eigenvalues (Dauphin et al. 2014).
#pragma once

#ifndef EIGEN_DONT_PARALLELIZE
#define EIGEN_DONT_PARALLELIZE
#endif
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

#include "schuss/minimize/gradient_descent.hpp"

namespace schuss::minimize {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using Column = Eigen::Matrix<T, Eigen::Dynamic, 1>;

// (T + αI)z = b for a symmetric tridiagonal T; false unless T + αI is positive definite.
template <class T>
bool solve_tridiagonal(const Column<T>& diagonal, const Column<T>& beside, T alpha, Column<T>& z) {
  const Index n = diagonal.size();
  Column<T> pivot(n);
  for (Index i = 0; i < n; ++i) {
    pivot[i] = diagonal[i] + alpha - (i > 0 ? beside[i - 1] * beside[i - 1] / pivot[i - 1] : T(0));
    if (!(pivot[i] > 0)) return false;
    if (i > 0) z[i] -= beside[i - 1] / pivot[i - 1] * z[i - 1];
  }
  for (Index i = n - 1; i >= 0; --i) z[i] = z[i] / pivot[i] - (i + 1 < n ? beside[i] / pivot[i] * z[i + 1] : T(0));
  return true;
}

// p = −(H + αI)⁻¹g with the least α ≥ 0 of a growing series, that makes H + αI positive definite and p bounded; the
// series begins at `alpha`, which becomes the α taken. Only the lower half of H is read. H is first divided by its
// largest magnitude, so that nothing overflows on the way; where no p is finite, p = −g.
template <class T>
void regularized_direction(const Eigen::Ref<const Matrix<T>>& h, const Eigen::Ref<const Column<T>>& g,
                           Eigen::Ref<Column<T>> p, double& alpha) {
  constexpr double kGrow = 4;
  const T size = h.cwiseAbs().maxCoeff();
  p = -g;
  if (!(size > 0) || !std::isfinite(size)) return;
  const Matrix<T> scaled = h / size;
  const double least = std::sqrt(static_cast<double>(std::numeric_limits<T>::epsilon()));
  double shift = alpha / static_cast<double>(size);
  if (!(shift >= least)) shift = 0;
  Matrix<T> shifted = scaled;
  shifted.diagonal().array() += static_cast<T>(shift);
  Column<T> direction;
  const Eigen::LLT<Eigen::Ref<Matrix<T>>> factors(shifted);
  if (factors.info() == Eigen::Success) direction = factors.solve(-g);
  if (factors.info() != Eigen::Success || !direction.allFinite()) {
    const Eigen::Tridiagonalization<Matrix<T>> reduced(scaled);
    const Column<T> diagonal = reduced.diagonal(), beside = reduced.subDiagonal();
    const Matrix<T> q = reduced.matrixQ();
    const Column<T> turned = q.transpose() * -g;
    Column<T> z = turned;
    // A margin beyond the first shift that works: there T + αI is nearly singular.
    for (shift = std::max(shift, least);; shift *= kGrow, z = turned) {
      if (!std::isfinite(static_cast<T>(shift))) return;
      if (solve_tridiagonal(diagonal, beside, static_cast<T>(shift / kGrow), z)) break;
    }
    z = turned;
    solve_tridiagonal(diagonal, beside, static_cast<T>(shift), z);
    direction = q * z;
  }
  direction /= size;
  if (!direction.allFinite()) return;
  alpha = shift * static_cast<double>(size);
  p = direction;
}

// p = −|H|⁻¹g, where no magnitude of an eigenvalue counts for less than `floor` times the largest.
template <class T>
void saddle_free_direction(const Eigen::Ref<const Matrix<T>>& h, const Eigen::Ref<const Column<T>>& g,
                           Eigen::Ref<Column<T>> p, double floor) {
  const Eigen::SelfAdjointEigenSolver<Matrix<T>> eigen(h);
  const Column<T> size = eigen.eigenvalues().cwiseAbs();
  const T least = static_cast<T>(floor > 0 ? floor : std::sqrt(std::numeric_limits<T>::epsilon())) * size.maxCoeff();
  const Column<T> along = eigen.eigenvectors().transpose() * -g;
  if (least > 0) {
    p = eigen.eigenvectors() * (along.array() / size.array().max(least)).matrix();
  } else {
    p = -g;
  }
}

template <class T>
class Newton {
 public:
  static constexpr double kCurvature = 0.9;
  static constexpr bool kHessian = true;

  Newton(Index n, const Options& options) : n_(n), options_(options) {}
  void set_options(const Options& options) { options_ = options; }

  // Rows or columns first: it is symmetric.
  void take_hessian(const T* h) { hessian_ = h; }

  bool begin(const Vector<T>& g, Vector<T>& p) {
    const Eigen::Map<const Matrix<T>> h(hessian_, n_, n_);
    const Eigen::Map<const Column<T>> gradient(g.data(), n_);
    Eigen::Map<Column<T>> direction(p.data(), n_);
    p.clear();
    if (!trusted_ || !h.allFinite()) {
      against(g, p, options_.threads);
      return trusted_ = false;
    }
    if (options_.curvature_of == Curvature::saddle_free) {
      saddle_free_direction<T>(h, gradient, direction, options_.floor);
    } else {
      shift_ /= kShrink;
      regularized_direction<T>(h, gradient, direction, shift_);
    }
    return true;
  }

  bool learn() {
    trusted_ = true;
    return true;
  }
  bool forget() { return std::exchange(trusted_, false); }
  void visit(Visitor& visitor) {
    visitor.number("shift", shift_);
    visitor.flag("trusted", trusted_);
  }

 private:
  static constexpr double kShrink = 16;

  Index n_;
  Options options_;
  const T* hessian_ = nullptr;
  double shift_ = 0;
  bool trusted_ = true;  // false after a step by the Hessian has failed, until another one is taken
};

}  // namespace schuss::minimize
