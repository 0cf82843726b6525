// Products with 8-bit weights and activations, and attention, for networks that compute many rows at once.
//
// Plain data only: kernels are compiled for instructions that the rest of the library must not use, so nothing of the
// standard library that the linker may share lies in their files.
#pragma once

#include <cstdint>

namespace realtts::flow {

constexpr int64_t COLUMNS = 32;    // outputs of a tile; weights are padded to a multiple
constexpr int64_t DEPTH = 64;      // inputs are padded to a multiple
constexpr int64_t TILE_ROWS = 12;   // rows of a tile: 24 accumulators of 32 registers
constexpr int64_t PANEL_ROWS = 48;  // rows that a thread takes at once; what lies between stages stays in its cache
constexpr int64_t MOST_INPUTS = 65536;  // 255 * 127 * 65536 still fits into 32 bits
constexpr int64_t MOST_WIDTH = 128;     // of an attention head: sums of products of 12-bit numbers fit into 32 bits

enum class Type : int { float32, bfloat16 };
enum class Activation : int { none, gelu, gelu_tanh, silu, mish };

// A weight (outputs, inputs), one scale for each output: values[width / 32][depth / 4][32][4].
struct Weights {
  int64_t inputs, outputs;  // true sizes
  int64_t depth, width;     // padded
  int64_t block;            // inputs that are mixed by a Hadamard matrix before they are rounded; 1: none
  const int8_t* values;
  const float* scales;     // (width)
  const float* bias;       // (width)
  const int32_t* offsets;  // (width): -128 times the sum of an output's values, for activations are stored plus 128
};

struct Norm {
  const float* weight;  // null: no norm
  const float* bias;
  float eps;
};

// What follows a product, in this order; null: nothing.
struct Stage {
  const Weights* weights;
  Norm norm;
  Activation activation;
  const float* shift;  // added
  const float* gate;   // multiplied
};

// One product, or two of which the first stays in cache.
struct Product {
  const void* x;
  Type x_type;
  int64_t rows, stride;  // elements from row to row; a row may reach back before its own begin, see `window`
  int64_t window;        // rows of x that a row of inputs has, its own the last; before the first there are zeros
  Norm norm;             // of the inputs; with a window of 1 alone
  int stages;
  Stage stage[2];
  void* out;
  Type out_type;
  int64_t out_stride;
  bool add;  // to what lies in out, rather than in its place
};

// Mix and round one output's weights, row (inputs), which is changed, into the places that `weights` is given by; false
// where one of them is not finite.
bool pack_row(float* row, const Weights& weights, int64_t output, int8_t* values, float* scales, int32_t* offsets);

int64_t product_scratch(const Product& product);  // bytes for one thread
void product_rows(const Product& product, int64_t begin, int64_t end, void* scratch);

// Rows of heads; elements from row to row and from head to head.
struct Heads {
  const void* x;
  Type type;
  int64_t row, head;
};

// Attention of all rows of a sequence to each other: means of values weighted by 2 ** (scale * q . k).
struct Attention {
  Heads q, k, v;
  int64_t heads, width;
  float scale;
  bool exact;            // float32 products; else of 12-bit integers, one scale for each row and head
  const float* cosines;  // (positions, width / 2), or null: no rotation
  const float* sines;
  int64_t rotated;      // heads, from the first, that are rotated: channel c against channel c + width / 2
  const uint8_t* keys;  // (length), or null: which rows may be looked at
  void* out;
  Type out_type;
  int64_t out_stride;
};

int64_t attention_scratch(const Attention& attention, int64_t longest);
// Queries [first, last) of one head of a sequence of `length` rows.
void attention_rows(const Attention& attention, int64_t length, int64_t head, int64_t first, int64_t last,
                    void* scratch);
constexpr int64_t QUERY_ROWS = 24;  // attention_rows is best called for multiples

}  // namespace realtts::flow
