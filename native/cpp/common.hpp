// Types that the kernels and their callers share. No Python, no allocation, nothing of the standard library's templates:
// the files of the instruction sets include it, and what they instantiate must not be linked into the rest.
#pragma once
#include <cstddef>
#include <cstdint>

namespace realtts {

enum class Kind : uint32_t { int8 = 1, int4 = 2, bf16 = 3 };
enum class Real : uint32_t { f32 = 0, f16 = 1, bf16 = 2 };
enum class Store { set, add };

constexpr int LANES = 16;        // floats that all code computes side by side, on every instruction set
constexpr int PANEL = 32;        // outputs whose weights lie side by side
constexpr int INPUT_BLOCK = 64;  // inputs are padded to a multiple of it

// Inputs that share a scale of the activations (and of the weights, for int4).
constexpr int group_of(Kind kind) { return kind == Kind::int4 ? 32 : 64; }
// What a stored weight is above its value: weights are unsigned, activations signed.
constexpr int offset_of(Kind kind) { return kind == Kind::int4 ? 8 : 128; }
constexpr int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }
constexpr size_t real_bytes(Real real) { return real == Real::f32 ? 4 : 2; }

// A packed matrix. Panels of the parts alternate: panel p has outputs of part p % parts.
// int8: panel[input / 4][32 outputs][4], unsigned above 128, one scale per output beside it.
// int4: panel[group][2 x 16 outputs][4][16][4], low nibble: input 4 j + i, high: 16 more; then 32 scales in float16.
// bf16: panel[input / 2][32 outputs][2].
struct Matrix {
  Kind kind = Kind::int8;
  int parts = 1;
  int out = 0;     // outputs of a part
  int in = 0;
  int padded = 0;  // inputs, padded
  int panels = 0;  // of all parts
  size_t panel_bytes = 0;
  const uint8_t* data = nullptr;
  const float* scale = nullptr;  // int8: of each panel 32
  const float* bias = nullptr;   // of each panel 32

  int outputs() const { return parts * out; }
  int column(int panel) const { return panel % parts * out + panel / parts * PANEL; }
  int width(int panel) const {
    int left = out - panel / parts * PANEL;
    return left < PANEL ? left : PANEL;
  }
};

// The inputs of a product: rounded for the quantized kinds, as they are for bf16.
struct Activations {
  const int8_t* q = nullptr;
  const float* scale = nullptr;   // of each group
  const int32_t* zero = nullptr;  // of each group: minus the offset of the weights times the sum of q
  const float* x = nullptr;
  size_t q_stride = 0, group_stride = 0, x_stride = 0;
};

// Attention of the query heads that share one key head, in one row. Those of several positions of it may stand side by
// side: then each says how far it looks.
struct Attention {
  const float* q = nullptr;  // (group, stride), rotated and scaled, zero beyond head_dim
  int q_stride = 0;
  const void* keys = nullptr;
  const void* values = nullptr;
  ptrdiff_t key_stride = 0, value_stride = 0;  // elements between slots
  Real real = Real::f16;
  const uint8_t* valid = nullptr;
  int attended = 0, head_dim = 0, group = 1;
  const int* reaches = nullptr;  // slots that each of the group looks at, at most `attended`; null: all of them
  float* scores = nullptr;  // (group, score_stride): becomes the weights before they are divided by their sum
  size_t score_stride = 0;
  float* inverse = nullptr;  // (group,): one over the sum of the weights
  float* out = nullptr;      // (group, head_dim)

  int reach(int head) const { return reaches ? reaches[head] : attended; }
};

// What is written for each instruction set.
struct Kernels {
  const char* name;
  void (*quantize)(const float* x, int n, int padded, int group, int offset, int8_t* q, float* scale, int32_t* zero);
  // One panel for all rows, to out[row * stride].
  void (*product)(const Matrix& matrix, const Activations& x, int rows, int panel, float* out, size_t stride, Store);
  // RMS norm, or with a bias LayerNorm.
  void (*norm)(const float* x, const float* weight, const float* bias, int n, float eps, float* out);
  void (*gate)(const float* gate, const float* up, int n, float* out);  // silu(gate) * up
  void (*gelu)(const float* x, int n, float* out);
  void (*rotate)(const float* x, const float* cos, const float* sin, int n, float scale, float* out);  // in place, too
  void (*convert)(const float* x, int n, Real real, void* out);
  void (*attend)(const Attention& at);
  // The largest absolute value; not finite if anything is not.
  float (*most)(const float* row, int n);
  // Pack one row of weights: `lane` of the panel at `panel`. int8 returns the scale.
  float (*pack_int8)(const float* row, int in, int padded, float most, uint8_t* panel, int lane, int8_t* scratch);
  void (*pack_int4)(const float* row, int in, int padded, uint8_t* panel, int lane);
  void (*pack_bf16)(const float* row, int in, int padded, uint8_t* panel, int lane);
  void (*widen)(const void* x, Real real, int n, float* out);
  // The softmax of scores that have a finite best one.
  void (*soften)(const float* x, int n, float* out);
  // Read bytes, a multiple of 256, as fast as memory gives them; for measuring it.
  int64_t (*read)(const uint8_t* data, size_t bytes);
};

// Null where they are not built.
extern const Kernels* const avx512_kernels;
extern const Kernels* const avx2_kernels;

}  // namespace realtts
