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
  int64_t keys, width, wide, columns;  // keys padded, channels and padded; columns of scores, not a power of 2 apart
  float* k_scales;               // (keys)
  float* v_scales;               // (wide)
  float* row;                    // (width)
  float* q_scales;               // (QUERY_ROWS)
  float* scores;                 // (QUERY_ROWS, columns)
  int16_t* weights;              // (QUERY_ROWS, columns)
  void* q;                       // (QUERY_ROWS, width), float or int16
  void* k;                       // [keys / 64][width / step][64][step], step 1 or 2
  void* v;                       // [keys / step][wide][step]
  int32_t* sums;                 // (QUERY_ROWS, wide), float or int32
  int64_t bytes;

  Plan(const Attention& job, int64_t length, void* scratch) {
    keys = up(length, BLOCK), width = job.width, wide = up(width, 64), columns = keys + 16;
    const int64_t size = job.exact ? 4 : 2;
    char* at = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(scratch) + 63) / 64 * 64);
    const char* begin = at;
    const auto take = [&at](int64_t n) {
      char* part = at;
      at += up(n, 64);
      return static_cast<void*>(part);
    };
    k_scales = static_cast<float*>(take(4 * keys));
    v_scales = static_cast<float*>(take(4 * wide));
    row = static_cast<float*>(take(4 * width));
    q_scales = static_cast<float*>(take(4 * QUERY_ROWS));
    scores = static_cast<float*>(take(4 * QUERY_ROWS * columns));
    weights = static_cast<int16_t*>(take(2 * QUERY_ROWS * columns));
    q = take(size * QUERY_ROWS * width);
    k = take(size * keys * width);
    v = take(size * keys * wide);
    sums = static_cast<int32_t*>(take(4 * QUERY_ROWS * wide));
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
  const __m512 zero = _mm512_setzero_ps();
  for (int64_t channel = 0; channel < plan.wide; channel += 16) {
    const int64_t at = head * job.v.head + channel;
    const auto value = [&](int64_t key) {
      const bool there = channel < plan.width && key < length && visible(job, key);
      return there ? load(job.v.x, job.v.type, key * job.v.row + at, 0xffff) : zero;
    };
    if (job.exact) {
      float* v = static_cast<float*>(plan.v) + channel;
      for (int64_t key = 0; key < plan.keys; key++) _mm512_storeu_ps(v + key * plan.wide, value(key));
      continue;
    }
    __m512 most = _mm512_set1_ps(1e-30f), spoilt = zero;
    for (int64_t key = 0; key < length; key++) {
      const __m512 x = value(key);
      most = _mm512_max_ps(_mm512_abs_ps(x), most);
      spoilt = _mm512_fmadd_ps(x, zero, spoilt);
    }
    const __m512 factor = _mm512_div_ps(_mm512_set1_ps(VALUE_LEVELS), most);
    _mm512_storeu_ps(plan.v_scales + channel, _mm512_add_ps(_mm512_mul_ps(most, _mm512_set1_ps(1 / VALUE_LEVELS)), spoilt));
    int32_t* v = static_cast<int32_t*>(plan.v) + channel;
    for (int64_t key = 0; key < plan.keys; key += 2) {
      const __m512i even = _mm512_cvtps_epi32(_mm512_mul_ps(value(key), factor));
      const __m512i odd = _mm512_cvtps_epi32(_mm512_mul_ps(value(key + 1), factor));
      const __m512i pair = _mm512_or_si512(_mm512_and_si512(even, _mm512_set1_epi32(0xffff)), _mm512_slli_epi32(odd, 16));
      _mm512_storeu_si512(v + key / 2 * plan.wide, pair);
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

inline __m512 vector_of(const float* x) { return _mm512_loadu_ps(x); }
inline Integers vector_of(const int32_t* x) { return (Integers)_mm512_loadu_si512(x); }
inline void put(float* out, __m512 x) { _mm512_storeu_ps(out, x); }
inline void put(int32_t* out, Integers x) { _mm512_storeu_si512(out, (__m512i)x); }

inline void add_product(__m512& sum, float x, __m512 y) { sum = _mm512_fmadd_ps(_mm512_set1_ps(x), y, sum); }
inline void add_product(Integers& sum, int32_t pair, Integers y) {
  sum = (Integers)_mm512_dpwssd_epi32((__m512i)sum, _mm512_set1_epi32(pair), (__m512i)y);
}

// Products of some rows with 64 columns: out[row][64] += sum over n of x[row][n] * y[n][64]. Numbers are floats, or pairs
// of 16-bit integers.
template <class Vector, class Number, int... R>
void multiply_64(Indices<R...>, const Number* x, int64_t x_stride, const Number* y, int64_t y_stride, int64_t n, Number* out,
                 int64_t out_stride) {
  Vector a[] = {vector_of(out + R * out_stride)...}, b[] = {vector_of(out + R * out_stride + 16)...};
  Vector c[] = {vector_of(out + R * out_stride + 32)...}, d[] = {vector_of(out + R * out_stride + 48)...};
  for (int64_t i = 0; i < n; i++) {
    const Number* row = y + i * y_stride;
    const Vector p = vector_of(row), q = vector_of(row + 16), s = vector_of(row + 32), t = vector_of(row + 48);
    ((add_product(a[R], x[R * x_stride + i], p), add_product(b[R], x[R * x_stride + i], q),
      add_product(c[R], x[R * x_stride + i], s), add_product(d[R], x[R * x_stride + i], t)),
     ...);
  }
  ((put(out + R * out_stride, a[R]), put(out + R * out_stride + 16, b[R]), put(out + R * out_stride + 32, c[R]),
    put(out + R * out_stride + 48, d[R])),
   ...);
}

template <class Vector, class Number>
void multiply(int64_t rows, const Number* x, int64_t x_stride, const Number* y, int64_t y_stride, int64_t n, Number* out,
              int64_t out_stride) {
  for (; rows >= QUERY_TILE; rows -= QUERY_TILE) {
    multiply_64<Vector>(indices_to<QUERY_TILE>(), x, x_stride, y, y_stride, n, out, out_stride);
    x += QUERY_TILE * x_stride, out += QUERY_TILE * out_stride;
  }
  switch (rows) {
    case 1: return multiply_64<Vector>(indices_to<1>(), x, x_stride, y, y_stride, n, out, out_stride);
    case 2: return multiply_64<Vector>(indices_to<2>(), x, x_stride, y, y_stride, n, out, out_stride);
    case 3: return multiply_64<Vector>(indices_to<3>(), x, x_stride, y, y_stride, n, out, out_stride);
    case 4: return multiply_64<Vector>(indices_to<4>(), x, x_stride, y, y_stride, n, out, out_stride);
    case 5: return multiply_64<Vector>(indices_to<5>(), x, x_stride, y, y_stride, n, out, out_stride);
  }
}

void clear(void* x, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) _mm512_storeu_si512(static_cast<char*>(x) + i, _mm512_setzero_si512());
}

// Scores of queries and all keys; of the padding 0.
void score(const Plan& plan, bool exact, int64_t count) {
  clear(plan.scores, 4 * count * plan.columns);
  for (int64_t block = 0; block < plan.keys; block += BLOCK) {
    float* out = plan.scores + block;
    if (exact) {
      const float* k = static_cast<const float*>(plan.k) + block * plan.width;
      multiply<__m512>(count, static_cast<const float*>(plan.q), plan.width, k, BLOCK, plan.width, out, plan.columns);
      continue;
    }
    const int64_t pairs = plan.width / 2;
    const int32_t* k = static_cast<const int32_t*>(plan.k) + block * pairs;
    int32_t* sums = reinterpret_cast<int32_t*>(out);
    multiply<Integers>(count, static_cast<const int32_t*>(plan.q), pairs, k, BLOCK, pairs, sums, plan.columns);
    for (int64_t r = 0; r < count; r++) {
      const __m512 scale = _mm512_set1_ps(plan.q_scales[r]);
      for (int64_t i = 0; i < BLOCK; i += 16) {
        const __m512 both = _mm512_mul_ps(scale, _mm512_loadu_ps(plan.k_scales + block + i));
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + r * plan.columns + i));
        _mm512_storeu_ps(out + r * plan.columns + i, _mm512_mul_ps(sum, both));
      }
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

// Sums of values times weights, for each channel.
void mean(const Plan& plan, bool exact, int64_t count) {
  clear(plan.sums, 4 * count * plan.wide);
  for (int64_t block = 0; block < plan.keys; block += BLOCK) {
    for (int64_t channel = 0; channel < plan.wide; channel += 64) {
      if (exact) {
        float* out = reinterpret_cast<float*>(plan.sums) + channel;
        const float* v = static_cast<const float*>(plan.v) + block * plan.wide + channel;
        multiply<__m512>(count, plan.scores + block, plan.columns, v, plan.wide, BLOCK, out, plan.wide);
      } else {
        const int32_t* v = static_cast<const int32_t*>(plan.v) + block / 2 * plan.wide + channel;
        const int32_t* weights = reinterpret_cast<const int32_t*>(plan.weights + block);
        multiply<Integers>(count, weights, plan.columns / 2, v, plan.wide, BLOCK / 2, plan.sums + channel, plan.wide);
      }
    }
  }
}

void write_rows(const Attention& job, const Plan& plan, const float* factors, int64_t at, int64_t count, int64_t head) {
  for (int64_t r = 0; r < count; r++) {
    const __m512 factor = _mm512_set1_ps(factors[r]);
    for (int64_t i = 0; i < plan.width; i += 16) {
      const int32_t* place = plan.sums + r * plan.wide + i;
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
    score(plan, job.exact, count);
    for (int64_t r = 0; r < count; r++) factors[r] = weigh(job, plan, r, length);
    mean(plan, job.exact, count);
    write_rows(job, plan, factors, from, count, head);
  }
}

}  // namespace realtts::flow
