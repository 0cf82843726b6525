// Rows of 8-bit numbers times 8-bit weights: each row is rounded with a scale of its own, so that it depends on no other,
// and sums are integers, so that neither the size of a tile nor the number of threads can be seen in them.
//
// Before a row is rounded, blocks of it are multiplied by a Hadamard matrix, and the weights' columns with them: products
// stay the same, while a few large channels, for which all others would lose their bits, are spread over all of them.
#include "flow_math.hpp"

namespace realtts::flow {

namespace {

inline int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Which of 16 neighbouring inputs change their sign before they are mixed: without that a mean, which all have in common,
// would end up in a single one. Any fixed numbers that look random do.
inline uint32_t flipped(int64_t sixteen) {
  uint64_t x = static_cast<uint64_t>(sixteen + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 32)) * 0xbf58476d1ce4e5b9u;
  return static_cast<uint32_t>(x >> 40) & 0xffff;
}

// Flip signs, then replace each block of x by its product with the Hadamard matrix of that size (a power of 2 from 16, or
// 1: nothing).
void mix(float* x, int64_t n, int64_t block) {
  if (block < 16) return;
  const __m512i by8 = _mm512_set_epi32(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
  for (int64_t begin = 0; begin < n; begin += block) {
    float* part = x + begin;
    for (int64_t i = 0; i < block; i += 16) {  // within 16 lanes: partners 1, 2, 4 and 8 lanes away
      __m512 v = _mm512_loadu_ps(part + i);
      v = _mm512_mask_sub_ps(v, static_cast<__mmask16>(flipped(i / 16)), _mm512_setzero_ps(), v);
      v = _mm512_mask_sub_ps(_mm512_add_ps(_mm512_permute_ps(v, 0xb1), v), 0xaaaa, _mm512_permute_ps(v, 0xb1), v);
      v = _mm512_mask_sub_ps(_mm512_add_ps(_mm512_permute_ps(v, 0x4e), v), 0xcccc, _mm512_permute_ps(v, 0x4e), v);
      __m512 other = _mm512_shuffle_f32x4(v, v, 0xb1);
      v = _mm512_mask_sub_ps(_mm512_add_ps(other, v), 0xf0f0, other, v);
      other = _mm512_permutexvar_ps(by8, v);
      v = _mm512_mask_sub_ps(_mm512_add_ps(other, v), 0xff00, other, v);
      _mm512_storeu_ps(part + i, v);
    }
    for (int64_t half = 16; half < block; half *= 2) {
      for (int64_t pair = 0; pair < block; pair += 2 * half) {
        for (int64_t i = pair; i < pair + half; i += 16) {
          const __m512 a = _mm512_loadu_ps(part + i), b = _mm512_loadu_ps(part + i + half);
          _mm512_storeu_ps(part + i, _mm512_add_ps(a, b));
          _mm512_storeu_ps(part + i + half, _mm512_sub_ps(a, b));
        }
      }
    }
  }
}

// Round a row to integers of -127 to 127, stored plus 128; return the scale.
float round_row(const float* x, int64_t n, uint8_t* out) {
  float most = largest(x, n);
  if (most < 1e-30f) most = 1e-30f;
  const __m512 factor = _mm512_set1_ps(127.0f / most);
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_maskz_loadu_ps(lanes(n - i), x + i);
    const __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(v, factor)), _mm512_set1_epi32(128));
    _mm_mask_storeu_epi8(out + i, lanes(n - i), _mm512_cvtepi32_epi8(q));
  }
  return most / 127.0f;
}

void read_row(const Product& job, int64_t row, int64_t inputs, float* out) {
  const int64_t begin = (row - job.window + 1) * job.stride;
  for (int64_t i = 0; i < inputs; i += 16) {
    const int64_t at = begin + i, zeros = at < 0 ? (-at < 16 ? -at : 16) : 0;
    const __mmask16 mask = static_cast<__mmask16>(lanes(inputs - i) & (0xffffu << zeros));
    _mm512_storeu_ps(out + i, load(job.x, job.x_type, at, mask));
  }
  if (job.norm.weight) normalize(out, inputs, job.norm);
}

inline void multiply_4(Integers& left, Integers& right, const uint8_t* a, __m512i left_weights, __m512i right_weights) {
  const __m512i x = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(a));
  left = (Integers)_mm512_dpbusd_epi32((__m512i)left, x, left_weights);
  right = (Integers)_mm512_dpbusd_epi32((__m512i)right, x, right_weights);
}

inline void write_16(float* y, Integers sum, float scale, const Weights& w, int64_t column) {
  const __m512 both = _mm512_mul_ps(_mm512_loadu_ps(w.scales + column), _mm512_set1_ps(scale));
  _mm512_storeu_ps(y + column, _mm512_fmadd_ps(_mm512_cvtepi32_ps((__m512i)sum), both, _mm512_loadu_ps(w.bias + column)));
}

// Some rows and 32 outputs.
template <int... R>
void tile(Indices<R...>, const uint8_t* a, int64_t stride, const float* scales, const int8_t* b, const Weights& w,
          int64_t column, float* y, int64_t y_stride) {
  const Integers first = (Integers)_mm512_loadu_si512(w.offsets + column);
  const Integers second = (Integers)_mm512_loadu_si512(w.offsets + column + 16);
  Integers left[] = {(static_cast<void>(R), first)...}, right[] = {(static_cast<void>(R), second)...};
  const int64_t steps = w.depth / 4;
  for (int64_t k = 0; k < steps; k++) {
    const __m512i left_weights = _mm512_load_si512(b + k * 128), right_weights = _mm512_load_si512(b + k * 128 + 64);
    (multiply_4(left[R], right[R], a + R * stride + 4 * k, left_weights, right_weights), ...);
  }
  (write_16(y + R * y_stride, left[R], scales[R], w, column), ...);
  (write_16(y + R * y_stride, right[R], scales[R], w, column + 16), ...);
}

void tile_of(int64_t rows, const uint8_t* a, int64_t stride, const float* scales, const int8_t* b, const Weights& w,
             int64_t column, float* y, int64_t y_stride) {
  switch (rows) {
    case 1: return tile(indices_to<1>(), a, stride, scales, b, w, column, y, y_stride);
    case 2: return tile(indices_to<2>(), a, stride, scales, b, w, column, y, y_stride);
    case 3: return tile(indices_to<3>(), a, stride, scales, b, w, column, y, y_stride);
    case 4: return tile(indices_to<4>(), a, stride, scales, b, w, column, y, y_stride);
    case 5: return tile(indices_to<5>(), a, stride, scales, b, w, column, y, y_stride);
    case 6: return tile(indices_to<6>(), a, stride, scales, b, w, column, y, y_stride);
    case 7: return tile(indices_to<7>(), a, stride, scales, b, w, column, y, y_stride);
    case 8: return tile(indices_to<8>(), a, stride, scales, b, w, column, y, y_stride);
    case 9: return tile(indices_to<9>(), a, stride, scales, b, w, column, y, y_stride);
    case 10: return tile(indices_to<10>(), a, stride, scales, b, w, column, y, y_stride);
    case 11: return tile(indices_to<11>(), a, stride, scales, b, w, column, y, y_stride);
    default: return tile(indices_to<12>(), a, stride, scales, b, w, column, y, y_stride);
  }
}

void multiply(const uint8_t* a, int64_t stride, const float* scales, int64_t rows, const Weights& w, float* y,
              int64_t y_stride) {
  for (int64_t column = 0; column < w.width; column += COLUMNS) {  // these weights stay in cache for all rows
    for (int64_t r = 0; r < rows; r += TILE_ROWS) {
      const int64_t count = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
      tile_of(count, a + r * stride, stride, scales + r, w.values + column * w.depth, w, column, y + r * y_stride,
              y_stride);
    }
  }
}

void finish_row(float* y, const Stage& stage) {
  const int64_t n = stage.weights->outputs;
  if (stage.norm.weight) normalize(y, n, stage.norm);
  if (stage.activation == Activation::none && !stage.shift && !stage.gate) return;
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = lanes(n - i);
    __m512 v = activated(stage.activation, _mm512_maskz_loadu_ps(mask, y + i));
    if (stage.shift) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, stage.shift + i));
    if (stage.gate) v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, stage.gate + i));
    _mm512_mask_storeu_ps(y + i, mask, v);
  }
}

struct Sizes {
  int64_t depth, width;  // the greatest of all stages
  explicit Sizes(const Product& job) : depth(0), width(0) {
    for (int s = 0; s < job.stages; s++) {
      const Weights& w = *job.stage[s].weights;
      depth = w.depth > depth ? w.depth : depth;
      width = w.width > width ? w.width : width;
    }
  }
  int64_t stride() const { return depth + 64; }  // rows a power of 2 apart would share places in the cache
  int64_t columns() const { return width + 16; }
};

}  // namespace

bool pack_row(float* row, const Weights& weights, int64_t output, int8_t* values, float* scales, int32_t* offsets) {
  const int64_t n = weights.inputs;
  mix(row, n, weights.block);
  float most = largest(row, n);
  if (most != most) return false;
  if (most < 1e-30f) most = 1e-30f;
  const __m512 factor = _mm512_set1_ps(127.0f / most);
  __m512i sum = _mm512_setzero_si512();
  int8_t* out = values + output / COLUMNS * COLUMNS * weights.depth + output % COLUMNS * 4;
  for (int64_t i = 0; i < n; i += 16) {
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(lanes(n - i), row + i), factor));
    sum = _mm512_add_epi32(sum, q);
    alignas(16) int32_t fours[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(fours), _mm512_cvtepi32_epi8(q));
    for (int64_t k = 0; k < 4; k++) *reinterpret_cast<int32_t*>(out + (i / 4 + k) * (4 * COLUMNS)) = fours[k];
  }
  scales[output] = most / 127.0f / static_cast<float>(weights.block);  // the matrix is its own inverse but for its size
  offsets[output] = -128 * _mm512_reduce_add_epi32(sum);
  return true;
}

int64_t product_scratch(const Product& job) {
  const Sizes sizes(job);
  return 64 + PANEL_ROWS * (sizes.stride() + 4 * sizes.columns() + 4) + 4 * (sizes.depth + 16);
}

void product_rows(const Product& job, int64_t begin, int64_t end, void* scratch) {
  const Sizes sizes(job);
  const int64_t stride = sizes.stride(), columns = sizes.columns();
  char* free = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(scratch) + 63) / 64 * 64);
  uint8_t* a = reinterpret_cast<uint8_t*>(free);
  float* y = reinterpret_cast<float*>(free + PANEL_ROWS * stride);
  float* scales = y + PANEL_ROWS * columns;
  float* row = scales + PANEL_ROWS;
  for (int64_t panel = begin; panel < end; panel += PANEL_ROWS) {
    const int64_t rows = end - panel < PANEL_ROWS ? end - panel : PANEL_ROWS;
    for (int s = 0; s < job.stages; s++) {
      const Weights& w = *job.stage[s].weights;
      for (int64_t r = 0; r < rows; r++) {
        float* source = s ? y + r * columns : row;
        if (!s) read_row(job, panel + r, w.inputs, source);
        mix(source, w.inputs, w.block);
        scales[r] = round_row(source, w.inputs, a + r * stride);
        for (int64_t i = w.inputs; i < w.depth; i++) a[r * stride + i] = 128;
      }
      multiply(a, stride, scales, rows, w, y, columns);
      for (int64_t r = 0; r < rows; r++) finish_row(y + r * columns, job.stage[s]);
    }
    const int64_t outputs = job.stage[job.stages - 1].weights->outputs;
    for (int64_t r = 0; r < rows; r++) {
      const int64_t at = (panel + r) * job.out_stride;
      for (int64_t i = 0; i < outputs; i += 16) {
        const __mmask16 mask = lanes(outputs - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, y + r * columns + i);
        if (job.add) v = _mm512_add_ps(load(job.out, job.out_type, at + i, mask), v);
        store(job.out, job.out_type, at + i, mask, v);
      }
    }
  }
}

}  // namespace realtts::flow
