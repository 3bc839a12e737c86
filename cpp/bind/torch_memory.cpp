#include "bind/torch_memory.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

namespace schuss::bind {

// DLPack 1.x: the table of functions that a tensor's type offers, and the description that it gives of a tensor.
struct DLTensor {
  void* data;
  std::int32_t device_type, device_id;
  std::int32_t ndim;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  const std::int64_t* shape;
  const std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct ExchangeTable {
  std::uint32_t major, minor;
  void *older, *allocate, *export_managed, *import_managed;
  int (*describe)(void* object, DLTensor* out);
  void* stream;
};

namespace {

constexpr std::int32_t kCpu = 1;
constexpr std::uint8_t kFloat = 2;

// Fills in what a description says; false if it is not of a float32 or float64 tensor on the CPU.
bool take(const DLTensor& d, Memory& m) {
  if (d.device_type != kCpu || d.code != kFloat || d.lanes != 1 || (d.bits != 32 && d.bits != 64)) return false;
  m.data = static_cast<char*>(d.data) + d.byte_offset;
  m.itemsize = d.bits / 8;
  m.ndim = d.ndim;
  m.shape = d.shape;
  m.strides = d.strides;
  return true;
}

constexpr Py_ssize_t kLeastSize = sizeof(PyObject) + sizeof(void*);  // of an object with a C++ tensor

// Where the C++ tensor is looked for: it is the first thing in the object.
const char* tensor_in(PyObject* object) { return reinterpret_cast<const char*>(object) + sizeof(PyObject); }

bool is_contiguous(const Memory& m) {
  std::int64_t expected = 1;
  for (int i = m.ndim - 1; i >= 0; --i) {
    if (m.shape[i] != 1 && m.strides[i] != expected) return false;
    expected *= m.shape[i];
  }
  return true;
}

}  // namespace

Index Memory::size() const { return std::accumulate(shape, shape + ndim, Index{1}, std::multiplies<>()); }

bool is_dense(const Memory& m) {
  if (is_contiguous(m)) return true;
  std::vector<int> order;
  for (int i = 0; i < m.ndim; ++i)
    if (m.shape[i] != 1) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return m.strides[a] < m.strides[b]; });
  std::int64_t expected = 1;
  for (const int i : order) {
    if (m.strides[i] != expected) return false;
    expected *= m.shape[i];
  }
  return true;
}

Reader::Reader(const py::tuple& types, const py::object& table, std::uintptr_t describe)
    : types_(types), describe_(reinterpret_cast<Describe>(describe)) {
  for (const py::handle type : types) kinds_.push_back({reinterpret_cast<PyTypeObject*>(type.ptr()), false, false});
  if (table.is_none()) return;
  table_ = static_cast<const ExchangeTable*>(PyCapsule_GetPointer(table.ptr(), "dlpack_exchange_api"));
  if (!table_) throw py::error_already_set();
  if (table_->major != 1 || !table_->describe) table_ = nullptr;
}

bool Reader::read(PyObject* tensor, Memory& m) {
  for (Kind& kind : kinds_) {
    if (kind.type != Py_TYPE(tensor)) continue;
    if (!(kind.seen ? directly(tensor, m) : table_ ? by_table(tensor, m) : by_methods(tensor, m))) return false;
    if (!std::exchange(kind.looked, true)) kind.seen = is_seen(tensor, m);
    return m.data || m.size() == 0;
  }
  return false;
}

bool Reader::by_table(PyObject* tensor, Memory& m) const {
  DLTensor d;
  if (table_->describe(tensor, &d) == 0) return take(d, m);
  PyErr_Clear();  // it is not strided, say
  return false;
}

bool Reader::directly(PyObject* tensor, Memory& m) const {
  DLTensor d;
  try {
    describe_(tensor_in(tensor), &d);
  } catch (const std::exception&) {
    return false;
  }
  return take(d, m);
}

// Whether there is the address that torch calls the tensor's, and what it says of it is what the table has said. A C++
// tensor is no more than this address, and what holds for one object holds for all of its type.
bool Reader::is_seen(PyObject* tensor, const Memory& by_table) const {
  if (!table_ || !describe_ || Py_TYPE(tensor)->tp_basicsize < kLeastSize) return false;
  const py::int_ there(*reinterpret_cast<const std::uintptr_t*>(tensor_in(tensor)));
  Memory m;
  return there.equal(py::getattr(py::handle(tensor), "_cdata", py::none())) && directly(tensor, m) && m == by_table;
}

bool Reader::by_methods(PyObject* object, Memory& m) {
  const py::handle tensor(object);
  const auto said = [&](const py::handle& what) { return std::string(py::str(what)); };
  const std::string dtype = said(tensor.attr("dtype"));
  if ((dtype != "torch.float32" && dtype != "torch.float64") || said(tensor.attr("device").attr("type")) != "cpu" ||
      said(tensor.attr("layout")) != "torch.strided")
    return false;
  const auto keep = [&](const py::handle& numbers) {
    kept_.push_back(numbers.cast<std::vector<std::int64_t>>());
    return kept_.back().data();
  };
  m.data = reinterpret_cast<void*>(tensor.attr("data_ptr")().cast<std::uintptr_t>());
  m.itemsize = dtype == "torch.float32" ? 4 : 8;
  m.shape = keep(tensor.attr("shape"));
  m.ndim = static_cast<int>(kept_.back().size());
  m.strides = keep(tensor.attr("stride")());
  return true;
}

}  // namespace schuss::bind
