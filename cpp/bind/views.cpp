#include "bind/views.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

namespace schuss::bind {

namespace {

[[noreturn]] void type_error(const Name& name, const std::string& what) { throw py::type_error(name.str() + what); }
[[noreturn]] void value_error(const Name& name, const std::string& what) { throw py::value_error(name.str() + what); }

std::string text(const py::handle& object) { return py::str(object); }
std::string dtype_of(const py::array& array) { return text(array.dtype()); }
std::string shape_of(const py::array& array) { return text(array.attr("shape")); }

constexpr int kHalf = 23;  // NumPy's number of float16

std::string kind_of(const py::handle& object) { return text(py::type::of(object).attr("__name__")); }

// The format of a NumPy array, if it has one; ml_dtypes gives NumPy a bfloat16 by that name.
std::optional<Format> format_of(const py::dtype& dtype) {
  using api = py::detail::npy_api;
  const int number = dtype.num();
  if (number == api::NPY_FLOAT_ || number == api::NPY_DOUBLE_ || number == kHalf || number == api::NPY_USHORT_) {
    if (dtype.byteorder() != '=') return {};
    return number == api::NPY_FLOAT_    ? Format::f32
           : number == api::NPY_DOUBLE_ ? Format::f64
           : number == kHalf            ? Format::f16
                                        : Format::bf16;
  }
  if (number == api::NPY_UBYTE_) return Format::u8;
  return text(dtype.attr("name")) == "bfloat16" ? std::optional(Format::bf16) : std::nullopt;
}

std::string names_of(Formats formats) {
  static constexpr const char* names[] = {"float32", "float64", "bfloat16", "float16", "uint8"};
  std::vector<const char*> found;
  for (int f = 0; f < 5; ++f)
    if (formats.has(static_cast<Format>(f))) found.push_back(names[f]);
  std::string list = found[0];
  for (std::size_t i = 1; i < found.size(); ++i) list += (i + 1 < found.size() ? ", " : " or ") + std::string(found[i]);
  return list;
}

[[noreturn]] void wrong_dtype(const Name& name, const std::string& dtype, Formats formats) {
  type_error(name, " has dtype " + dtype + ", expected " + names_of(formats));
}

// torch's own conversion, because it knows what may not be taken as plain memory; a tensor that carries a gradient is
// detached first, which shares its memory.
py::object exported(const py::handle& object, bool bf16) {
  if (py::hasattr(object, "detach") && py::hasattr(object, "numpy")) {
    const py::object tensor = object.attr("detach")();
    return (bf16 ? tensor.attr("view")(py::module_::import("torch").attr("int16")) : tensor).attr("numpy")();
  }
  const py::object from_dlpack = py::module_::import("numpy").attr("from_dlpack");
  try {
    return from_dlpack(object, py::arg("copy") = false);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    return from_dlpack(object);  // an exporter that is older than the keywords
  }
}

struct Found {
  py::array array;
  Format format;
};

Found array_of(const py::handle& object, const Name& name, Formats formats) {
  if (py::isinstance<py::array>(object)) {
    if (std::strcmp(Py_TYPE(object.ptr())->tp_name, "numpy.ndarray") != 0 && py::hasattr(object, "mask"))
      type_error(name, " is a masked array, expected one without a mask");
    const auto array = py::reinterpret_borrow<py::array>(object);
    const std::optional<Format> format = format_of(array.dtype());
    // The bits of bfloat16 as integers are for states, which may be codes of 8 bits as well.
    const bool bits = array.dtype().num() == py::detail::npy_api::NPY_USHORT_ && !formats.has(Format::u8);
    if (!format || !formats.has(*format) || bits) wrong_dtype(name, dtype_of(array), formats);
    return {array, *format};
  }
  if (!py::hasattr(object, "__dlpack__"))
    type_error(name, " is " + kind_of(object) +
                         ", expected a NumPy array, a torch CPU tensor or another array with __dlpack__");
  std::optional<Format> format;
  if (py::hasattr(object, "dtype")) {
    const std::string dtype = text(object.attr("dtype"));
    format = dtype.ends_with("bfloat16")  ? Format::bf16
             : dtype.ends_with("float16") ? Format::f16
             : dtype.ends_with("float32") ? Format::f32
             : dtype.ends_with("float64") ? std::optional(Format::f64)
                                          : std::nullopt;
    if (!format || !formats.has(*format)) wrong_dtype(name, dtype, formats);
  }
  try {
    py::array array = exported(object, format == Format::bf16);
    if (!format) format = format_of(array.dtype());
    if (format && formats.has(*format)) return {array, *format};
    wrong_dtype(name, dtype_of(array), formats);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;  // an interrupt
    value_error(name, " (" + kind_of(object) + ") does not give access to its memory: " + text(error.value()));
  }
}

}  // namespace

View view(const py::handle& object, Access access, const Name& name, Formats formats) {
  auto [array, format] = array_of(object, name, formats);
  using api = py::detail::npy_api;
  const int flags = array.flags();
  if (!(flags & api::NPY_ARRAY_C_CONTIGUOUS_))
    value_error(name, " has shape " + shape_of(array) + " and strides " + text(array.attr("strides")) +
                          ", expected a C-contiguous array");
  if (!(flags & api::NPY_ARRAY_ALIGNED_)) value_error(name, " is not aligned in memory, expected an aligned array");
  if (access == Access::write && !(flags & api::NPY_ARRAY_WRITEABLE_))
    value_error(name, " is read-only, expected a writable array: it is updated in place");
  return {std::move(array), access, name, format};
}

void require_channels(const View& array, Format format, const View& data, py::ssize_t axis) {
  if (array.format != format)
    type_error(array.name, " has dtype " + dtype_of(array.array) + ", expected " +
                               (format == Format::f32 ? "float32" : "float64") + ", " + data.name.str() + " has " +
                               dtype_of(data.array));
  const std::string channels = std::to_string(data.array.shape(axis));
  if (array.array.ndim() != 1 || array.array.shape(0) != data.array.shape(axis))
    value_error(array.name, " has shape " + shape_of(array.array) + ", expected (" + channels +
                                ",): " + data.name.str() + " of shape " + shape_of(data.array) + " has " + channels +
                                " channels on axis " + std::to_string(axis));
}

View view_of(const py::handle& object, const char* name, Access access, Index dimensions) {
  View found = view(object, access, Name(name));
  if (found.array.ndim() != dimensions)
    value_error(found.name, " has shape " + shape_of(found.array) + ", expected " + std::to_string(dimensions) +
                                " dimension" + (dimensions == 1 ? "" : "s"));
  return found;
}

void require_shape(const View& array, const std::vector<Index>& shape, const View& like) {
  if (array.format != like.format)
    type_error(array.name,
               " has dtype " + dtype_of(array.array) + ", expected that of the others, " + dtype_of(like.array));
  if (!std::equal(shape.begin(), shape.end(), array.array.shape(), array.array.shape() + array.array.ndim()))
    value_error(array.name, " has shape " + shape_of(array.array) + ", expected " + text(py::tuple(py::cast(shape))));
}

void require_same_shape(const View& array, const View& like) {
  if (!std::equal(array.array.shape(), array.array.shape() + array.array.ndim(), like.array.shape(),
                  like.array.shape() + like.array.ndim()))
    value_error(array.name, " has shape " + shape_of(array.array) + ", expected " + shape_of(like.array) + " like " +
                                like.name.str());
}

void require_like(const View& array, const View& like) {
  if (array.format != like.format)
    type_error(array.name, " has dtype " + dtype_of(array.array) + ", expected " + dtype_of(like.array) + " like " +
                               like.name.str());
  require_same_shape(array, like);
}

void require_disjoint(const std::vector<View>& views) {
  struct Extent {
    std::uintptr_t begin, end;
    const View* view;
  };
  std::vector<Extent> extents;
  extents.reserve(views.size());
  for (const View& v : views) {
    const auto begin = reinterpret_cast<std::uintptr_t>(v.data());
    if (v.size() > 0) extents.push_back({begin, begin + v.array.nbytes(), &v});
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });

  // Of all arrays so far, the one that reaches furthest; and of those that are written.
  const Extent* any = nullptr;
  const Extent* written = nullptr;
  for (const Extent& extent : extents) {
    const bool writes = extent.view->access == Access::write;
    const Extent* reach = writes ? any : written;
    if (reach && extent.begin < reach->end) {
      const View *later = std::max(extent.view, reach->view), *earlier = std::min(extent.view, reach->view);
      value_error(later->name, " overlaps " + earlier->name.str() + " in memory, expected an array of its own");
    }
    if (!any || extent.end > any->end) any = &extent;
    if (writes && (!written || extent.end > written->end)) written = &extent;
  }
}

}  // namespace schuss::bind
