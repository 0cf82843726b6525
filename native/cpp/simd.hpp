// Sixteen floats side by side, as one register or as two: with the same order of every sum, so that both instruction
// sets give the same bits. Included by the files of the instruction sets alone, inside their unnamed namespace.
#pragma once
#include <immintrin.h>

#include <cstring>

#include "common.hpp"

#define INLINE static inline __attribute__((always_inline))

namespace realtts {
namespace {

#if REALTTS_AVX512

struct F {
  __m512 v;
};

INLINE F load(const float* p) { return {_mm512_loadu_ps(p)}; }
INLINE F load_part(const float* p, int n) { return {_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p)}; }
INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x.v); }
INLINE void store_part(float* p, F x, int n) { _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), x.v); }
INLINE F all(float x) { return {_mm512_set1_ps(x)}; }
INLINE F zero() { return {_mm512_setzero_ps()}; }
INLINE F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
INLINE F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
INLINE F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
INLINE F divide(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
INLINE F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
INLINE F larger(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }   // b where one is no number
INLINE F smaller(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }  // likewise
INLINE F nearest(F a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
// 2^n of whole numbers within -126 to 127
INLINE F power(F n) {
  __m512i bits = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127)), 23);
  return {_mm512_castsi512_ps(bits)};
}
INLINE __m256 low(F x) { return _mm512_castps512_ps256(x.v); }
INLINE __m256 high(F x) { return _mm512_extractf32x8_ps(x.v, 1); }
// x where the byte of its lane is not 0, else y
INLINE F choose(const uint8_t* lanes, F x, F y) {
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lanes));
  return {_mm512_mask_blend_ps(_mm_test_epi8_mask(bytes, bytes), y.v, x.v)};
}
INLINE F from_half(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
INLINE F from_brain(const uint16_t* p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
// Sums over 16 lanes of four, in this order: of halves, of quarters, of neighbours.
INLINE __m128 sums_of(F a, F b, F c, F d) {
  __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a.v, b.v), _mm512_unpackhi_ps(a.v, b.v));
  __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c.v, d.v), _mm512_unpackhi_ps(c.v, d.v));
  __m512d p = _mm512_castps_pd(ab), q = _mm512_castps_pd(cd);
  F abcd = {_mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)), _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)))};
  __m256 half = _mm256_add_ps(low(abcd), high(abcd));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

// Sixteen sums of products of bytes.
struct I {
  __m512i v;
};
INLINE F floats(I x) { return {_mm512_cvtepi32_ps(x.v)}; }
INLINE I quantized(F x) { return {_mm512_cvtps_epi32(x.v)}; }
INLINE void store_bytes(int8_t* p, I x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x.v));
}
INLINE int32_t sum_of(I x) { return _mm512_reduce_add_epi32(x.v); }
INLINE I plus(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
INLINE I no_ints() { return {_mm512_setzero_si512()}; }
INLINE I bits_of(F x) { return {_mm512_castps_si512(x.v)}; }
INLINE I without_sign(I x) { return {_mm512_and_si512(x.v, _mm512_set1_epi32(0x7FFFFFFF))}; }
INLINE I larger_of(I a, I b) { return {_mm512_max_epi32(a.v, b.v)}; }
INLINE int32_t largest_of(I x) { return _mm512_reduce_max_epi32(x.v); }

#else  // AVX2

struct F {
  __m256 a, b;
};

INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE F load_part(const float* p, int n) {
  alignas(32) float full[16] = {};
  std::memcpy(full, p, size_t(n) * 4);
  return load(full);
}
INLINE void store(float* p, F x) { _mm256_storeu_ps(p, x.a), _mm256_storeu_ps(p + 8, x.b); }
INLINE void store_part(float* p, F x, int n) {
  alignas(32) float full[16];
  store(full, x);
  std::memcpy(p, full, size_t(n) * 4);
}
INLINE F all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
INLINE F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
INLINE F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
INLINE F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
INLINE F divide(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
INLINE F fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
INLINE F larger(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
INLINE F smaller(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
INLINE F nearest(F x) {
  constexpr int how = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, how), _mm256_round_ps(x.b, how)};
}
INLINE __m256 power_of(__m256 n) {
  __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_castsi256_ps(bits);
}
INLINE F power(F n) { return {power_of(n.a), power_of(n.b)}; }
INLINE __m256 low(F x) { return x.a; }
INLINE __m256 high(F x) { return x.b; }
INLINE __m256 choose_of(const uint8_t* lanes, __m256 x, __m256 y) {
  __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(lanes)));
  __m256i none = _mm256_cmpeq_epi32(wide, _mm256_setzero_si256());
  return _mm256_blendv_ps(x, y, _mm256_castsi256_ps(none));
}
INLINE F choose(const uint8_t* lanes, F x, F y) {
  return {choose_of(lanes, x.a, y.a), choose_of(lanes + 8, x.b, y.b)};
}
INLINE F from_half(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
INLINE __m256 brain_of(const uint16_t* p) {
  __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
INLINE F from_brain(const uint16_t* p) { return {brain_of(p), brain_of(p + 8)}; }
INLINE __m256 four_of(__m256 a, __m256 b, __m256 c, __m256 d) {
  __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
  __m256d p = _mm256_castps_pd(ab), q = _mm256_castps_pd(cd);
  return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)), _mm256_castpd_ps(_mm256_unpackhi_pd(p, q)));
}
INLINE __m128 sums_of(F a, F b, F c, F d) {
  __m256 half = _mm256_add_ps(four_of(a.a, b.a, c.a, d.a), four_of(a.b, b.b, c.b, d.b));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

struct I {
  __m256i a, b;
};
INLINE F floats(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
INLINE I quantized(F x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
INLINE void store_bytes(int8_t* p, I x) {
  __m128i a = _mm_packs_epi32(_mm256_castsi256_si128(x.a), _mm256_extracti128_si256(x.a, 1));
  __m128i b = _mm_packs_epi32(_mm256_castsi256_si128(x.b), _mm256_extracti128_si256(x.b, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(a, b));
}
INLINE I plus(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
INLINE int32_t sum_of(I x) {
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi32(x.a, x.b));
  int32_t sum = 0;
  for (int32_t lane : lanes) sum += lane;
  return sum;
}
INLINE I no_ints() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE I bits_of(F x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
INLINE I without_sign(I x) {
  __m256i mask = _mm256_set1_epi32(0x7FFFFFFF);
  return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}
INLINE I larger_of(I x, I y) { return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)}; }
INLINE int32_t largest_of(I x) {
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_max_epi32(x.a, x.b));
  int32_t largest = lanes[0];
  for (int32_t lane : lanes) largest = lane > largest ? lane : largest;
  return largest;
}

#endif

INLINE float total(F x) { return _mm_cvtss_f32(sums_of(x, x, x, x)); }
INLINE float largest(F x) {
  __m256 half = _mm256_max_ps(low(x), high(x));
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_shuffle_ps(four, four, 1)));
}

// e^x within 2 units of the last place; 0 below -87, no number stays none.
INLINE F exponential(F x) {
  x = larger(all(-87.3f), smaller(all(88.3f), x));
  F n = nearest(mul(x, all(1.44269504f)));
  F r = fma(n, all(-0.693359375f), x);
  r = fma(n, all(2.12194440e-4f), r);
  F p = all(1.9875691500e-4f);
  p = fma(p, r, all(1.3981999507e-3f));
  p = fma(p, r, all(8.3334519073e-3f));
  p = fma(p, r, all(4.1665795894e-2f));
  p = fma(p, r, all(1.6666665459e-1f));
  p = fma(p, r, all(5.0000001201e-1f));
  p = fma(p, mul(r, r), add(r, all(1.0f)));
  return mul(p, power(n));
}

// Keys and values.
template <class T>
struct Stored;
template <>
struct Stored<float> {
  static inline __attribute__((always_inline)) F load(const float* p) { return realtts::load(p); }
};
struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};
template <>
struct Stored<Half> {
  static inline __attribute__((always_inline)) F load(const Half* p) { return from_half(&p->bits); }
};
template <>
struct Stored<Brain> {
  static inline __attribute__((always_inline)) F load(const Brain* p) { return from_brain(&p->bits); }
};
template <class T>
INLINE F load_stored(const T* p) {
  return Stored<T>::load(p);
}
template <class T>
INLINE F load_stored_part(const T* p, int n) {
  alignas(64) T full[16] = {};
  std::memcpy(full, p, size_t(n) * sizeof(T));
  return Stored<T>::load(full);
}

}  // namespace
}  // namespace realtts
