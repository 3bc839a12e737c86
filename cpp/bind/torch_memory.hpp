// Torch tensors as plain memory, without a header of torch: what DLPack's table of functions says of them.
#pragma once

#include <cstdint>
#include <vector>

#include "bind/bind.hpp"
#include "schuss/engine.hpp"

namespace schuss::bind {

namespace py = pybind11;

// DLPack's
struct DLTensor;
struct ExchangeTable;

struct Memory {
  void* data = nullptr;
  int itemsize = 0;
  int ndim = 0;
  const std::int64_t *shape = nullptr, *strides = nullptr;

  Index size() const;
  bool operator==(const Memory&) const = default;
};

// Whether the elements fill a stretch of memory, in whatever order of the dimensions.
bool is_dense(const Memory& memory);

// Whether an element lies at the same offset in both.
inline bool is_like(const Memory& a, const Memory& b) {
  if (a.ndim != b.ndim || a.itemsize != b.itemsize) return false;
  for (int i = 0; i < a.ndim; ++i)
    if (a.shape[i] != b.shape[i] || (a.shape[i] != 1 && a.strides[i] != b.strides[i])) return false;
  return true;
}

// Reads tensors, by the table or, of older versions of torch, by their methods. What takes most of the table's time is
// the way from the Python object to the C++ tensor in it, with the GIL taken once more on the way. Where that tensor is
// seen to lie at the beginning of the object, torch is given it directly.
class Reader {
 public:
  // Of these types. `table` is a capsule with DLPack's table, or None, and `describe` the address of the function that
  // the table's one calls with the C++ tensor, or 0.
  Reader(const py::tuple& types, const py::object& table, std::uintptr_t describe);

  // Finds the memory of a float32 or float64 tensor on the CPU; false for any other. Its shape is there until it is
  // forgotten. It is filled in where the caller has it: copying what has only just been written takes longer than
  // reading it.
  bool read(PyObject* tensor, Memory& memory);

  void forget() { kept_.clear(); }

 private:
  using Describe = void (*)(const void* tensor, DLTensor* out);

  // The type of a tensor, whether its C++ tensor has been looked for, and whether it was there.
  struct Kind {
    PyTypeObject* type;
    bool looked, seen;
  };

  bool by_table(PyObject* tensor, Memory& memory) const;
  bool directly(PyObject* tensor, Memory& memory) const;
  bool by_methods(PyObject* tensor, Memory& memory);
  bool is_seen(PyObject* tensor, const Memory& memory) const;

  py::tuple types_;  // owns the types
  std::vector<Kind> kinds_;
  const ExchangeTable* table_ = nullptr;
  const Describe describe_;
  std::vector<std::vector<std::int64_t>> kept_;  // shapes and strides that were read by methods
};

}  // namespace schuss::bind
