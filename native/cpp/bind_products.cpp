// Weights and products, as Python sees them.
#include <cstring>
#include <stdexcept>

#include "arrays.hpp"
#include "dispatch.hpp"
#include "weight.hpp"

namespace realtts {

namespace {

using Shared = std::shared_ptr<const Weight>;

// Keeps an object of Python until the last user is gone, whatever thread that is on.
std::shared_ptr<void> keeping(nb::object object) {
  return std::shared_ptr<void>(object.release().ptr(), [](void* pointer) {
    if (!nb::is_alive()) return;
    nb::gil_scoped_acquire gil;
    nb::handle(static_cast<PyObject*>(pointer)).dec_ref();
  });
}

Shared pack(nb::object given, const std::string& kind, std::optional<nb::object> bias, int parts, Pool* pool) {
  Array array = Array::of(given, "array");
  array.expect("array", {Type::f32, Type::f16, Type::bf16}, {-1, -1});
  if (array.shape[0] && array.shape[1] > 1 && array.strides[1] != 1) {
    throw std::invalid_argument("array has gaps within its rows: give a contiguous array");
  }
  if (array.shape[0] > 1 << 24 || array.shape[1] > 1 << 24) {
    throw std::invalid_argument("array has the shape " + shape_text(array.shape) + ": it is too large");
  }
  std::vector<float> biases;
  if (bias && !bias->is_none()) {
    biases = Array::of(*bias, "bias").expect("bias", {Type::f32}, {array.shape[0]}).floats();
  }
  Source source{array.data, array.real(), int(array.shape[0]), int(array.shape[1]), array.strides[0]};
  Kind to = kind_of(kind);
  Pool& threads = pool_of(pool);
  nb::gil_scoped_release free;
  return Weight::pack(source, to, parts, biases.empty() ? nullptr : biases.data(), threads);
}

Shared load(nb::object given, size_t offset, bool copy) {
  nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> bytes;
  nb::object view = given;
  if (!nb::try_cast(given, bytes)) {
    // bytes, mmap and others that are no arrays
    view = nb::module_::import_("numpy").attr("frombuffer")(given, "uint8");
    bytes = nb::cast<decltype(bytes)>(view);
  }
  if (offset > bytes.shape(0)) {
    throw std::invalid_argument("offset is " + std::to_string(offset) + " of " + std::to_string(bytes.shape(0)) +
                                " bytes: give one within the buffer");
  }
  const uint8_t* data = bytes.data() + offset;
  size_t available = bytes.shape(0) - offset;
  if (copy) {
    nb::gil_scoped_release free;
    return Weight::copy(data, available);
  }
  return Weight::load(data, available, keeping(view));
}

nb::object dequantized(const Weight& weight) {
  const Matrix& m = weight.matrix();
  size_t shape[2] = {size_t(m.outputs()), size_t(m.in)};
  auto* values = new float[shape[0] * shape[1]];
  nb::capsule owner(values, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  weight.dequantize(values);
  return nb::cast(nb::ndarray<nb::numpy, float, nb::ndim<2>>(values, 2, shape, owner));
}

void run(const Shared& weight, nb::object given_x, nb::object given_out, Pool* pool) {
  const Matrix& m = weight->matrix();
  Array x = Array::of(given_x, "x"), out = Array::of(given_out, "out", true);
  x.expect("x", {Type::f32}, {-1, m.in}, 1);
  out.expect("out", {Type::f32}, {x.shape[0], m.outputs()}, 1);
  if (x.shape[0] > 1 << 24) throw std::invalid_argument("x has too many rows: give fewer at once");
  if (out.shape[0] > 1 && out.strides[0] < m.outputs()) {
    throw std::invalid_argument("out has rows that overlap: give a contiguous array");
  }
  Pool& threads = pool_of(pool);
  nb::gil_scoped_release free;
  weight->run(x.as<float>(), x.strides[0], int(x.shape[0]), out.as<float>(), out.strides[0], threads);
}

}  // namespace

void bind_products(nb::module_& m) {
  m.attr("LAYOUT") = LAYOUT;
  nb::class_<Weight>(m, "Weight", "A packed matrix (out, in), its bias beside it.")
      .def_static("pack", &pack, nb::arg("array"), nb::arg("kind") = "int8", nb::kw_only(),
                  nb::arg("bias") = nb::none(), nb::arg("parts") = 1, nb::arg("pool").none() = nb::none())
      .def_static("load", &load, nb::arg("buffer"), nb::arg("offset") = 0, nb::kw_only(), nb::arg("copy") = false)
      .def("dump", [](const Weight& self) { return nb::bytes(self.bytes(), self.size()); })
      .def("view",
           [](std::shared_ptr<Weight> self) {
             size_t shape[1] = {self->size()};
             const uint8_t* data = self->bytes();
             nb::capsule owner(new std::shared_ptr<Weight>(std::move(self)),
                               [](void* p) noexcept { delete static_cast<std::shared_ptr<Weight>*>(p); });
             return nb::cast(nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>>(data, 1, shape, owner));
           })
      .def_prop_ro("dump_nbytes", &Weight::size)
      .def_prop_ro("nbytes", &Weight::read_bytes)
      .def_prop_ro("kind", [](const Weight& self) { return name_of(self.matrix().kind); })
      .def_prop_ro("parts", [](const Weight& self) { return self.matrix().parts; })
      .def_prop_ro("out_features", [](const Weight& self) { return self.matrix().outputs(); })
      .def_prop_ro("in_features", [](const Weight& self) { return self.matrix().in; })
      .def("dequantized", &dequantized)
      .def("run",
           [](std::shared_ptr<Weight> self, nb::object x, nb::object out, Pool* pool) {
             run(self, std::move(x), std::move(out), pool);
           },
           nb::arg("x"), nb::arg("out"), nb::kw_only(), nb::arg("pool").none() = nb::none());
}

}  // namespace realtts
