// How a block gets from memory into registers and back. A codec knows one storage format.
#pragma once

#include "schuss/block.hpp"

namespace schuss {

// Numbers stored as they are computed with: float32 and float64.
template <class T>
struct Plain {
  static Block<T> load(const T* from) { return Eigen::Map<const Block<T>>(from); }
  static void store(T* to, const Block<T>& block) { Eigen::Map<Block<T>>{to} = block; }

  // The last, partial block of an array: `count` values, padded with zeros that are never stored.
  static Block<T> load(const T* from, int count) {
    Block<T> block = Block<T>::Zero();
    for (int i = 0; i < count; ++i) block[i] = from[i];
    return block;
  }
  static void store(T* to, const Block<T>& block, int count) {
    for (int i = 0; i < count; ++i) to[i] = block[i];
  }
};

}  // namespace schuss
