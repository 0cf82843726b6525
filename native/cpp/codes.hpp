// A decoder that draws the codes of a frame one by one, each from those before it, with heads and embeddings of its own.
#pragma once
#include <memory>
#include <vector>

#include "sampler.hpp"
#include "step.hpp"

namespace realtts {

// Rows of numbers, each dense.
struct Table {
  const void* data = nullptr;
  Real real = Real::f32;
  int64_t rows = 0;
  ptrdiff_t stride = 0;  // elements between rows

  const void* row(int64_t row) const {
    return static_cast<const char*>(data) + row * stride * ptrdiff_t(real_bytes(real));
  }
};

// A frame of some rows.
struct Frame {
  int rows = 0;
  const float* hidden = nullptr;  // (rows, width)
  ptrdiff_t hidden_stride = 0;
  int64_t* codes = nullptr;  // (rows, groups): the first ones are given
  float* embedded = nullptr;  // (rows, groups, width)
  std::vector<RowParameters> drawn_with;  // of each row, but for logits and noise
  const float* noise = nullptr;           // (groups - 1, rows, codes), or null: all rows are greedy
  ptrdiff_t noise_group_stride = 0, noise_stride = 0;
  std::vector<uint8_t> broken;  // of each row, set by the run
};

class CodePredictor {
 public:
  const Decoder* decoder = nullptr;
  std::vector<std::shared_ptr<const Weight>> heads;
  std::shared_ptr<const Weight> projection;  // from the width of what is embedded to the decoder's; null: they are equal
  const Sampler* sampler = nullptr;
  int width = 0;
  Table first;                // of the codes that are given
  std::vector<Table> others;  // of the others

  int groups() const { return int(heads.size()) + 1; }
  // Throws std::invalid_argument, and so does `run`.
  void check() const;
  // Empty the cache, whose rows are the frame's, and draw.
  void run(const CacheView& cache, Frame& frame, Pool& pool) const;

 private:
  void embed(const Table& table, int64_t code, float* out) const;
  void draw(const float* logits, int group, Frame& frame, Pool& pool) const;
};

}  // namespace realtts
