// Attention of all rows of a sequence to each other: scores, exact softmax and means of one head, for a few queries at a
// time, whose scores stay in cache. Nothing of a score is written to memory.
//
// Products are float32's, or those of 12-bit integers (a scale for each query, each key and each channel of the values),
// which take half the time of float32's and round less than bfloat16. Weights have up to 15 bits, as many as the sum of
// a row allows; the mean is divided by the sum of the rounded ones.
#include "flow_math.hpp"

namespace realtts::flow {

namespace {

constexpr int64_t BLOCK = 64;       // keys whose part of a head stays in the first cache
constexpr int64_t QUERY_TILE = 6;    // queries at once: 24 accumulators of 32 registers
constexpr float LEVELS = 4095.0f;   // of queries and keys: 128 products of two stay below 2 ** 31
constexpr float VALUE_LEVELS = 2047.0f;
constexpr float WEIGHT_SUM = 524288.0f;  // 2 ** 19: times the levels of a value below 2 ** 31

inline int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Where a head's parts lie in the scratch of a thread.
struct Plan {
  int64_t keys, width, columns;  // keys padded; columns of a row of scores, not a power of 2 apart
  float* k_scales;               // (keys)
  float* v_scales;               // (width)
  float* row;                    // (width)
  float* q_scales;               // (QUERY_ROWS)
  float* scores;                 // (QUERY_ROWS, columns)
  int16_t* weights;              // (QUERY_ROWS, columns)
  void* q;                       // (QUERY_ROWS, width), float or int16
  void* k;                       // [keys / 64][width / step][64][step], step 1 or 2
  void* v;                       // [keys / step][width / 16][16][step]
  int32_t* sums;                 // (QUERY_ROWS, width), float or int32
  int64_t bytes;

  Plan(const Attention& job, int64_t length, void* scratch) {
    keys = up(length, BLOCK), width = job.width, columns = keys + 16;
    const int64_t size = job.exact ? 4 : 2;
    char* at = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(scratch) + 63) / 64 * 64);
    const char* begin = at;
    const auto take = [&at](int64_t n) {
      char* part = at;
      at += up(n, 64);
      return static_cast<void*>(part);
    };
    k_scales = static_cast<float*>(take(4 * keys));
    v_scales = static_cast<float*>(take(4 * width));
    row = static_cast<float*>(take(4 * width));
    q_scales = static_cast<float*>(take(4 * QUERY_ROWS));
    scores = static_cast<float*>(take(4 * QUERY_ROWS * columns));
    weights = static_cast<int16_t*>(take(2 * QUERY_ROWS * columns));
    q = take(size * QUERY_ROWS * width);
    k = take(size * keys * width);
    v = take(size * keys * width);
    sums = static_cast<int32_t*>(take(4 * QUERY_ROWS * width));
    bytes = 64 + (at - begin);
  }
};

void read_rotated(const Attention& job, const Heads& x, int64_t position, int64_t head, float* out) {
  const int64_t at = position * x.row + head * x.head, half = job.width / 2;
  for (int64_t i = 0; i < job.width; i += 16) _mm512_storeu_ps(out + i, load(x.x, x.type, at + i, 0xffff));
  if (!job.cosines || head >= job.rotated) return;
  const float* cosines = job.cosines + position * half;
  const float* sines = job.sines + position * half;
  for (int64_t i = 0; i < half; i += 16) {
    const __mmask16 mask = lanes(half - i);
    const __m512 a = _mm512_maskz_loadu_ps(mask, out + i), b = _mm512_maskz_loadu_ps(mask, out + half + i);
    const __m512 c = _mm512_maskz_loadu_ps(mask, cosines + i), s = _mm512_maskz_loadu_ps(mask, sines + i);
    _mm512_mask_storeu_ps(out + i, mask, _mm512_sub_ps(_mm512_mul_ps(a, c), _mm512_mul_ps(b, s)));
    _mm512_mask_storeu_ps(out + half + i, mask, _mm512_add_ps(_mm512_mul_ps(b, c), _mm512_mul_ps(a, s)));
  }
}

float round_to(const float* x, int64_t n, float levels, int16_t* out) {
  float most = largest(x, n);
  if (most < 1e-30f) most = 1e-30f;
  const __m512 factor = _mm512_set1_ps(levels / most);
  for (int64_t i = 0; i < n; i += 16) {
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), factor));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm512_cvtsepi32_epi16(q));
  }
  return most / levels;
}

bool visible(const Attention& job, int64_t row) { return !job.keys || job.keys[row]; }

void pack_keys(const Attention& job, const Plan& plan, int64_t length, int64_t head) {
  alignas(64) int16_t rounded[MOST_WIDTH];
  for (int64_t key = 0; key < plan.keys; key++) {
    const bool there = key < length && visible(job, key);
    if (there) {
      read_rotated(job, job.k, key, head, plan.row);
    } else {
      for (int64_t i = 0; i < plan.width; i++) plan.row[i] = 0.0f;
    }
    const int64_t block = key / BLOCK * BLOCK * plan.width, place = key % BLOCK;
    if (job.exact) {
      float* k = static_cast<float*>(plan.k) + block + place;
      for (int64_t i = 0; i < plan.width; i++) k[i * BLOCK] = plan.row[i];
    } else {
      plan.k_scales[key] = round_to(plan.row, plan.width, LEVELS, rounded);
      int32_t* k = static_cast<int32_t*>(plan.k) + block / 2 + place;
      const int32_t* pairs = reinterpret_cast<const int32_t*>(rounded);
      for (int64_t i = 0; i < plan.width / 2; i++) k[i * BLOCK] = pairs[i];
    }
  }
}

void pack_values(const Attention& job, const Plan& plan, int64_t length, int64_t head) {
  const int64_t vectors = plan.width / 16;
  const __m512 zero = _mm512_setzero_ps();
  for (int64_t g = 0; g < vectors; g++) {
    const int64_t at = head * job.v.head + 16 * g;
    const auto value = [&](int64_t key) {
      const bool there = key < length && visible(job, key);
      return there ? load(job.v.x, job.v.type, key * job.v.row + at, 0xffff) : zero;
    };
    if (job.exact) {
      float* v = static_cast<float*>(plan.v) + 16 * g;
      for (int64_t key = 0; key < plan.keys; key++) _mm512_storeu_ps(v + key * plan.width, value(key));
      continue;
    }
    __m512 most = _mm512_set1_ps(1e-30f), spoilt = zero;
    for (int64_t key = 0; key < length; key++) {
      const __m512 x = value(key);
      most = _mm512_max_ps(_mm512_abs_ps(x), most);
      spoilt = _mm512_fmadd_ps(x, zero, spoilt);
    }
    const __m512 factor = _mm512_div_ps(_mm512_set1_ps(VALUE_LEVELS), most);
    _mm512_storeu_ps(plan.v_scales + 16 * g, _mm512_add_ps(_mm512_mul_ps(most, _mm512_set1_ps(1 / VALUE_LEVELS)), spoilt));
    int16_t* v = static_cast<int16_t*>(plan.v) + 32 * g;
    for (int64_t key = 0; key < plan.keys; key += 2) {
      const __m512i even = _mm512_cvtps_epi32(_mm512_mul_ps(value(key), factor));
      const __m512i odd = _mm512_cvtps_epi32(_mm512_mul_ps(value(key + 1), factor));
      const __m512i pair = _mm512_or_si512(_mm512_and_si512(even, _mm512_set1_epi32(0xffff)), _mm512_slli_epi32(odd, 16));
      _mm512_storeu_si512(v + key * plan.width, pair);
    }
  }
}

void pack_queries(const Attention& job, const Plan& plan, int64_t first, int64_t count, int64_t head) {
  for (int64_t r = 0; r < count; r++) {
    read_rotated(job, job.q, first + r, head, plan.row);
    for (int64_t i = 0; i < plan.width; i++) plan.row[i] *= job.scale;
    if (job.exact) {
      float* q = static_cast<float*>(plan.q) + r * plan.width;
      for (int64_t i = 0; i < plan.width; i++) q[i] = plan.row[i];
    } else {
      plan.q_scales[r] = round_to(plan.row, plan.width, LEVELS, static_cast<int16_t*>(plan.q) + r * plan.width);
    }
  }
}

// Scores of R queries and the 64 keys of a block.
template <int R>
void score_exact(const Plan& plan, int64_t query, int64_t block) {
  const float* q = static_cast<const float*>(plan.q) + query * plan.width;
  const float* k = static_cast<const float*>(plan.k) + block * plan.width;
  __m512 sums[R][4];
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) sums[r][n] = _mm512_setzero_ps();
  }
  for (int64_t i = 0; i < plan.width; i++) {
    __m512 keys[4];
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) keys[n] = _mm512_loadu_ps(k + i * BLOCK + 16 * n);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const __m512 x = _mm512_set1_ps(q[r * plan.width + i]);
#pragma GCC unroll 4
      for (int n = 0; n < 4; n++) sums[r][n] = _mm512_fmadd_ps(x, keys[n], sums[r][n]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
    float* out = plan.scores + (query + r) * plan.columns + block;
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) _mm512_storeu_ps(out + 16 * n, sums[r][n]);
  }
}

template <int R>
void score_rounded(const Plan& plan, int64_t query, int64_t block) {
  const int64_t pairs = plan.width / 2;
  const int32_t* q = static_cast<const int32_t*>(plan.q) + query * pairs;
  const int32_t* k = static_cast<const int32_t*>(plan.k) + block * pairs;
  __m512i sums[R][4];
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) sums[r][n] = _mm512_setzero_si512();
  }
  for (int64_t i = 0; i < pairs; i++) {
    __m512i keys[4];
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) keys[n] = _mm512_loadu_si512(k + i * BLOCK + 16 * n);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const __m512i x = _mm512_set1_epi32(q[r * pairs + i]);
#pragma GCC unroll 4
      for (int n = 0; n < 4; n++) sums[r][n] = _mm512_dpwssd_epi32(sums[r][n], x, keys[n]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
    float* out = plan.scores + (query + r) * plan.columns + block;
    const __m512 scale = _mm512_set1_ps(plan.q_scales[query + r]);
#pragma GCC unroll 4
    for (int n = 0; n < 4; n++) {
      const __m512 both = _mm512_mul_ps(scale, _mm512_loadu_ps(plan.k_scales + block + 16 * n));
      _mm512_storeu_ps(out + 16 * n, _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][n]), both));
    }
  }
}

// Turn a row of scores into weights, of which the greatest is 1; return what their mean of values is multiplied by.
float weigh(const Attention& job, const Plan& plan, int64_t r, int64_t length) {
  float* scores = plan.scores + r * plan.columns;
  int16_t* weights = plan.weights + r * plan.columns;
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  const auto allowed = [&](int64_t i) {
    const __mmask16 there = i < length ? lanes(length - i) : 0;
    if (!job.keys) return there;
    const __m128i seen = _mm_maskz_loadu_epi8(there, job.keys + i);
    return static_cast<__mmask16>(_mm_mask_test_epi8_mask(there, seen, seen));
  };
  __m512 most = lowest;
  for (int64_t i = 0; i < length; i += 16) {
    most = _mm512_max_ps(_mm512_mask_loadu_ps(lowest, allowed(i), scores + i), most);
  }
  const float greatest = _mm512_reduce_max_ps(most);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < plan.keys; i += 16) {  // behind the end too: values are multiplied by whole blocks
    const __m512 away = _mm512_sub_ps(_mm512_loadu_ps(scores + i), _mm512_set1_ps(greatest));
    const __m512 weight = _mm512_maskz_mov_ps(allowed(i), exp2_of(away));
    _mm512_storeu_ps(scores + i, weight);
    sum = _mm512_add_ps(sum, weight);
  }
  const float total = _mm512_reduce_add_ps(sum);
  if (total == 0.0f) {  // no key may be looked at
    for (int64_t i = 0; i < plan.keys; i++) weights[i] = 0;
    return 0.0f;
  }
  if (job.exact) return 1.0f / total;
  const float factor = WEIGHT_SUM / total < 32767.0f ? WEIGHT_SUM / total : 32767.0f;
  __m512i whole = _mm512_setzero_si512();
  for (int64_t i = 0; i < plan.keys; i += 16) {
    const __m512i w = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(scores + i), _mm512_set1_ps(factor)));
    whole = _mm512_add_epi32(whole, w);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(weights + i), _mm512_cvtsepi32_epi16(w));
  }
  const float rounded = static_cast<float>(_mm512_reduce_add_epi32(whole));
  return total == total ? 1.0f / rounded : total;  // what is no number stays none
}

// Add the values of a block of keys to the sums of R queries, V vectors of channels from the first.
template <int R, int V>
void mean_exact(const Plan& plan, int64_t query, int64_t block, int64_t channel) {
  float* out = reinterpret_cast<float*>(plan.sums) + query * plan.width + channel;
  const float* v = static_cast<const float*>(plan.v) + block * plan.width + channel;
  const float* weights = plan.scores + query * plan.columns + block;
  __m512 sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < V; n++) sums[r][n] = _mm512_loadu_ps(out + r * plan.width + 16 * n);
  }
  for (int64_t key = 0; key < BLOCK; key++) {
    __m512 values[V];
#pragma GCC unroll 4
    for (int n = 0; n < V; n++) values[n] = _mm512_loadu_ps(v + key * plan.width + 16 * n);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const __m512 x = _mm512_set1_ps(weights[r * plan.columns + key]);
#pragma GCC unroll 4
      for (int n = 0; n < V; n++) sums[r][n] = _mm512_fmadd_ps(x, values[n], sums[r][n]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < V; n++) _mm512_storeu_ps(out + r * plan.width + 16 * n, sums[r][n]);
  }
}

template <int R, int V>
void mean_rounded(const Plan& plan, int64_t query, int64_t block, int64_t channel) {
  int32_t* out = plan.sums + query * plan.width + channel;
  const int16_t* v = static_cast<const int16_t*>(plan.v) + block * plan.width + 2 * channel;
  const int32_t* weights = reinterpret_cast<const int32_t*>(plan.weights + query * plan.columns + block);
  __m512i sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < V; n++) sums[r][n] = _mm512_loadu_si512(out + r * plan.width + 16 * n);
  }
  for (int64_t pair = 0; pair < BLOCK / 2; pair++) {
    __m512i values[V];
#pragma GCC unroll 4
    for (int n = 0; n < V; n++) values[n] = _mm512_loadu_si512(v + 2 * pair * plan.width + 32 * n);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const __m512i x = _mm512_set1_epi32(weights[r * plan.columns / 2 + pair]);
#pragma GCC unroll 4
      for (int n = 0; n < V; n++) sums[r][n] = _mm512_dpwssd_epi32(sums[r][n], x, values[n]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < V; n++) _mm512_storeu_si512(out + r * plan.width + 16 * n, sums[r][n]);
  }
}

template <int R>
void score(const Plan& plan, bool exact, int64_t query, int64_t block) {
  exact ? score_exact<R>(plan, query, block) : score_rounded<R>(plan, query, block);
}

template <int R>
void mean(const Plan& plan, bool exact, int64_t query, int64_t block) {
  int64_t channel = 0;
  for (; channel + 64 <= plan.width; channel += 64) {
    exact ? mean_exact<R, 4>(plan, query, block, channel) : mean_rounded<R, 4>(plan, query, block, channel);
  }
  for (; channel < plan.width; channel += 16) {
    exact ? mean_exact<R, 1>(plan, query, block, channel) : mean_rounded<R, 1>(plan, query, block, channel);
  }
}

// Call what is made for so many queries, 1 to 6.
#define REALTTS_BY_QUERIES(function, count, ...)       \
  switch (count) {                                     \
    case 1: function<1>(__VA_ARGS__); break;           \
    case 2: function<2>(__VA_ARGS__); break;           \
    case 3: function<3>(__VA_ARGS__); break;           \
    case 4: function<4>(__VA_ARGS__); break;           \
    case 5: function<5>(__VA_ARGS__); break;           \
    default: function<6>(__VA_ARGS__);                 \
  }

void write_rows(const Attention& job, const Plan& plan, const float* factors, int64_t at, int64_t count, int64_t head) {
  for (int64_t r = 0; r < count; r++) {
    const __m512 factor = _mm512_set1_ps(factors[r]);
    for (int64_t i = 0; i < plan.width; i += 16) {
      const int32_t* place = plan.sums + r * plan.width + i;
      __m512 sum = _mm512_loadu_ps(reinterpret_cast<const float*>(place));
      if (!job.exact) {
        sum = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(place)), _mm512_loadu_ps(plan.v_scales + i));
      }
      store(job.out, job.out_type, (at + r) * job.out_stride + head * job.width + i, 0xffff, _mm512_mul_ps(sum, factor));
    }
  }
}

}  // namespace

int64_t attention_scratch(const Attention& job, int64_t longest) { return Plan(job, longest, nullptr).bytes; }

void attention_rows(const Attention& job, int64_t length, int64_t head, int64_t first, int64_t last, void* scratch) {
  const Plan plan(job, length, scratch);
  pack_keys(job, plan, length, head);
  pack_values(job, plan, length, head);
  float factors[QUERY_ROWS];
  for (int64_t from = first; from < last; from += QUERY_ROWS) {
    const int64_t count = last - from < QUERY_ROWS ? last - from : QUERY_ROWS;
    pack_queries(job, plan, from, count, head);
    for (int64_t block = 0; block < plan.keys; block += BLOCK) {
      for (int64_t r = 0; r < count; r += QUERY_TILE) {
        REALTTS_BY_QUERIES(score, count - r, plan, job.exact, r, block)
      }
    }
    for (int64_t r = 0; r < count; r++) factors[r] = weigh(job, plan, r, length);
    for (int64_t i = 0; i < count * plan.width; i++) plan.sums[i] = 0;
    for (int64_t block = 0; block < plan.keys; block += BLOCK) {
      for (int64_t r = 0; r < count; r += QUERY_TILE) {
        REALTTS_BY_QUERIES(mean, count - r, plan, job.exact, r, block)
      }
    }
    write_rows(job, plan, factors, from, count, head);
  }
}

}  // namespace realtts::flow
