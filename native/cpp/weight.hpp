// Packed matrices, and products with them.
#pragma once
#include <memory>
#include <string>

#include "common.hpp"
#include "memory.hpp"
#include "pool.hpp"

namespace realtts {

constexpr uint32_t LAYOUT = 1;
constexpr int ROW_TILE = 96;  // rows that are multiplied while a panel is in the cache

// A matrix as it lies in memory elsewhere: the last dimension is dense.
struct Source {
  const void* data = nullptr;
  Real real = Real::f32;
  int out = 0, in = 0;
  ptrdiff_t stride = 0;  // elements between rows
};

Kind kind_of(const std::string& name);  // throws std::invalid_argument
const char* name_of(Kind kind);

// One block of memory: a header, biases, scales and panels. It is what `dump` writes.
class Weight {
 public:
  // Throws std::invalid_argument where a value is not finite or does not fit, std::runtime_error where nothing can run.
  static std::shared_ptr<const Weight> pack(const Source& source, Kind kind, int parts, const float* bias, Pool& pool);
  // Take a dump, at a multiple of 64 bytes, that `owner` keeps. Throws std::invalid_argument where it is none.
  static std::shared_ptr<const Weight> load(const uint8_t* data, size_t available, std::shared_ptr<void> owner);
  // Copy a dump to memory of its own.
  static std::shared_ptr<const Weight> copy(const uint8_t* data, size_t available);

  const Matrix& matrix() const { return matrix_; }
  const uint8_t* bytes() const { return bytes_; }
  size_t size() const { return size_; }
  size_t read_bytes() const;
  // Write what it stands for, (outputs, in).
  void dequantize(float* out) const;
  // Multiply rows, each dense.
  void run(const float* x, ptrdiff_t x_stride, int rows, float* out, ptrdiff_t out_stride, Pool& pool) const;

 private:
  Weight(const uint8_t* bytes, size_t size, std::shared_ptr<void> owner);
  Matrix matrix_;
  const uint8_t* bytes_;
  size_t size_;
  std::shared_ptr<void> owner_;
};

// Inputs of a product in scratch memory.
class Inputs {
 public:
  Inputs() = default;
  Inputs(const Matrix& matrix, int rows, Layout& layout);
  const Activations& activations() const { return view_; }
  Activations from(int row) const;
  // Write some inputs of a row. `begin` is a multiple of the group; what is beyond n, up to the group's end, is zero.
  void write(const Kernels& kernels, int row, int begin, const float* x, int n, int padded) const;

 private:
  Kind kind_ = Kind::int8;
  Activations view_;
};

// How the panels of a matrix are shared out.
struct Share {
  int items = 0, panels = 1;  // panels of an item
  static Share of(const Matrix& matrix, int threads);
};

}  // namespace realtts
