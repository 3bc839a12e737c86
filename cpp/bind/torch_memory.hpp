// Torch tensors as plain memory, without a header of torch: what DLPack's table of functions says of them.
#pragma once

#include <cstdint>
#include <vector>

#include "bind/bind.hpp"
#include "schuss/engine.hpp"

namespace schuss::bind {

namespace py = pybind11;

struct ExchangeTable;  // DLPack's

struct Memory {
  void* data = nullptr;
  int itemsize = 0;
  int ndim = 0;
  const std::int64_t *shape = nullptr, *strides = nullptr;

  Index size() const;
};

// Whether the elements fill a stretch of memory, in whatever order of the dimensions.
bool is_dense(const Memory& memory);

// Whether an element lies at the same offset in both.
bool is_like(const Memory& a, const Memory& b);

// Reads tensors, by the table or, of older versions of torch, by their methods.
class Reader {
 public:
  // Of these types; `table` is a capsule with DLPack's table, or None.
  Reader(const py::tuple& types, const py::object& table);

  // Finds the memory of a float32 or float64 tensor on the CPU; false for any other. Its shape is there until it is
  // forgotten. It is filled in where the caller has it: copying what has only just been written takes longer than
  // reading it.
  bool read(PyObject* tensor, Memory& memory);

  void forget() { kept_.clear(); }

 private:
  bool is_plain(PyObject* tensor) const;
  bool by_table(PyObject* tensor, Memory& memory) const;
  bool by_methods(PyObject* tensor, Memory& memory);

  py::tuple types_;
  const ExchangeTable* table_ = nullptr;
  std::vector<std::vector<std::int64_t>> kept_;  // shapes and strides that were read by methods
};

}  // namespace schuss::bind
