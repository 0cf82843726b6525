// The kernels without Python, for the sanitizers: products, steps and pools, on each instruction set that is here.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <vector>

#include "codes.hpp"
#include "dispatch.hpp"
#include "flow_checks.hpp"
#include "step.hpp"

namespace {

using namespace realtts;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

std::vector<float> drawn(size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = normal(engine);
  return values;
}

std::shared_ptr<const Weight> packed(int out, int in, Kind kind, int parts, Pool& pool, unsigned seed) {
  std::vector<float> values = drawn(size_t(out) * size_t(in), seed), bias = drawn(size_t(out), seed + 1);
  for (float& value : values) value /= std::sqrt(float(in));
  Source source{values.data(), Real::f32, out, in, in};
  return Weight::pack(source, kind, parts, bias.data(), pool);
}

void products(Kind kind, Pool& pool) {
  for (auto [out, in] : {std::pair{1, 1}, {33, 65}, {64, 128}, {95, 31}, {130, 257}}) {
    auto weight = packed(out, in, kind, 1, pool, 3);
    for (int rows : {1, 2, 5, 6, 7, 13, 101}) {
      // Vectors of their own, so that an address sanitizer sees what reads beyond an end.
      std::vector<float> x = drawn(size_t(rows) * size_t(in), 5), y(size_t(rows) * size_t(out), 0.0f);
      weight->run(x.data(), in, rows, y.data(), out, pool);
      std::vector<float> one(static_cast<size_t>(out));
      weight->run(x.data() + (rows - 1) * in, in, 1, one.data(), out, pool);
      require(std::memcmp(one.data(), y.data() + (rows - 1) * out, one.size() * 4) == 0, "a row alone");
      for (float value : y) require(std::isfinite(value), "products are finite");
    }
    std::vector<float> whole(size_t(out) * size_t(in));
    weight->dequantize(whole.data());
    std::vector<uint8_t> dump(weight->bytes(), weight->bytes() + weight->size());
    auto copy = Weight::copy(dump.data(), dump.size());
    require(copy->size() == weight->size(), "a copy");
    for (size_t length : {size_t{0}, size_t{63}, dump.size() - 1}) {
      try {
        Weight::copy(dump.data(), length);
        require(false, "a dump that is cut short is refused");
      } catch (const std::invalid_argument&) {
      }
    }
  }
}

struct Tensors {
  int layers, rows, heads, cap, dim;
  std::vector<uint16_t> kv;
  std::vector<int64_t> slots, positions, rotations;
  std::vector<uint8_t> valid, active;

  Tensors(int l, int r, int h, int c, int d)
      : layers(l), rows(r), heads(h), cap(c), dim(d), kv(size_t(l) * 2 * r * h * (c + 1) * d, 0), slots(size_t(r)),
        positions(size_t(r)), rotations(size_t(r) * (c + 1)), valid(size_t(r) * (c + 1)), active(size_t(r), 1) {}

  CacheView view(Real real) {
    CacheView v;
    v.kv = kv.data(), v.real = real;
    v.layers = layers, v.rows = rows, v.kv_heads = heads, v.cap = cap, v.head_dim = dim;
    v.slot_stride = dim, v.head_stride = ptrdiff_t(dim) * (cap + 1), v.row_stride = v.head_stride * heads;
    v.part_stride = v.row_stride * rows, v.layer_stride = v.part_stride * 2;
    v.slots = slots.data(), v.positions = positions.data(), v.active = reinterpret_cast<bool*>(active.data());
    v.valid = valid.data(), v.rotations = rotations.data(), v.valid_stride = v.rotations_stride = cap + 1;
    return v;
  }
};

Decoder decoder(Kind kind, bool gated, int heads, int kv_heads, int dim, Pool& pool) {
  Decoder d;
  d.hidden = 72, d.heads = heads, d.kv_heads = kv_heads, d.head_dim = dim, d.mlp = 100, d.eps = 1e-6f, d.gated = gated;
  d.positions = gated ? 32 : 0;
  d.cos = d.sin = Floats(size_t(d.positions) * size_t(dim), 0.7f);
  d.final_norm = Floats(72, 1.0f);
  if (!gated) d.final_norm_bias = Floats(72, 0.1f);
  for (unsigned layer = 0; layer < 2; layer++) {
    LayerParts parts;
    parts.input_norm = parts.mlp_norm = d.final_norm;
    parts.input_norm_bias = parts.mlp_norm_bias = d.final_norm_bias;
    if (gated) parts.q_norm = parts.k_norm = Floats(size_t(dim), 1.0f);
    parts.qkv = packed((heads + 2 * kv_heads) * dim, 72, kind, 1, pool, 10 * layer);
    parts.out = packed(72, heads * dim, kind, 1, pool, 10 * layer + 1);
    parts.gate_up = packed(gated ? 200 : 100, 72, kind, gated ? 2 : 1, pool, 10 * layer + 2);
    parts.down = packed(72, 100, kind, 1, pool, 10 * layer + 3);
    d.layers.push_back(std::move(parts));
  }
  d.head = packed(50, 72, kind, 1, pool, 99);
  d.check();
  return d;
}

std::vector<float> speak(const Decoder& d, Real real, int steps, Pool& pool) {
  const int rows = 3, cap = 24, most = 6;
  Tensors tensors(int(d.layers.size()), rows, d.kv_heads, cap, d.head_dim * (real == Real::f32 ? 2 : 1));
  tensors.active[1] = 0;
  CacheView view = tensors.view(real);
  if (real == Real::f32) {  // the same bytes, half as many numbers
    view.head_dim = d.head_dim;
    view.slot_stride /= 2, view.head_stride /= 2, view.row_stride /= 2, view.part_stride /= 2, view.layer_stride /= 2;
  }
  std::vector<float> x = drawn(size_t(most) * 72, 7), out(x.size()), logits(size_t(most) * 50), taps(2 * rows * cap);
  TapsView tap;
  tap.heads = {{0, 0}, {1, d.heads - 1}};
  tap.out = taps.data(), tap.row_stride = cap, tap.pair_stride = rows * cap, tap.rows = rows, tap.cap = cap;
  StepArguments a;
  a.x = x.data(), a.x_stride = 72, a.out = out.data(), a.out_stride = 72, a.logits = logits.data(), a.logits_stride = 50;
  a.taps = &tap;
  for (int step = 0; step < steps; step++) {
    a.rows = step % 2 ? std::vector<int>{0, 1, 2} : std::vector<int>{2, 0, 1};
    d.run(view, a, pool);
  }
  a.rows = {0, 2, 0, 0, 1, 2};  // several positions of a row
  d.run(view, a, pool);
  for (float value : logits) require(std::isfinite(value), "logits are finite");
  require(tensors.slots[0] == steps + 3 && tensors.slots[1] == 0, "rows move on");
  try {
    a.rows = {0, 3};
    d.run(view, a, pool);
    require(false, "a row that is not there is refused");
  } catch (const std::invalid_argument&) {
  }
  return logits;
}

void steps(Kind kind, Pool& pool, Pool& other) {
  struct Form {
    bool gated;
    int heads, kv_heads, dim;
  };
  for (const Form& f : {Form{true, 4, 2, 16}, Form{true, 7, 1, 64}, Form{true, 3, 3, 10}, Form{false, 6, 6, 12}}) {
    Decoder d = decoder(kind, f.gated, f.heads, f.kv_heads, f.dim, pool);
    for (Real real : {Real::f16, Real::bf16, Real::f32}) {
      auto first = speak(d, real, 20, pool), second = speak(d, real, 20, other);
      require(std::memcmp(first.data(), second.data(), first.size() * 4) == 0, "the number of threads changes nothing");
    }
    std::vector<std::thread> callers;
    for (Pool* one : {&pool, &other, &pool}) callers.emplace_back([&d, one] { speak(d, Real::f16, 8, *one); });
    for (auto& caller : callers) caller.join();
  }
}

// Many positions at once, in any split, are as one by one.
void prompts(Kind kind, Pool& pool, Pool& other) {
  for (auto [heads, kv_heads, dim] : {std::tuple{4, 2, 16}, {7, 1, 64}, {3, 3, 10}, {4, 4, 32}}) {
    Decoder d = decoder(kind, true, heads, kv_heads, dim, pool);
    const int n = 29;
    std::vector<float> x = drawn(size_t(2 * n) * 72, 21), expected(x.size());
    for (int most : {1, 3, 16, n}) {
      Tensors tensors(2, 2, kv_heads, 32, dim);
      CacheView view = tensors.view(Real::f16);
      std::vector<float> out(x.size());
      for (int begin = 0; begin < n; begin += most) {
        const int count = std::min(most, n - begin);
        StepArguments a;
        std::vector<float> part, got(size_t(2 * count) * 72);
        for (int row : {0, 1}) {
          part.insert(part.end(), x.begin() + (row * n + begin) * 72, x.begin() + (row * n + begin + count) * 72);
          a.rows.insert(a.rows.end(), size_t(count), row);
        }
        a.x = part.data(), a.x_stride = 72, a.out = got.data(), a.out_stride = 72;
        d.run(view, a, begin % 2 ? pool : other);
        for (int row : {0, 1}) {
          std::copy_n(got.begin() + row * count * 72, count * 72, out.begin() + (row * n + begin) * 72);
        }
      }
      if (most == 1) expected = out;
      require(std::memcmp(out.data(), expected.data(), out.size() * 4) == 0, "a prompt is its positions one by one");
    }
  }
}

void codes(Kind kind, Pool& pool, Pool& other) {
  Decoder d = decoder(kind, true, 4, 2, 16, pool);
  Recipe recipe;
  recipe.vocabulary = recipe.noise_width = 50;
  recipe.order = {Process::temperature, Process::top_k, Process::top_p};
  Sampler sampler(recipe);
  CodePredictor predictor;
  predictor.decoder = &d, predictor.sampler = &sampler, predictor.width = 40;
  std::vector<float> first = drawn(60 * 40, 31), others = drawn(3 * 50 * 40, 32), hidden = drawn(5 * 40, 33);
  std::vector<float> noise = drawn(3 * 5 * 50, 34);
  for (float& value : noise) value = std::abs(value) + 1e-3f;
  predictor.first = Table{first.data(), Real::f32, 60, 40};
  for (unsigned group = 0; group < 3; group++) {
    predictor.others.push_back(Table{others.data() + group * 50 * 40, Real::f32, 50, 40});
    predictor.heads.push_back(packed(50, 72, kind, 1, pool, 40 + group));
  }
  predictor.projection = packed(72, 40, kind, 1, pool, 50);
  predictor.check();
  std::vector<int64_t> expected;
  for (int n : {5, 1}) {
    Tensors tensors(2, n, 2, 8, 16);
    std::vector<int64_t> drawn_codes(size_t(n) * 4, 7);
    std::vector<float> embedded(size_t(n) * 4 * 40);
    Frame frame;
    frame.rows = n, frame.hidden = hidden.data(), frame.hidden_stride = 40;
    frame.codes = drawn_codes.data(), frame.embedded = embedded.data();
    frame.noise = noise.data(), frame.noise_group_stride = 5 * 50, frame.noise_stride = 50;
    RowParameters with;
    with.temperature = 0.9f, with.top_k = 20, with.rest = 0.1f;
    frame.drawn_with.assign(size_t(n), with);
    predictor.run(tensors.view(Real::f16), frame, n == 1 ? other : pool);
    if (expected.empty()) expected = drawn_codes;
    require(std::equal(drawn_codes.begin(), drawn_codes.end(), expected.begin()), "a row alone draws the same codes");
    require(!frame.broken[0], "codes are drawn from finite scores");
  }
}

}  // namespace

int main() {
  for (const auto& name : features()) {
    std::vector<std::string> alone = {name};
    fake_features(&alone);
    Pool pool(3), other(1);
    for (Kind kind : {Kind::int8, Kind::int4, Kind::bf16}) {
      products(kind, pool);
      steps(kind, pool, other);
      prompts(kind, pool, other);
      codes(kind, pool, other);
    }
    if (name == "avx512vnni") check_flow();
    for (int n = 0; n < 20; n++) Pool(2).read_rates(1 << 20, 1);
    std::printf("%s: all well\n", name.c_str());
  }
  fake_features(nullptr);
  return 0;
}
