#include "bind/views.hpp"

#include <algorithm>
#include <cstdint>

namespace schuss::bind {

namespace {

[[noreturn]] void type_error(const Name& name, const std::string& what) { throw py::type_error(name.str() + what); }
[[noreturn]] void value_error(const Name& name, const std::string& what) { throw py::value_error(name.str() + what); }

std::string text(const py::handle& object) { return py::str(object); }
std::string dtype_of(const py::array& array) { return text(array.dtype()); }
std::string shape_of(const py::array& array) { return text(array.attr("shape")); }

// Tensors that carry a gradient refuse to be exported; their detached alias shares the memory.
py::array from_dlpack(const py::handle& object, Access access, const Name& name) {
  if (!py::hasattr(object, "__dlpack__"))
    type_error(name, " is " + std::string(py::str(py::type::of(object).attr("__name__"))) +
                         ", expected a NumPy array, a torch CPU tensor or another array with __dlpack__");
  try {
    const py::object plain =
        py::hasattr(object, "detach") ? object.attr("detach")() : py::reinterpret_borrow<py::object>(object);
    return py::module_::import("numpy").attr("from_dlpack")(plain, py::arg("copy") = false);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;  // an interrupt
    const std::string why = text(error.value());
    if (access == Access::write) value_error(name, " cannot be written in place: " + why);
    type_error(name, " cannot be read as an array: " + why);
  }
}

bool is_format(const py::dtype& dtype) {
  return (dtype.num() == py::detail::npy_api::NPY_FLOAT_ || dtype.num() == py::detail::npy_api::NPY_DOUBLE_) &&
         dtype.byteorder() == '=';
}

}  // namespace

Format View::format() const { return array.itemsize() == 4 ? Format::f32 : Format::f64; }

View view(const py::handle& object, Access access, const Name& name) {
  py::array array =
      py::isinstance<py::array>(object) ? py::reinterpret_borrow<py::array>(object) : from_dlpack(object, access, name);
  using api = py::detail::npy_api;
  if (!is_format(array.dtype())) type_error(name, " has dtype " + dtype_of(array) + ", expected float32 or float64");
  const int flags = array.flags();
  if (!(flags & api::NPY_ARRAY_C_CONTIGUOUS_))
    value_error(name, " has shape " + shape_of(array) + " and strides " + text(array.attr("strides")) +
                          ", expected a C-contiguous array");
  if (!(flags & api::NPY_ARRAY_ALIGNED_)) value_error(name, " is not aligned in memory, expected an aligned array");
  if (access == Access::write && !(flags & api::NPY_ARRAY_WRITEABLE_))
    value_error(name, " is read-only, expected a writable array: it is updated in place");
  return {std::move(array), access, name};
}

void require_like(const View& array, const View& like) {
  if (array.format() != like.format())
    type_error(array.name, " has dtype " + dtype_of(array.array) + ", expected " + dtype_of(like.array) + " like " +
                               like.name.str());
  if (!std::equal(array.array.shape(), array.array.shape() + array.array.ndim(), like.array.shape(),
                  like.array.shape() + like.array.ndim()))
    value_error(array.name, " has shape " + shape_of(array.array) + ", expected " + shape_of(like.array) + " like " +
                                like.name.str());
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
