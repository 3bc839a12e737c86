// A block: one cache line of consecutive values, held in registers while one update rule works on them.
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

template <class T>
constexpr int kBlock = 64 / sizeof(T);

template <class T>
using Block = Eigen::Array<T, kBlock<T>, 1>;

template <class X>
concept BlockExpression = std::derived_from<X, Eigen::ArrayBase<X>>;

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

// The functions Eigen has not in the form needed here, as functors of one value and of one register of values.
namespace functor {

template <class T>
struct Sqrt {
  T operator()(const T& x) const { return std::sqrt(x); }

  template <class Packet>
  Packet packetOp(const Packet& x) const {
    if constexpr (Eigen::internal::packet_traits<T>::HasSqrt) {
      return Eigen::internal::psqrt(x);
    } else {
      return widest(x);
    }
  }

 private:
#ifdef __AVX512F__
  static __m512 widest(__m512 x) { return _mm512_sqrt_ps(x); }
  static __m512d widest(__m512d x) { return _mm512_sqrt_pd(x); }
#endif
};

template <class T>
struct WherePositive {
  T operator()(const T& condition, const T& yes, const T& no) const { return condition > 0 ? yes : no; }

  template <class Packet>
  Packet packetOp(const Packet& condition, const Packet& yes, const Packet& no) const {
    using namespace Eigen::internal;
    return pselect(pcmp_lt(pset1<Packet>(T(0)), condition), yes, no);
  }
};

template <class T>
struct AddProduct {
  T operator()(const T& sum, const T& a, const T& b) const { return sum + a * b; }

  template <class Packet>
  Packet packetOp(const Packet& sum, const Packet& a, const Packet& b) const {
    return Eigen::internal::pmadd(a, b, sum);
  }
};

}  // namespace functor

// The correctly rounded square root.
template <BlockExpression X>
auto sqrt(const X& x) {
  return x.unaryExpr(functor::Sqrt<typename X::Scalar>());
}

// sum + a · b, whose product is rounded or not, as the instruction set has it. That is no difference where the product
// is exact anyway, as that of two floats is in double.
template <BlockExpression S, BlockExpression A, BlockExpression B>
auto add_exact_product(const S& sum, const A& a, const B& b) {
  using T = typename S::Scalar;
  return Eigen::CwiseTernaryOp<functor::AddProduct<T>, const S, const A, const B>(sum, a, b);
}

// numpy.where(condition > 0, yes, no), element by element.
template <BlockExpression C, BlockExpression A, BlockExpression B>
auto where_positive(const C& condition, const A& yes, const B& no) {
  using T = typename C::Scalar;
  return Eigen::CwiseTernaryOp<functor::WherePositive<T>, const C, const A, const B>(condition, yes, no);
}

// numpy.maximum and numpy.minimum: what meets a NaN becomes one.
template <BlockExpression A, BlockExpression B>
auto maximum(const A& a, const B& b) {
  return a.template max<Eigen::PropagateNaN>(b);
}
template <BlockExpression A, BlockExpression B>
auto minimum(const A& a, const B& b) {
  return a.template min<Eigen::PropagateNaN>(b);
}

}  // namespace schuss

template <class T>
struct Eigen::internal::functor_traits<schuss::functor::Sqrt<T>> : functor_traits<scalar_sqrt_op<T>> {
  enum { PacketAccess = packet_traits<T>::Vectorizable };
};

template <class T>
struct Eigen::internal::functor_traits<schuss::functor::WherePositive<T>> {
  enum { Cost = NumTraits<T>::AddCost, PacketAccess = packet_traits<T>::HasCmp };
};

template <class T>
struct Eigen::internal::functor_traits<schuss::functor::AddProduct<T>> {
  enum { Cost = NumTraits<T>::AddCost + NumTraits<T>::MulCost, PacketAccess = packet_traits<T>::Vectorizable };
};
