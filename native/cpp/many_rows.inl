// Products of many rows, included by kernels.inl for AVX-512. A slice of a panel stays in the first cache while it is
// multiplied by row after row, and 4-bit weights are unpacked once for all of them. Each sum is taken in the order of
// the products of few rows, so that it has the same bits.

constexpr int MANY_ROWS = 13;    // from which it is faster
constexpr int MANY_TILE = 96;    // rows whose sums are kept at once
constexpr int SLICE = 256;       // inputs
constexpr int SLICE_BYTES = SLICE * PANEL;

// A slice of a panel, its weights as bytes.
struct Slice {
  const uint8_t* weights = nullptr;  // [input / 4][32 outputs][4]
  const float* scales = nullptr;     // int4: [group][32 outputs]
  int group = 0, groups = 0;         // the first one, and how many
};

template <int R, bool INT4>
INLINE void slice_rows(const Slice& slice, const Activations& x, int row, float* totals) {
  constexpr int STEPS = INT4 ? 8 : 16;  // of four inputs in a group
  const uint8_t* w = slice.weights;
  const int8_t* q[R];
  F f[R][2];
  for (int r = 0; r < R; r++) {
    q[r] = x.q + (row + r) * x.q_stride + slice.group * STEPS * 4;
    f[r][0] = load(totals + r * PANEL), f[r][1] = load(totals + r * PANEL + LANES);
  }
  for (int g = 0; g < slice.groups; g++) {
    __m512i sums[R][2];
    for (int r = 0; r < R; r++) {
      sums[r][0] = sums[r][1] = _mm512_set1_epi32(x.zero[(row + r) * x.group_stride + slice.group + g]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < STEPS; k++) {
      __m512i a = _mm512_loadu_si512(w), b = _mm512_loadu_si512(w + 64);
      for (int r = 0; r < R; r++) {
        __m512i four = _mm512_set1_epi32(four_bytes(q[r] + (g * STEPS + k) * 4));
        add_dot(sums[r][0], a, four), add_dot(sums[r][1], b, four);
      }
      w += 128;
    }
    for (int r = 0; r < R; r++) {
      F scale = all(x.scale[(row + r) * x.group_stride + slice.group + g]);
      if (INT4) {
        const float* scales = slice.scales + g * PANEL;
        f[r][0] = fma(floats({sums[r][0]}), mul(load(scales), scale), f[r][0]);
        f[r][1] = fma(floats({sums[r][1]}), mul(load(scales + LANES), scale), f[r][1]);
      } else {
        f[r][0] = fma(floats({sums[r][0]}), scale, f[r][0]);
        f[r][1] = fma(floats({sums[r][1]}), scale, f[r][1]);
      }
    }
  }
  for (int r = 0; r < R; r++) store(totals + r * PANEL, f[r][0]), store(totals + r * PANEL + LANES, f[r][1]);
}

template <bool INT4>
void slice_turn(const Slice& slice, const Activations& x, int row, int count, float* sums) {
  switch (count) {
    case 1: slice_rows<1, INT4>(slice, x, row, sums); break;
    case 2: slice_rows<2, INT4>(slice, x, row, sums); break;
    case 3: slice_rows<3, INT4>(slice, x, row, sums); break;
    case 4: slice_rows<4, INT4>(slice, x, row, sums); break;
    case 5: slice_rows<5, INT4>(slice, x, row, sums); break;
    default: slice_rows<6, INT4>(slice, x, row, sums); break;
  }
}

INLINE void unpack_int4(const uint8_t* w, int groups, uint8_t* bytes, float* scales) {
  const __m512i nibble = _mm512_set1_epi8(15);
  for (int g = 0; g < groups; g++, w += 576, bytes += 1024, scales += PANEL) {
    for (int block = 0; block < 2; block++) {
      for (int j = 0; j < 4; j++) {
        __m512i both = _mm512_loadu_si512(w + 256 * block + 64 * j);
        uint8_t* to = bytes + 128 * j + 64 * block;
        _mm512_storeu_si512(to, _mm512_and_si512(both, nibble));
        _mm512_storeu_si512(to + 512, _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble));
      }
      store(scales + LANES * block, from_half(reinterpret_cast<const uint16_t*>(w + 512) + LANES * block));
    }
  }
}

template <bool INT4>
void many_rows_of(const Matrix& m, const Activations& x, int rows, int panel, float* out, size_t stride, Store how) {
  constexpr int GROUP = INT4 ? 32 : 64, GROUP_BYTES = INT4 ? 576 : 64 * PANEL;
  alignas(64) float sums[MANY_TILE * PANEL];
  alignas(64) uint8_t bytes[INT4 ? SLICE_BYTES : 1];
  alignas(64) float scales[INT4 ? SLICE / GROUP * PANEL : 1];
  for (int first = 0; first < rows; first += MANY_TILE) {
    const int count = rows - first < MANY_TILE ? rows - first : MANY_TILE;
    const int turns = (count + ROWS - 1) / ROWS;
    std::memset(sums, 0, size_t(count) * PANEL * sizeof(float));
    for (int begin = 0; begin < m.padded; begin += SLICE) {
      const uint8_t* w = m.data + size_t(panel) * m.panel_bytes + size_t(begin / GROUP) * GROUP_BYTES;
      Slice slice;
      slice.group = begin / GROUP;
      slice.groups = (m.padded - begin < SLICE ? m.padded - begin : SLICE) / GROUP;
      slice.weights = INT4 ? bytes : w, slice.scales = scales;
      if (INT4) unpack_int4(w, slice.groups, bytes, scales);
      // The slice that follows in memory, which may be the next panel's, is asked for while this one is used.
      const uint8_t* following = w + slice.groups * GROUP_BYTES;
      const int lines = slice.groups * GROUP_BYTES / 64;
      for (int turn = 0, row = 0; turn < turns; turn++) {
        const int some = (count - row + turns - turn - 1) / (turns - turn);  // in equal turns
        if (first == 0) {
          for (int line = lines * turn / turns; line < lines * (turn + 1) / turns; line++) {
            _mm_prefetch(reinterpret_cast<const char*>(following + 64 * line), _MM_HINT_T1);
          }
        }
        slice_turn<INT4>(slice, x, first + row, some, sums + row * PANEL);
        row += some;
      }
    }
    for (int row = 0; row < count; row++) {
      for (int block = 0; block < PANEL / LANES && block * LANES < m.width(panel); block++) {
        float* to = out + size_t(first + row) * stride + block * LANES;
        finish(m, panel, block, load(sums + row * PANEL + block * LANES), to, how);
      }
    }
  }
}

void many_rows(const Matrix& m, const Activations& x, int rows, int panel, float* out, size_t stride, Store how) {
  if (m.kind == Kind::int4) {
    many_rows_of<true>(m, x, rows, panel, out, stride, how);
  } else {
    many_rows_of<false>(m, x, rows, panel, out, stride, how);
  }
}
