// Arrays of Python: of numpy, torch or anything with DLPack or the buffer protocol.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <initializer_list>
#include <string>

#include "common.hpp"
#include "pool.hpp"

namespace realtts {

namespace nb = nanobind;

enum class Type { f32, f16, bf16, i64, boolean, u8, other };
const char* name_of(Type type);

// An array on the host, kept alive. Strides are in elements.
class Array {
 public:
  // Throws std::invalid_argument, naming the argument, where it is no array on the host.
  static Array of(nb::handle object, const char* name, bool written = false);

  void* data = nullptr;
  Type type = Type::other;
  std::vector<int64_t> shape, strides;
  bool writable = true;
  std::string type_name;

  int dims() const { return int(shape.size()); }
  // Throw where the type is none of these, the shape is another (-1: any), or a dimension behind `dense` has gaps.
  const Array& expect(const char* name, std::initializer_list<Type> types, std::initializer_list<int64_t> wanted,
                      int dense = -1) const;
  Real real() const { return type == Type::f32 ? Real::f32 : type == Type::f16 ? Real::f16 : Real::bf16; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  std::vector<float> floats() const;  // of one dimension

  nb::object owner;
};

// A handle that Python makes once and gives often.
struct Buffer {
  Array array;
};

std::string shape_text(const std::vector<int64_t>& shape);

// The pool that was given, or the shared one.
inline Pool& pool_of(Pool* pool) { return pool ? *pool : Pool::shared(); }

void bind_arrays(nb::module_& m);
void bind_products(nb::module_& m);
void bind_step(nb::module_& m);
void bind_flow(nb::module_& m);
void bind_sampler(nb::module_& m);
void bind_codes(nb::module_& m);

}  // namespace realtts
