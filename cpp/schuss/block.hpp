// A block: 64 consecutive values, held in registers while one update rule works on them.
//
// A rule is written with whole-block expressions (`r = rho * r + (1 - rho) * g.square()`). They compile to
// straight-line vector code of whatever width the instruction set offers, and every operation rounds exactly as the
// same NumPy expression does. Three things make that so:
//
//   * a double scalar meets a block as a Python float meets a NumPy array: it is first rounded to the block's type;
//   * no multiplication and addition are contracted into one (-ffp-contract=off);
//   * square roots are exact; Eigen's own are approximations for some instruction sets.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <concepts>

namespace schuss {

constexpr int kBlock = 64;

template <class T>
using Block = Eigen::Array<T, kBlock, 1>;

template <class X>
concept BlockExpression = std::derived_from<X, Eigen::ArrayBase<X>> && X::SizeAtCompileTime == kBlock;

template <class X>
using BlockOf = Block<typename X::Scalar>;

// double ∘ Block<float>, from either side. Eigen itself provides double ∘ Block<double>.
template <class X>
concept Narrower = BlockExpression<X> && !std::same_as<typename X::Scalar, double>;

template <class X>
constexpr auto rounded(double a) {
  return static_cast<typename X::Scalar>(a);
}

template <std::same_as<double> D, Narrower X>
auto operator+(D a, const X& x) {
  return rounded<X>(a) + x;
}
template <std::same_as<double> D, Narrower X>
auto operator+(const X& x, D a) {
  return x + rounded<X>(a);
}
template <std::same_as<double> D, Narrower X>
auto operator*(D a, const X& x) {
  return rounded<X>(a) * x;
}

// The correctly rounded square root. The loop is vectorized because errno is off (-fno-math-errno).
template <BlockExpression X>
BlockOf<X> sqrt(const X& x) {
  BlockOf<X> y = x;
  for (int i = 0; i < kBlock; ++i) y[i] = std::sqrt(y[i]);
  return y;
}

// numpy.where(condition > 0, a, b), element by element.
template <BlockExpression C, BlockExpression A, BlockExpression B>
BlockOf<A> where_positive(const C& condition, const A& a, const B& b) {
  const BlockOf<C> c = condition;
  const BlockOf<A> yes = a;
  BlockOf<A> y = b;
  for (int i = 0; i < kBlock; ++i) y[i] = c[i] > 0 ? yes[i] : y[i];
  return y;
}

}  // namespace schuss
