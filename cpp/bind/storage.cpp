// Arrays that are stored in fewer bits than they are computed with, written and read by themselves.
#include "schuss/storage.hpp"

#include "bind/bind.hpp"
#include "bind/views.hpp"

namespace schuss::bind {

namespace {

// An array of float32 or float64 that is stored as `to`, which has `scales` if its values are codes of 8 bits.
struct Pair {
  View values;
  Stored stored;

  Pair(const py::handle& object, const py::handle& to, const py::handle& scales, bool positive, bool writes)
      : values(view(object, writes ? Access::read : Access::write, Name("values"))) {
    const Access access = writes ? Access::write : Access::read;
    const View other =
        view(to, access, Name("stored"), {Format::f32, Format::f64, Format::bf16, Format::f16, Format::u8});
    require_same_shape(other, values);
    stored = {other.data(), other.format, positive, nullptr};
    if (other.format != Format::u8) return;
    const View of = view(scales, access, Name("scales"), Format::f32);
    require_shape(of, {(values.size() + storage::kScaled - 1) / storage::kScaled}, of);
    stored.scales = static_cast<float*>(of.data());
  }
};

void encode_array(const py::handle& object, const py::handle& to, const py::handle& scales, bool positive) {
  const Pair pair(object, to, scales, positive, true);
  with_format(pair.values.format, [&]<class T>(T) {
    encode(static_cast<const T*>(pair.values.data()), pair.stored, 0, pair.values.size(), {});
  });
}

void decode_array(const py::handle& from, const py::handle& scales, bool positive, const py::handle& to) {
  const Pair pair(to, from, scales, positive, false);
  with_format(pair.values.format,
              [&]<class T>(T) { decode(pair.stored, 0, pair.values.size(), static_cast<T*>(pair.values.data())); });
}

}  // namespace

void register_storage(py::module_& module) {
  module.def("encode", &encode_array, py::arg("values"), py::arg("stored"), py::arg("scales"), py::arg("positive"),
             "Stores values in the format of `stored`, rounded to the nearest.");
  module.def("decode", &decode_array, py::arg("stored"), py::arg("scales"), py::arg("positive"), py::arg("values"),
             "Reads the values that are stored so.");
}

}  // namespace schuss::bind
