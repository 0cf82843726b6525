// One step of a whole decoder.
#pragma once
#include <memory>
#include <vector>

#include "weight.hpp"

namespace realtts {

using Floats = std::vector<float>;

// Norms without values are not there.
struct LayerParts {
  Floats input_norm, input_norm_bias, q_norm, k_norm, mlp_norm, mlp_norm_bias;
  std::shared_ptr<const Weight> qkv, out, gate_up, down;
};

// The tensors of a cache, whose shapes were checked. Strides in elements.
struct CacheView {
  void* kv = nullptr;
  Real real = Real::f16;
  int layers = 0, rows = 0, kv_heads = 0, cap = 0, head_dim = 0;
  ptrdiff_t layer_stride = 0, part_stride = 0, row_stride = 0, head_stride = 0, slot_stride = 0;
  int64_t* slots = nullptr;
  int64_t* positions = nullptr;
  bool* active = nullptr;
  uint8_t* valid = nullptr;
  int64_t* rotations = nullptr;
  ptrdiff_t slots_stride = 1, positions_stride = 1, active_stride = 1, valid_stride = 0, rotations_stride = 0;
};

struct Tap {
  int layer, head;
};

struct TapsView {
  std::vector<Tap> heads;
  float* out = nullptr;  // (pairs, rows, cap)
  ptrdiff_t pair_stride = 0, row_stride = 0;
  int rows = 0, cap = 0;
};

// What a step is given beside the decoder and the cache.
struct StepArguments {
  const float* x = nullptr;
  ptrdiff_t x_stride = 0;
  float* out = nullptr;
  ptrdiff_t out_stride = 0;
  float* logits = nullptr;
  ptrdiff_t logits_stride = 0;
  std::vector<int> rows;
  std::vector<int> attended;  // of each; empty: as far as there are keys
  const Weight* head = nullptr;  // for the logits; null: the decoder's own
  const TapsView* taps = nullptr;
};

class Decoder {
 public:
  std::vector<LayerParts> layers;
  Floats final_norm, final_norm_bias;
  Floats cos, sin;  // (positions, head_dim), or empty
  std::shared_ptr<const Weight> head;
  int hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, mlp = 0, positions = 0;
  float eps = 0;
  bool gated = true;

  // Check that everything fits; throws std::invalid_argument, and so do the others.
  void check() const;
  size_t read_bytes() const;
  void check(const CacheView& cache, const StepArguments& arguments) const;
  void run(const CacheView& cache, const StepArguments& arguments, Pool& pool) const;
};

}  // namespace realtts
