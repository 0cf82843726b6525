#include "arrays.hpp"

#include <stdexcept>

namespace realtts {

namespace {

Type type_of(nb::dlpack::dtype dtype) {
  auto is = [&](nb::dlpack::dtype_code code, int bits) {
    return dtype.code == uint8_t(code) && dtype.bits == bits && dtype.lanes == 1;
  };
  using Code = nb::dlpack::dtype_code;
  if (is(Code::Float, 32)) return Type::f32;
  if (is(Code::Float, 16)) return Type::f16;
  if (is(Code::Bfloat, 16)) return Type::bf16;
  if (is(Code::Int, 64)) return Type::i64;
  if (is(Code::Bool, 8)) return Type::boolean;
  if (is(Code::UInt, 8)) return Type::u8;
  return Type::other;
}

std::string described(nb::dlpack::dtype dtype) {
  static const char* const names[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  std::string name = dtype.code < 7 ? names[dtype.code] : "type " + std::to_string(dtype.code) + " of bits ";
  return dtype.code == 6 ? name : name + std::to_string(dtype.bits);
}

template <class Import>
Array filled(const Import& import, nb::object owner, bool writable) {
  Array array;
  array.data = const_cast<void*>(static_cast<const void*>(import.data()));
  array.type = type_of(import.dtype());
  array.type_name = array.type == Type::other ? described(import.dtype()) : name_of(array.type);
  for (size_t d = 0; d < import.ndim(); d++) {
    array.shape.push_back(int64_t(import.shape(d)));
    array.strides.push_back(import.stride(d));
  }
  array.writable = writable;
  array.owner = std::move(owner);
  return array;
}

}  // namespace

const char* name_of(Type type) {
  switch (type) {
    case Type::f32: return "float32";
    case Type::f16: return "float16";
    case Type::bf16: return "bfloat16";
    case Type::i64: return "int64";
    case Type::boolean: return "bool";
    case Type::u8: return "uint8";
    default: return "another type";
  }
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t d = 0; d < shape.size(); d++) {
    text += (d ? ", " : "") + (shape[d] < 0 ? std::string("any") : std::to_string(shape[d]));
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

Array Array::of(nb::handle object, const char* name, bool written) {
  if (Buffer* buffer; nb::try_cast<Buffer*>(object, buffer) && buffer) {
    if (written && !buffer->array.writable) {
      throw std::invalid_argument(std::string(name) + " is read-only: give an array that can be written");
    }
    return buffer->array;
  }
  nb::ndarray<nb::device::cpu> array;
  if (nb::try_cast(object, array)) return filled(array, nb::borrow(object), true);
  nb::ndarray<nb::ro, nb::device::cpu> constant;
  if (nb::try_cast(object, constant)) {
    if (written) throw std::invalid_argument(std::string(name) + " is read-only: give an array that can be written");
    return filled(constant, nb::borrow(object), false);
  }
  std::string kind = nb::cast<std::string>(nb::str(object.type().attr("__name__")));
  throw std::invalid_argument(std::string(name) + " is a " + kind + ": give an array on the CPU, without a gradient");
}

const Array& Array::expect(const char* name, std::initializer_list<Type> types, std::initializer_list<int64_t> wanted,
                           int dense) const {
  bool known = false;
  std::string listed;
  for (Type one : types) known |= one == type, listed += (listed.empty() ? "" : " or ") + std::string(name_of(one));
  if (!known) throw std::invalid_argument(std::string(name) + " is " + type_name + ": give " + listed);
  bool fits = wanted.size() == shape.size();
  for (size_t d = 0; fits && d < shape.size(); d++) fits = wanted.begin()[d] < 0 || wanted.begin()[d] == shape[d];
  if (!fits) {
    throw std::invalid_argument(std::string(name) + " has the shape " + shape_text(shape) + ": give " +
                                shape_text(wanted));
  }
  for (int64_t size : shape) {
    if (size == 0) return *this;  // there is nothing that could lie anywhere
  }
  int64_t stride = 1;
  for (int d = dims() - 1; dense >= 0 && d >= dense; d--) {
    if (shape[size_t(d)] > 1 && strides[size_t(d)] != stride) {
      throw std::invalid_argument(std::string(name) + " has gaps in memory: give a contiguous array");
    }
    stride *= shape[size_t(d)];
  }
  for (int d = 0; d < dims(); d++) {
    if (shape[size_t(d)] > 1 && strides[size_t(d)] < 0) {
      throw std::invalid_argument(std::string(name) + " runs backwards in memory: give a contiguous array");
    }
  }
  return *this;
}

std::vector<float> Array::floats() const {
  std::vector<float> values;
  for (int64_t i = 0; i < shape[0]; i++) values.push_back(as<float>()[i * strides[0]]);
  return values;
}

void bind_arrays(nb::module_& m) {
  nb::class_<Buffer>(m, "Buffer", "A checked handle on an array, made once and given often.")
      .def("__init__",
           [](Buffer* self, nb::object array) { new (self) Buffer{Array::of(array, "array")}; },
           nb::arg("array"))
      .def_prop_ro("shape", [](const Buffer& self) { return nb::tuple(nb::cast(self.array.shape)); })
      .def_prop_ro("dtype", [](const Buffer& self) { return self.array.type_name; });
}

}  // namespace realtts
