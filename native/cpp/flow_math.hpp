// Rows of numbers by AVX-512: reading, rounding to 8 bits, norms and activations.
#pragma once

#include <immintrin.h>

#include "flow_kernels.hpp"

namespace realtts::flow {

// The numbers 0 to N - 1 as arguments of a template: arrays of accumulators stay in registers only where every index is a
// constant before anything is unrolled.
template <int... I>
struct Indices {};
template <int N, int... I>
struct IndicesTo : IndicesTo<N - 1, N - 1, I...> {};
template <int... I>
struct IndicesTo<0, I...> {
  using type = Indices<I...>;
};
template <int N>
using indices_to = typename IndicesTo<N>::type;

// Accumulators of integers. GCC keeps arrays of __m512i, which it takes for 64-bit numbers, in memory.
typedef int32_t Integers __attribute__((vector_size(64)));

inline __mmask16 lanes(int64_t left) { return left >= 16 ? 0xffff : static_cast<__mmask16>((1u << left) - 1); }

inline __m512 exp_by_parts(__m512 r, __m512 whole) {  // e ** r * 2 ** whole for |r| <= ln(2) / 2, within 1 ulp
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, whole);
}

inline __m512 nearest(__m512 x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// The order of arguments of max and min matters: of a pair with a NaN the second is taken, so NaN stays NaN.
inline __m512 exp2_of(__m512 x) {
  x = _mm512_min_ps(_mm512_set1_ps(129.0f), _mm512_max_ps(_mm512_set1_ps(-200.0f), x));
  const __m512 whole = nearest(x);
  return exp_by_parts(_mm512_mul_ps(_mm512_sub_ps(x, whole), _mm512_set1_ps(0.69314718056f)), whole);
}

inline __m512 exp_of(__m512 x) {
  x = _mm512_min_ps(_mm512_set1_ps(89.0f), _mm512_max_ps(_mm512_set1_ps(-110.0f), x));
  const __m512 whole = nearest(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504089f)));
  __m512 r = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(whole, _mm512_set1_ps(-2.12194440e-4f), r);
  return exp_by_parts(r, whole);
}

inline __m512 silu_of(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  return _mm512_div_ps(x, _mm512_add_ps(one, exp_of(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

inline __m512 gelu_tanh_of(__m512 x) {  // 0.5 x (1 + tanh(u)) is x / (1 + e ** -2u)
  const __m512 square = _mm512_mul_ps(x, x);
  const __m512 u = _mm512_fmadd_ps(square, _mm512_set1_ps(-2 * 0.7978845608f * 0.044715f),
                                   _mm512_set1_ps(-2 * 0.7978845608f));
  return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), exp_of(_mm512_mul_ps(x, u))));
}

inline __m512 gelu_of(__m512 x) {  // erf by Abramowitz and Stegun, 7.1.26: within 1.5e-7
  const __m512 one = _mm512_set1_ps(1.0f), half = _mm512_set1_ps(0.5f);
  const __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678119f));
  const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911f), one));
  __m512 p = _mm512_set1_ps(1.061405429f);
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
  const __m512 rest = _mm512_mul_ps(_mm512_mul_ps(p, t), exp_of(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(z, z))));
  const __m512 positive = _mm512_fnmadd_ps(half, rest, one);  // the share of x > 0
  const __mmask16 below = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  return _mm512_mul_ps(x, _mm512_mask_sub_ps(positive, below, one, positive));
}

inline __m512 mish_of(__m512 x) {  // beyond 20 the factor is 1
  const __m512 two = _mm512_set1_ps(2.0f), e = exp_of(_mm512_min_ps(_mm512_set1_ps(20.0f), x));
  const __m512 n = _mm512_mul_ps(e, _mm512_add_ps(e, two));
  return _mm512_mul_ps(x, _mm512_div_ps(n, _mm512_add_ps(n, two)));
}

inline __m512 activated(Activation activation, __m512 x) {
  switch (activation) {
    case Activation::gelu: return gelu_of(x);
    case Activation::gelu_tanh: return gelu_tanh_of(x);
    case Activation::silu: return silu_of(x);
    case Activation::mish: return mish_of(x);
    default: return x;
  }
}

inline __m512 load(const void* x, Type type, int64_t at, __mmask16 mask) {
  if (type == Type::float32) return _mm512_maskz_loadu_ps(mask, static_cast<const float*>(x) + at);
  const __m256i half = _mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(x) + at);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline void store(void* out, Type type, int64_t at, __mmask16 mask, __m512 v) {
  if (type == Type::float32) {
    _mm512_mask_storeu_ps(static_cast<float*>(out) + at, mask, v);
    return;
  }
  const __m512i bits = _mm512_castps_si512(v), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i near = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));  // ties to even
  near = _mm512_mask_mov_epi32(near, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc00000));
  _mm256_mask_storeu_epi16(static_cast<uint16_t*>(out) + at, mask, _mm512_cvtepi32_epi16(_mm512_srli_epi32(near, 16)));
}

// Largest absolute value; not a number if one of them is none, or infinite.
inline float largest(const float* x, int64_t n) {
  __m512 most = _mm512_setzero_ps(), spoilt = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_maskz_loadu_ps(lanes(n - i), x + i);
    most = _mm512_max_ps(_mm512_abs_ps(v), most);
    spoilt = _mm512_fmadd_ps(v, _mm512_setzero_ps(), spoilt);
  }
  return _mm512_reduce_max_ps(most) + _mm512_reduce_add_ps(spoilt);
}

inline void normalize(float* x, int64_t n, const Norm& norm) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(n - i), x + i));
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / static_cast<float>(n));
  __m512 squares = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_maskz_sub_ps(lanes(n - i), _mm512_maskz_loadu_ps(lanes(n - i), x + i), mean);
    squares = _mm512_fmadd_ps(v, v, squares);
  }
  const float variance = _mm512_reduce_add_ps(squares) / static_cast<float>(n);
  const __m512 factor = _mm512_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(variance + norm.eps))));
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = lanes(n - i);
    const __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), mean), factor);
    const __m512 weight = _mm512_maskz_loadu_ps(mask, norm.weight + i), bias = _mm512_maskz_loadu_ps(mask, norm.bias + i);
    _mm512_mask_storeu_ps(x + i, mask, _mm512_fmadd_ps(v, weight, bias));
  }
}

}  // namespace realtts::flow
