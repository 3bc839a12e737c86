// Every check of an array happens here. Past this point a pointer, a length and a number format are facts.
#pragma once

#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "schuss/storage.hpp"

namespace schuss::bind {

namespace py = pybind11;

// f with a number of that format: its type is what matters.
template <class F>
auto with_format(Format format, const F& f) {
  return format == Format::f32 ? f(float()) : f(double());
}

enum class Access { read, write };

// The formats that an array may have.
class Formats {
 public:
  template <std::same_as<Format>... F>
  constexpr Formats(F... format) : set_(((1u << static_cast<int>(format)) | ... | 0u)) {}
  constexpr bool has(Format format) const { return set_ >> static_cast<int>(format) & 1; }

 private:
  unsigned set_;
};

constexpr Formats kPlain{Format::f32, Format::f64};

// An array as the caller named it: `grads` and `[3]`, put together only when an error needs it; or one word.
struct Name {
  py::handle argument;
  py::handle index;
  const char* word = nullptr;

  Name(py::handle argument_, py::handle index_) : argument(argument_), index(index_) {}
  explicit Name(const char* word_) : word(word_) {}
  std::string str() const { return word ? word : std::string(py::str(argument)) + std::string(py::str(index)); }
};

struct View {
  py::array array;  // keeps the memory alive
  Access access;
  Name name;

  Format format;

  void* data() const { return const_cast<void*>(array.data()); }
  Index size() const { return array.size(); }
  Index bytes_moved() const { return array.nbytes() * (access == Access::write ? 2 : 1); }
};

// The memory of a NumPy array, a torch tensor or any other CPU array that offers DLPack, never copied and never cast.
// Throws TypeError or ValueError, naming the array, unless it is an aligned C-contiguous array of a known format, and
// writable if it is to be written. The bits of bfloat16, which NumPy has no type for, may come as uint16 where codes
// of 8 bits may come, too.
View view(const py::handle& object, Access access, const Name& name, Formats formats = kPlain);

// Likewise, and throws unless it has so many dimensions.
View view_of(const py::handle& object, const char* name, Access access, Index dimensions);

// The number of threads that a call is to use at most; 0 stands for the default.
inline int thread_count(int wanted) { return wanted > 0 ? wanted : threads.count(); }

// Throws unless the array has that shape, and the number format of `like`.
void require_shape(const View& array, const std::vector<Index>& shape, const View& like);

// Throws unless the array has the shape of `like`.
void require_same_shape(const View& array, const View& like);

// Likewise, and unless it has its number format.
void require_like(const View& array, const View& like);

// Throws unless the array is a vector with a number of that format for each channel that `data` has on the axis.
void require_channels(const View& array, Format format, const View& data, py::ssize_t axis);

// Throws if an array that is written shares memory with any other of the list.
void require_disjoint(const std::vector<View>& views);

}  // namespace schuss::bind
