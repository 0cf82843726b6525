// The kernels, compiled once for each instruction set. Every sum has one order, whatever rows or threads there are.
#include "simd.hpp"

namespace realtts {
namespace {

constexpr int FETCH = 2048;  // bytes ahead of the weights in use that are asked for

INLINE void fetch(const uint8_t* p) { _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0); }

INLINE int32_t four_bytes(const int8_t* p) {
  int32_t value;
  std::memcpy(&value, p, 4);
  return value;
}

// -- inputs ------------------------------------------------------------------------------------------------------

INLINE float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

void quantize(const float* x, int n, int padded, int group, int offset, int8_t* q, float* scale, int32_t* zeros) {
  for (int g = 0; g < padded / group; g++) {
    F values[INPUT_BLOCK / LANES];
    I most = no_ints();
    for (int i = 0; i < group / LANES; i++) {
      int left = n - g * group - i * LANES;
      const float* at = x + g * group + i * LANES;
      values[i] = left >= LANES ? load(at) : left > 0 ? load_part(at, left) : zero();
      most = larger_of(most, without_sign(bits_of(values[i])));
    }
    int32_t bits = largest_of(most);  // as integers, of which no number is the largest
    float largest_value = float_of(uint32_t(bits));
    bool finite = bits < 0x7F800000;
    float step = finite ? largest_value / 127.0f : __builtin_nanf("");
    // The inverse of a tiny number is not finite; such inputs are nothing beside any others.
    float inverse = finite && largest_value > 1e-35f ? 127.0f / largest_value : 0.0f;
    I sum = no_ints();
    for (int i = 0; i < group / LANES; i++) {
      I rounded = finite ? quantized(mul(values[i], all(inverse))) : no_ints();
      store_bytes(q + g * group + i * LANES, rounded);
      sum = plus(sum, rounded);
    }
    scale[g] = step;
    zeros[g] = -offset * sum_of(sum);
  }
}

// -- products ----------------------------------------------------------------------------------------------------

INLINE void finish(const Matrix& m, int panel, int block, F sum, float* out, Store how) {
  int at = panel * PANEL + block * LANES, width = m.width(panel) - block * LANES;
  F y = add(m.scale ? mul(sum, load(m.scale + at)) : sum, load(m.bias + at));
  if (width >= LANES) {
    store(out, how == Store::add ? add(load(out), y) : y);
  } else if (width > 0) {
    store_part(out, how == Store::add ? add(load_part(out, width), y) : y, width);
  }
}

#if REALTTS_AVX512

// Add the products of unsigned and signed bytes. Through the intrinsic gcc copies every sum in every turn of the loop.
INLINE void add_dot(__m512i& sums, __m512i w, __m512i four) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(w), "v"(four));
}

constexpr int ROWS = 6;    // that are multiplied at once: as many as registers hold
constexpr int BLOCKS = 2;  // of 16 outputs, likewise

template <int R, bool AHEAD>
INLINE void int8_rows(const Matrix& m, const Activations& x, int row, int panel, int, F (*f)[BLOCKS]) {
  const uint8_t* w = m.data + size_t(panel) * m.panel_bytes;
  const int groups = m.padded / 64;
  const int8_t* q[R];
  for (int r = 0; r < R; r++) q[r] = x.q + (row + r) * x.q_stride;
  for (int g = 0; g < groups; g++) {
    __m512i sums[R][2];
    for (int r = 0; r < R; r++) {
      sums[r][0] = sums[r][1] = _mm512_set1_epi32(x.zero[(row + r) * x.group_stride + g]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 16; k++) {
      __m512i a = _mm512_loadu_si512(w), b = _mm512_loadu_si512(w + 64);
      if (AHEAD) fetch(w + FETCH), fetch(w + FETCH + 64);
      for (int r = 0; r < R; r++) {
        __m512i four = _mm512_set1_epi32(four_bytes(q[r] + g * 64 + 4 * k));
        add_dot(sums[r][0], a, four), add_dot(sums[r][1], b, four);
      }
      w += 128;
    }
    for (int r = 0; r < R; r++) {
      F scale = all(x.scale[(row + r) * x.group_stride + g]);
      f[r][0] = fma(floats({sums[r][0]}), scale, f[r][0]);
      f[r][1] = fma(floats({sums[r][1]}), scale, f[r][1]);
    }
  }
}

template <int R, bool AHEAD>
INLINE void int4_rows(const Matrix& m, const Activations& x, int row, int panel, int, F (*f)[BLOCKS]) {
  const uint8_t* w = m.data + size_t(panel) * m.panel_bytes;
  const int groups = m.padded / 32;
  const __m512i nibble = _mm512_set1_epi8(15);
  const int8_t* q[R];
  for (int r = 0; r < R; r++) q[r] = x.q + (row + r) * x.q_stride;
  for (int g = 0; g < groups; g++, w += 576) {
    __m512i sums[R][2];
    for (int r = 0; r < R; r++) {
      sums[r][0] = sums[r][1] = _mm512_set1_epi32(x.zero[(row + r) * x.group_stride + g]);
    }
    if (AHEAD) {
      for (int line = 0; line < 9; line++) fetch(w + FETCH + 64 * line);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      __m512i a = _mm512_loadu_si512(w + 64 * j), b = _mm512_loadu_si512(w + 256 + 64 * j);
      __m512i a0 = _mm512_and_si512(a, nibble), a1 = _mm512_and_si512(_mm512_srli_epi16(a, 4), nibble);
      __m512i b0 = _mm512_and_si512(b, nibble), b1 = _mm512_and_si512(_mm512_srli_epi16(b, 4), nibble);
      for (int r = 0; r < R; r++) {
        __m512i low_four = _mm512_set1_epi32(four_bytes(q[r] + g * 32 + 4 * j));
        __m512i high_four = _mm512_set1_epi32(four_bytes(q[r] + g * 32 + 16 + 4 * j));
        add_dot(sums[r][0], a0, low_four), add_dot(sums[r][1], b0, low_four);
        add_dot(sums[r][0], a1, high_four), add_dot(sums[r][1], b1, high_four);
      }
    }
    const auto* scales = reinterpret_cast<const uint16_t*>(w + 512);
    F s0 = from_half(scales), s1 = from_half(scales + 16);
    for (int r = 0; r < R; r++) {
      F scale = all(x.scale[(row + r) * x.group_stride + g]);
      f[r][0] = fma(floats({sums[r][0]}), mul(s0, scale), f[r][0]);
      f[r][1] = fma(floats({sums[r][1]}), mul(s1, scale), f[r][1]);
    }
  }
}

template <int R, bool AHEAD>
INLINE void bf16_rows(const Matrix& m, const Activations& x, int row, int panel, int, F (*f)[BLOCKS]) {
  const uint8_t* w = m.data + size_t(panel) * m.panel_bytes;
  const __m512i upper = _mm512_set1_epi32(int(0xFFFF0000u));
  for (int i = 0; i < m.padded; i += 2, w += 128) {
    __m512i a = _mm512_loadu_si512(w), b = _mm512_loadu_si512(w + 64);
    if (AHEAD) fetch(w + FETCH), fetch(w + FETCH + 64);
    F a0 = {_mm512_castsi512_ps(_mm512_slli_epi32(a, 16))}, a1 = {_mm512_castsi512_ps(_mm512_and_si512(a, upper))};
    F b0 = {_mm512_castsi512_ps(_mm512_slli_epi32(b, 16))}, b1 = {_mm512_castsi512_ps(_mm512_and_si512(b, upper))};
    for (int r = 0; r < R; r++) {
      const float* at = x.x + (row + r) * x.x_stride + i;
      F even = all(at[0]), odd = all(at[1]);
      f[r][0] = fma(a1, odd, fma(a0, even, f[r][0]));
      f[r][1] = fma(b1, odd, fma(b0, even, f[r][1]));
    }
  }
}

#else  // AVX2: 16 outputs at a time

constexpr int ROWS = 2;
constexpr int BLOCKS = 1;

// Whole numbers as AVX-512 has them: both factors are signed and within 127, so no pair of products overflows.
INLINE __m256i dot(__m256i sums, __m256i w, __m256i size, __m256i four) {
  __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(four, w));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

template <int R, bool AHEAD>
INLINE void int8_rows(const Matrix& m, const Activations& x, int row, int panel, int block, F (*f)[BLOCKS]) {
  const uint8_t* w = m.data + size_t(panel) * m.panel_bytes + 64 * block;
  const int groups = m.padded / 64;
  const __m256i offset = _mm256_set1_epi8(-128);
  for (int g = 0; g < groups; g++) {
    __m256i sums[R][2];
    for (int r = 0; r < R; r++) sums[r][0] = sums[r][1] = _mm256_setzero_si256();
    for (int k = 0; k < 16; k++, w += 128) {
      __m256i a = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)), offset);
      __m256i b = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32)), offset);
      __m256i a_size = _mm256_abs_epi8(a), b_size = _mm256_abs_epi8(b);
      if (AHEAD) fetch(w + FETCH), fetch(w + FETCH + 64);
      for (int r = 0; r < R; r++) {
        __m256i four = _mm256_set1_epi32(four_bytes(x.q + (row + r) * x.q_stride + g * 64 + 4 * k));
        sums[r][0] = dot(sums[r][0], a, a_size, four);
        sums[r][1] = dot(sums[r][1], b, b_size, four);
      }
    }
    for (int r = 0; r < R; r++) {
      F scale = all(x.scale[(row + r) * x.group_stride + g]);
      f[r][0] = fma(floats({sums[r][0], sums[r][1]}), scale, f[r][0]);
    }
  }
}

template <int R, bool AHEAD>
INLINE void int4_rows(const Matrix& m, const Activations& x, int row, int panel, int block, F (*f)[BLOCKS]) {
  const uint8_t* w = m.data + size_t(panel) * m.panel_bytes;
  const int groups = m.padded / 32;
  const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  for (int g = 0; g < groups; g++, w += 576) {
    __m256i pairs[R][2];  // 8 times 2 times 15 times 127 at most, which 16 bits hold
    for (int r = 0; r < R; r++) pairs[r][0] = pairs[r][1] = _mm256_setzero_si256();
    if (AHEAD) {
      for (int line = 0; line < 9; line++) fetch(w + FETCH + 64 * line);
    }
    for (int j = 0; j < 4; j++) {
      const auto* at = reinterpret_cast<const __m256i*>(w + 256 * block + 64 * j);
      __m256i a = _mm256_loadu_si256(at), b = _mm256_loadu_si256(at + 1);
      __m256i a0 = _mm256_and_si256(a, nibble), a1 = _mm256_and_si256(_mm256_srli_epi16(a, 4), nibble);
      __m256i b0 = _mm256_and_si256(b, nibble), b1 = _mm256_and_si256(_mm256_srli_epi16(b, 4), nibble);
      for (int r = 0; r < R; r++) {
        const int8_t* q = x.q + (row + r) * x.q_stride + g * 32 + 4 * j;
        __m256i low_four = _mm256_set1_epi32(four_bytes(q)), high_four = _mm256_set1_epi32(four_bytes(q + 16));
        pairs[r][0] = _mm256_add_epi16(pairs[r][0], _mm256_maddubs_epi16(a0, low_four));
        pairs[r][0] = _mm256_add_epi16(pairs[r][0], _mm256_maddubs_epi16(a1, high_four));
        pairs[r][1] = _mm256_add_epi16(pairs[r][1], _mm256_maddubs_epi16(b0, low_four));
        pairs[r][1] = _mm256_add_epi16(pairs[r][1], _mm256_maddubs_epi16(b1, high_four));
      }
    }
    F scales = from_half(reinterpret_cast<const uint16_t*>(w + 512) + 16 * block);
    for (int r = 0; r < R; r++) {
      __m256i zeros = _mm256_set1_epi32(x.zero[(row + r) * x.group_stride + g]);
      I sums = {_mm256_add_epi32(_mm256_madd_epi16(pairs[r][0], ones), zeros),
                _mm256_add_epi32(_mm256_madd_epi16(pairs[r][1], ones), zeros)};
      F scale = all(x.scale[(row + r) * x.group_stride + g]);
      f[r][0] = fma(floats(sums), mul(scales, scale), f[r][0]);
    }
  }
}

template <int R, bool AHEAD>
INLINE void bf16_rows(const Matrix& m, const Activations& x, int row, int panel, int block, F (*f)[BLOCKS]) {
  const uint8_t* w = m.data + size_t(panel) * m.panel_bytes + 64 * block;
  const __m256i upper = _mm256_set1_epi32(int(0xFFFF0000u));
  for (int i = 0; i < m.padded; i += 2, w += 128) {
    __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
    if (AHEAD) fetch(w + FETCH), fetch(w + FETCH + 64);
    F first = {_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
    F second = {_mm256_castsi256_ps(_mm256_and_si256(a, upper)), _mm256_castsi256_ps(_mm256_and_si256(b, upper))};
    for (int r = 0; r < R; r++) {
      const float* at = x.x + (row + r) * x.x_stride + i;
      f[r][0] = fma(second, all(at[1]), fma(first, all(at[0]), f[r][0]));
    }
  }
}

#endif

template <int R, bool AHEAD>
INLINE void some_rows(const Matrix& m, const Activations& x, int row, int panel, int block, F (*f)[BLOCKS]) {
  if (m.kind == Kind::int8) {
    int8_rows<R, AHEAD>(m, x, row, panel, block, f);
  } else if (m.kind == Kind::int4) {
    int4_rows<R, AHEAD>(m, x, row, panel, block, f);
  } else {
    bf16_rows<R, AHEAD>(m, x, row, panel, block, f);
  }
}

template <int R>
void panel_rows(const Matrix& m, const Activations& x, int row, int panel, float* out, size_t stride, Store how) {
  for (int block = 0; block < PANEL / LANES && block * LANES < m.width(panel); block += BLOCKS) {
    F f[R][BLOCKS];
    for (int r = 0; r < R; r++) {
      for (int b = 0; b < BLOCKS; b++) f[r][b] = zero();
    }
    if (row == 0) {  // the rows after these find the weights in the cache
      some_rows<R, true>(m, x, row, panel, block, f);
    } else {
      some_rows<R, false>(m, x, row, panel, block, f);
    }
    for (int r = 0; r < R; r++) {
      for (int b = 0; b < BLOCKS; b++) {
        finish(m, panel, block + b, f[r][b], out + (row + r) * stride + (block + b) * LANES, how);
      }
    }
  }
}

#if REALTTS_AVX512
#include "many_rows.inl"
#endif

void product(const Matrix& m, const Activations& x, int rows, int panel, float* out, size_t stride, Store how) {
#if REALTTS_AVX512
  if (rows >= MANY_ROWS && m.kind != Kind::bf16) return many_rows(m, x, rows, panel, out, stride, how);
#endif
  int turns = (rows + ROWS - 1) / ROWS;
  for (int turn = 0, row = 0; turn < turns; turn++) {
    int count = (rows - row + turns - turn - 1) / (turns - turn);  // in equal turns
    switch (count) {
      case 1: panel_rows<1>(m, x, row, panel, out, stride, how); break;
      case 2: panel_rows<2>(m, x, row, panel, out, stride, how); break;
#if REALTTS_AVX512
      case 3: panel_rows<3>(m, x, row, panel, out, stride, how); break;
      case 4: panel_rows<4>(m, x, row, panel, out, stride, how); break;
      case 5: panel_rows<5>(m, x, row, panel, out, stride, how); break;
      case 6: panel_rows<6>(m, x, row, panel, out, stride, how); break;
#endif
    }
    row += count;
  }
}

// -- what stands between products --------------------------------------------------------------------------------

// Call f(offset, count) for each 16 of n.
template <class Function>
INLINE void in_lanes(int n, Function f) {
  int i = 0;
  for (; i + LANES <= n; i += LANES) f(i, LANES);
  if (i < n) f(i, n - i);
}
INLINE F load_some(const float* p, int n) { return n == LANES ? load(p) : load_part(p, n); }
INLINE void store_some(float* p, F x, int n) {
  if (n == LANES) {
    store(p, x);
  } else {
    store_part(p, x, n);
  }
}

void norm(const float* x, const float* weight, const float* bias, int n, float eps, float* out) {
  F mean = zero(), sums[4] = {zero(), zero(), zero(), zero()};
  if (bias) {
    in_lanes(n, [&](int i, int count) { sums[i / LANES % 4] = add(sums[i / LANES % 4], load_some(x + i, count)); });
    mean = all(total(add(add(sums[0], sums[1]), add(sums[2], sums[3]))) / float(n));
    for (F& sum : sums) sum = zero();
  }
  in_lanes(n, [&](int i, int count) {
    F d = load_some(x + i, count);
    if (bias) {
      alignas(64) float lanes[LANES];
      store(lanes, sub(d, mean));
      d = load_some(lanes, count);  // nothing beyond the end counts
    }
    sums[i / LANES % 4] = fma(d, d, sums[i / LANES % 4]);
  });
  float square = total(add(add(sums[0], sums[1]), add(sums[2], sums[3]))) / float(n);
  F inverse = all(1.0f / __builtin_sqrtf(square + eps));
  in_lanes(n, [&](int i, int count) {
    F y = mul(mul(sub(load_some(x + i, count), mean), inverse), load_some(weight + i, count));
    store_some(out + i, bias ? add(y, load_some(bias + i, count)) : y, count);
  });
}

void gate(const float* gates, const float* up, int n, float* out) {
  in_lanes(n, [&](int i, int count) {
    F g = load_some(gates + i, count);
    F silu = divide(g, add(all(1.0f), exponential(sub(zero(), g))));
    store_some(out + i, mul(silu, load_some(up + i, count)), count);
  });
}

void soften(const float* x, int n, float* out) {
  F most = all(-__builtin_inff()), sum = zero();
  alignas(64) float lanes[LANES];
  in_lanes(n, [&](int i, int count) {
    F v = load_some(x + i, count);
    if (count < LANES) {  // the lanes beyond the end must not be the largest
      for (float& lane : lanes) lane = x[i];
      store_part(lanes, v, count);
      v = load(lanes);
    }
    most = larger(most, v);
  });
  float best = largest(most);
  in_lanes(n, [&](int i, int count) {
    F v = load_some(x + i, count);
    store(lanes, exponential(sub(v, all(best))));
    for (int lane = 0; lane < count; lane++) {  // nothing is left of what may not be drawn
      if (x[i + lane] == -__builtin_inff()) lanes[lane] = 0.0f;
    }
    F e = load_some(lanes, count);
    store_some(out + i, e, count);
    sum = add(sum, e);
  });
  F whole = all(total(sum));
  in_lanes(n, [&](int i, int count) { store_some(out + i, divide(load_some(out + i, count), whole), count); });
}

void gelu(const float* x, int n, float* out) {
  in_lanes(n, [&](int i, int count) {
    F v = load_some(x + i, count);
    // x times (1 + tanh u) / 2 is x / (1 + e^(-2 u)).
    F u = mul(mul(all(-1.5957691216f), v), fma(mul(v, v), all(0.044715f), all(1.0f)));
    store_some(out + i, divide(v, add(all(1.0f), exponential(u))), count);
  });
}

void rotate(const float* x, const float* cos, const float* sin, int n, float scale, float* out) {
  if (!cos) {
    for (int i = 0; i < n; i++) out[i] = x[i] * scale;
    return;
  }
  const int half = n / 2;
  const F factor = all(scale);
  in_lanes(half, [&](int i, int count) {
    F a = load_some(x + i, count), b = load_some(x + half + i, count);
    F lower = add(mul(a, load_some(cos + i, count)), mul(b, load_some(sin + i, count)));
    F upper = add(mul(b, load_some(cos + half + i, count)), mul(a, load_some(sin + half + i, count)));
    store_some(out + i, mul(lower, factor), count), store_some(out + half + i, mul(upper, factor), count);
  });
}

INLINE uint16_t brain_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

void convert(const float* x, int n, Real real, void* out) {
  if (real == Real::f32) {
    std::memcpy(out, x, size_t(n) * 4);
  } else if (real == Real::bf16) {
    auto* to = static_cast<uint16_t*>(out);
    for (int i = 0; i < n; i++) to[i] = brain_bits(x[i]);
  } else {
    auto* to = static_cast<uint16_t*>(out);
    int i = 0;
    for (; i + 8 <= n; i += 8) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), 0));
    }
    for (; i < n; i++) to[i] = uint16_t(_cvtss_sh(x[i], 0));
  }
}

void widen(const void* x, Real real, int n, float* out) {
  if (real == Real::f32) {
    std::memcpy(out, x, size_t(n) * 4);
  } else if (real == Real::bf16) {
    const auto* from = static_cast<const uint16_t*>(x);
    for (int i = 0; i < n; i++) out[i] = float_of(uint32_t(from[i]) << 16);
  } else {
    const auto* from = static_cast<const uint16_t*>(x);
    for (int i = 0; i < n; i++) out[i] = _cvtsh_ss(from[i]);
  }
}

// -- attention ---------------------------------------------------------------------------------------------------

#if REALTTS_AVX512
constexpr int HEADS = 4;  // that share a key while it is in a register
#else
constexpr int HEADS = 1;
#endif

// Scores of four keys at a time.
template <class T, int H>
void score(const Attention& at, int head) {
  const T* keys = static_cast<const T*>(at.keys);
  const int whole = at.head_dim / LANES * LANES, rest = at.head_dim - whole;
  for (int slot = 0; slot < at.attended; slot += 4) {
    const T* key[4];
    for (int i = 0; i < 4; i++) key[i] = keys + at.key_stride * (slot + i < at.attended ? slot + i : at.attended - 1);
    F sums[H][4];
    for (int h = 0; h < H; h++) {
      for (F& sum : sums[h]) sum = zero();
    }
    for (int d = 0; d < whole; d += LANES) {
      F k[4];
      for (int i = 0; i < 4; i++) k[i] = load_stored(key[i] + d);
      for (int h = 0; h < H; h++) {
        F q = load(at.q + (head + h) * at.q_stride + d);
        for (int i = 0; i < 4; i++) sums[h][i] = fma(q, k[i], sums[h][i]);
      }
    }
    if (rest) {
      for (int i = 0; i < 4; i++) {
        F k = load_stored_part(key[i] + whole, rest);
        for (int h = 0; h < H; h++) {
          sums[h][i] = fma(load(at.q + (head + h) * at.q_stride + whole), k, sums[h][i]);
        }
      }
    }
    for (int h = 0; h < H; h++) {
      _mm_storeu_ps(at.scores + (head + h) * at.score_stride + slot,
                    sums_of(sums[h][0], sums[h][1], sums[h][2], sums[h][3]));
    }
  }
}

// Turn scores into weights that are not divided by their sum yet.
void weigh(const Attention& at, int head) {
  float* scores = at.scores + head * at.score_stride;
  const int attended = at.reach(head);
  const F never = all(-__builtin_inff());
  uint8_t tail[LANES] = {};
  const int whole = attended / LANES * LANES;
  std::memcpy(tail, at.valid + whole, size_t(attended - whole));
  F most = never, sum = zero();
  for (int slot = 0; slot < attended; slot += LANES) {
    const uint8_t* valid = slot < whole ? at.valid + slot : tail;
    F s = choose(valid, load(scores + slot), never);
    store(scores + slot, s);
    most = larger(most, s);
  }
  most = all(largest(most));
  for (int slot = 0; slot < attended; slot += LANES) {
    const uint8_t* valid = slot < whole ? at.valid + slot : tail;
    F weight = choose(valid, exponential(sub(load(scores + slot), most)), zero());
    store(scores + slot, weight);
    sum = add(sum, weight);
  }
  at.inverse[head] = 1.0f / total(sum);
}

// Sum values by weight; even and odd slots apart, so that one addition need not wait for the one before.
template <class T, int H, int D, bool PART>
void mix(const Attention& at, int head, int d, int rest) {
  const T* value = static_cast<const T*>(at.values) + d;
  F sums[2][H][D];
  for (auto& parity : sums) {
    for (int h = 0; h < H; h++) {
      for (int b = 0; b < D; b++) parity[h][b] = zero();
    }
  }
  int common = at.attended;
  for (int h = 0; h < H; h++) common = at.reach(head + h) < common ? at.reach(head + h) : common;
  auto one = [&](int slot, F(*to)[D]) __attribute__((always_inline)) {
    if (!at.valid[slot]) return;
    const T* v = value + at.value_stride * slot;
    for (int b = 0; b < D; b++) {
      F lanes = PART ? load_stored_part(v + b * LANES, rest) : load_stored(v + b * LANES);
      for (int h = 0; h < H; h++) to[h][b] = fma(all(at.scores[(head + h) * at.score_stride + slot]), lanes, to[h][b]);
    }
  };
  for (int slot = 0; slot + 1 < common; slot += 2) one(slot, sums[0]), one(slot + 1, sums[1]);
  if (common % 2) one(common - 1, sums[0]);
  // Slots that only later positions look at; a weight of zero would not silence what is not finite there.
  auto late = [&](int slot, F(*to)[D]) __attribute__((always_inline)) {
    if (!at.valid[slot]) return;
    const T* v = value + at.value_stride * slot;
    for (int h = 0; h < H; h++) {
      if (slot >= at.reach(head + h)) continue;
      for (int b = 0; b < D; b++) {
        F lanes = PART ? load_stored_part(v + b * LANES, rest) : load_stored(v + b * LANES);
        to[h][b] = fma(all(at.scores[(head + h) * at.score_stride + slot]), lanes, to[h][b]);
      }
    }
  };
  for (int slot = common; slot < at.attended; slot++) {
    if (slot % 2) {
      late(slot, sums[1]);
    } else {
      late(slot, sums[0]);
    }
  }
  for (int h = 0; h < H; h++) {
    for (int b = 0; b < D; b++) {
      F y = mul(add(sums[0][h][b], sums[1][h][b]), all(at.inverse[head + h]));
      float* out = at.out + (head + h) * at.head_dim + d + b * LANES;
      if (PART) {
        store_part(out, y, rest);
      } else {
        store(out, y);
      }
    }
  }
}

template <class T, int H>
void attend_heads(const Attention& at, int head) {
  constexpr int D = REALTTS_AVX512 && H == 1 ? 4 : 2;
  score<T, H>(at, head);
  for (int h = 0; h < H; h++) weigh(at, head + h);
  int d = 0;
  for (; d + D * LANES <= at.head_dim; d += D * LANES) mix<T, H, D, false>(at, head, d, 0);
  for (; d + LANES <= at.head_dim; d += LANES) mix<T, H, 1, false>(at, head, d, 0);
  if (d < at.head_dim) mix<T, H, 1, true>(at, head, d, at.head_dim - d);
}

template <class T>
void attend_with(const Attention& at) {
  int head = 0;
#if REALTTS_AVX512
  for (; head + 4 <= at.group; head += 4) attend_heads<T, 4>(at, head);
  if (at.group - head == 3) attend_heads<T, 3>(at, head), head += 3;
  if (at.group - head == 2) attend_heads<T, 2>(at, head), head += 2;
#endif
  for (; head < at.group; head++) attend_heads<T, 1>(at, head);
}

void attend(const Attention& at) {
  if (at.attended == 0) {
    for (int i = 0; i < at.group * at.head_dim; i++) at.out[i] = 0.0f;
    for (int h = 0; h < at.group; h++) at.inverse[h] = 0.0f;
  } else if (at.real == Real::f32) {
    attend_with<float>(at);
  } else if (at.real == Real::f16) {
    attend_with<Half>(at);
  } else {
    attend_with<Brain>(at);
  }
}

int64_t read(const uint8_t* data, size_t bytes) {
  I sums[4] = {no_ints(), no_ints(), no_ints(), no_ints()};
  for (size_t at = 0; at < bytes; at += 256) {
    for (int i = 0; i < 4; i++) {
      fetch(data + at + FETCH + size_t(64 * i));
      sums[i] = larger_of(sums[i], bits_of(load(reinterpret_cast<const float*>(data + at) + LANES * i)));
    }
  }
  return largest_of(larger_of(larger_of(sums[0], sums[1]), larger_of(sums[2], sums[3])));
}

// -- packing -----------------------------------------------------------------------------------------------------

float most_of(const float* row, int n) {
  I most = no_ints();
  in_lanes(n, [&](int i, int count) { most = larger_of(most, without_sign(bits_of(load_some(row + i, count)))); });
  return float_of(uint32_t(largest_of(most)));  // not finite if anything is not
}

float pack_int8(const float* row, int in, int padded, float most, uint8_t* panel, int lane, int8_t* scratch) {
  float scale = (most < 1e-12f ? 1e-12f : most) / 127.0f;
  std::memset(scratch, 0, size_t(padded));
  alignas(64) int8_t sixteen[LANES];
  in_lanes(in, [&](int i, int count) {
    store_bytes(sixteen, quantized(divide(load_some(row + i, count), all(scale))));
    std::memcpy(scratch + i, sixteen, size_t(count));
  });
  for (int i = 0; i < padded; i += 4) {
    uint32_t four;
    std::memcpy(&four, scratch + i, 4);
    four ^= 0x80808080u;
    std::memcpy(panel + size_t(i) * PANEL + lane * 4, &four, 4);
  }
  return scale;
}

// Find the scale of 32 weights, of which -8 to 7 remain, by the least squared error among some.
INLINE float scale_of(F a, F b) {
  F least = smaller(a, b), most = larger(a, b);
  float low_end = -largest(sub(zero(), least)), high_end = largest(most);
  float far = -low_end >= high_end ? low_end : high_end;  // the one that is -8
  if (far == 0.0f) return 0.0f;
  float best = 0.0f, gain = -1.0f;
  for (int n = -4; n <= 5; n++) {
    F inverse = all(-(8.0f + 0.25f * float(n)) / far);
    F qa = larger(all(-8.0f), smaller(all(7.0f), nearest(mul(a, inverse))));
    F qb = larger(all(-8.0f), smaller(all(7.0f), nearest(mul(b, inverse))));
    float cross = total(fma(qb, b, mul(qa, a))), square = total(fma(qb, qb, mul(qa, qa)));
    if (square > 0.0f && cross / square * cross > gain) gain = cross / square * cross, best = cross / square;
  }
  return best;
}

void pack_int4(const float* row, int in, int padded, uint8_t* panel, int lane) {
  uint8_t* block = panel + 256 * (lane / LANES) + (lane % LANES) * 4;
  for (int g = 0; g < padded / 32; g++, block += 576) {
    int left = in - g * 32;
    const float* at = row + g * 32;
    F a = left >= 16 ? load(at) : left > 0 ? load_part(at, left) : zero();
    F b = left >= 32 ? load(at + 16) : left > 16 ? load_part(at + 16, left - 16) : zero();
    uint16_t half = uint16_t(_cvtss_sh(scale_of(a, b), 0));
    float scale = _cvtsh_ss(half), inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
    alignas(64) int8_t q[32];
    F most = all(7.0f), least = all(-8.0f);
    store_bytes(q, quantized(larger(least, smaller(most, nearest(mul(a, all(inverse)))))));
    store_bytes(q + 16, quantized(larger(least, smaller(most, nearest(mul(b, all(inverse)))))));
    for (int j = 0; j < 4; j++) {
      for (int i = 0; i < 4; i++) {
        block[64 * j + i] = uint8_t((q[4 * j + i] + 8) | (q[16 + 4 * j + i] + 8) << 4);
      }
    }
    std::memcpy(panel + size_t(g) * 576 + 512 + lane * 2, &half, 2);
  }
}

void pack_bf16(const float* row, int in, int padded, uint8_t* panel, int lane) {
  for (int i = 0; i < padded; i += 2) {
    uint16_t pair[2] = {i < in ? brain_bits(row[i]) : uint16_t(0), i + 1 < in ? brain_bits(row[i + 1]) : uint16_t(0)};
    std::memcpy(panel + size_t(i) * PANEL * 2 + lane * 4, pair, 4);
  }
}

}  // namespace
}  // namespace realtts
