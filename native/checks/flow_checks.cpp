// Products of int8 rows and attention without Python, for the sanitizers: every array ends where its numbers do.
#include "flow_checks.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "flow_kernels.hpp"
#include "memory.hpp"

namespace {

using namespace realtts::flow;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

std::vector<float> drawn(int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = normal(engine);
  return values;
}

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

void product(int64_t rows, int64_t inputs, int64_t outputs, int64_t block, int64_t window) {
  Weights weights{inputs, outputs, up(inputs, DEPTH), up(outputs, COLUMNS), block, nullptr, nullptr, nullptr, nullptr};
  auto values = realtts::allocate_weights(static_cast<size_t>(weights.depth * weights.width));
  for (int64_t i = 0; i < weights.depth * weights.width; i++) values.get()[i] = static_cast<uint8_t>(i * 7 % 251);
  std::vector<float> scales(static_cast<size_t>(weights.width), 1e-3f), bias = drawn(weights.width, 1);
  std::vector<int32_t> offsets(static_cast<size_t>(weights.width), 3);
  weights.values = reinterpret_cast<const int8_t*>(values.get());
  weights.scales = scales.data(), weights.bias = bias.data(), weights.offsets = offsets.data();
  const int64_t channels = inputs / window;
  std::vector<float> x = drawn(rows * channels, 2), norm = drawn(2 * outputs, 3), gate = drawn(outputs, 4);
  std::vector<float> out(static_cast<size_t>(rows * outputs), 0.0f), one(static_cast<size_t>(outputs), 0.0f);
  Product job{};
  job.x = x.data(), job.rows = rows, job.stride = channels, job.window = window, job.stages = 1;
  job.stage[0].weights = &weights, job.stage[0].norm = {norm.data(), norm.data() + outputs, 1e-5f};
  job.stage[0].activation = Activation::mish, job.stage[0].gate = gate.data();
  job.out = out.data(), job.out_stride = outputs;
  std::vector<char> scratch(static_cast<size_t>(product_scratch(job)));
  product_rows(job, 0, rows, scratch.data());
  for (float value : out) require(std::isfinite(value), "products of rows are finite");
  job.out = one.data() - (rows - 1) * outputs;
  product_rows(job, rows - 1, rows, scratch.data());
  require(std::memcmp(one.data(), out.data() + (rows - 1) * outputs, one.size() * 4) == 0, "a row alone");
}

void attention(int64_t length, int64_t heads, int64_t width, bool exact) {
  std::vector<float> x = drawn(length * 3 * heads * width, 5), out(static_cast<size_t>(length * heads * width), 0.0f);
  std::vector<float> tables = drawn(length * width, 6);
  std::vector<uint8_t> keys(static_cast<size_t>(length), 1);
  if (length > 2) keys[1] = 0;
  Attention job{};
  const auto part = [&](int64_t n) { return Heads{x.data() + n * heads * width, Type::float32, 3 * heads * width, width}; };
  job.q = part(0), job.k = part(1), job.v = part(2);
  job.heads = heads, job.width = width, job.scale = 0.2f, job.exact = exact, job.rotated = 1, job.keys = keys.data();
  job.cosines = tables.data(), job.sines = tables.data() + length * (width / 2);
  job.out = out.data(), job.out_stride = heads * width;
  std::vector<char> scratch(static_cast<size_t>(attention_scratch(job, length)));
  for (int64_t head = 0; head < heads; head++) attention_rows(job, length, head, 0, length, scratch.data());
  for (float value : out) require(std::isfinite(value), "means are finite");
}

}  // namespace

void check_flow() {
  for (auto [inputs, outputs, block, window] :
       {std::tuple<int64_t, int64_t, int64_t, int64_t>{1, 1, 1, 1}, {100, 7, 1, 1}, {64, 33, 64, 1}, {96, 70, 16, 3}}) {
    for (int64_t rows : {1, 2, 11, 12, 13, 49}) product(rows, inputs, outputs, block, window);
  }
  for (bool exact : {true, false}) {
    for (int64_t length : {1, 5, 24, 63, 64, 65, 100}) attention(length, 2, 64, exact);
    for (int64_t width : {16, 48, 80, 128}) attention(30, 1, width, exact);
  }
}
