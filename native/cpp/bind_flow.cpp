// For Python: 8-bit products and attention of networks that compute many rows at once.
#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "dispatch.hpp"
#include "flow_kernels.hpp"
#include "memory.hpp"
#include "pool.hpp"

namespace realtts::flow {

namespace {

using Array = nb::ndarray<nb::device::cpu>;
using Spans = std::vector<std::pair<int64_t, int64_t>>;

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

std::string shape_of(const Array& array) {
  std::string text = "(";
  for (size_t i = 0; i < array.ndim(); i++) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + ")";
}

Type type_of(const Array& array, const char* name) {
  const nb::dlpack::dtype type = array.dtype();
  if (type.lanes == 1 && type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float) && type.bits == 32) {
    return Type::float32;
  }
  if (type.lanes == 1 && type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat) && type.bits == 16) {
    return Type::bfloat16;
  }
  refuse(std::string(name) + " is neither float32 nor bfloat16");
}

void check_rows(const Array& array, size_t dimensions, const char* name) {
  if (array.ndim() != dimensions) {
    refuse(std::string(name) + " has the shape " + shape_of(array) + ": give " + std::to_string(dimensions) + " dimensions");
  }
  if (array.size() && array.shape(dimensions - 1) > 1 && array.stride(dimensions - 1) != 1) {
    refuse(std::string(name) + " is not dense in its last dimension: give x.contiguous()");
  }
}

// A float32 array of exactly this shape, contiguous; null where none was given.
const float* values_of(const std::optional<Array>& array, std::initializer_list<int64_t> shape, const char* name) {
  if (!array) return nullptr;
  bool fits = array->ndim() == shape.size() && type_of(*array, name) == Type::float32;
  int64_t dense = 1;
  for (size_t i = shape.size(); fits && i-- > 0;) {
    const int64_t size = shape.begin()[i];
    fits = static_cast<int64_t>(array->shape(i)) == size && (size < 2 || array->stride(i) == dense);
    dense *= size;
  }
  if (!fits) {
    std::string wanted;
    for (const int64_t size : shape) wanted += (wanted.empty() ? "" : ", ") + std::to_string(size);
    refuse(std::string(name) + " has the shape " + shape_of(*array) + ": give contiguous float32 (" + wanted + ")");
  }
  return static_cast<const float*>(array->data());
}

Activation activation_of(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu_tanh") return Activation::gelu_tanh;
  if (name == "silu") return Activation::silu;
  if (name == "mish") return Activation::mish;
  refuse("activation is '" + name.substr(0, 40) + "': choose from none, gelu, gelu_tanh, silu and mish");
}

void check_here() {
  if (std::string(kernels().name) != "avx512vnni") throw std::runtime_error("products of 8-bit rows take AVX-512 VNNI");
}

// Computes some units, each with scratch memory of its thread.
template <class Function>
class Units : public Job {
 public:
  Units(int64_t count, int threads, size_t bytes, Function function)
      : left_(static_cast<int>(count)), threads_(threads), bytes_((bytes + 63) / 64 * 64), function_(std::move(function)) {}
  void start(Scratch& scratch) override { memory_ = scratch.reserve(threads_ * bytes_); }
  int next() override { return std::exchange(left_, 0); }
  void item(int item, int thread, bool) override { function_(item, memory_ + thread * bytes_); }

 private:
  int left_, threads_;
  size_t bytes_;
  uint8_t* memory_ = nullptr;
  Function function_;
};

template <class Function>
void run_units(Pool& pool, int64_t count, size_t bytes, Function function) {
  Units<Function> job(count, pool.threads(), bytes, std::move(function));
  pool.run(job);
}

// A weight with one scale for each output, and its bias.
class RowWeight {
 public:
  RowWeight(const Array& array, const std::optional<Array>& bias, int64_t block) {
    check_here();
    check_rows(array, 2, "weight");
    const Type type = type_of(array, "weight");
    weights_.outputs = array.shape(0), weights_.inputs = array.shape(1);
    if (weights_.outputs < 1 || weights_.inputs < 1 || weights_.inputs > MOST_INPUTS) {
      refuse("weight has the shape " + shape_of(array) + ": give 1 to " + std::to_string(MOST_INPUTS) + " inputs");
    }
    if (block != 1 && (block < 16 || block > MOST_INPUTS || (block & (block - 1)) || weights_.inputs % block)) {
      refuse("block is " + std::to_string(block) + ": give 1, or a power of 2 from 16 that divides the " +
             std::to_string(weights_.inputs) + " inputs");
    }
    const float* given = values_of(bias, {weights_.outputs}, "bias");
    weights_.block = block;
    weights_.depth = (weights_.inputs + DEPTH - 1) / DEPTH * DEPTH;
    weights_.width = (weights_.outputs + COLUMNS - 1) / COLUMNS * COLUMNS;
    const size_t size = weights_.depth * weights_.width;
    memory_ = allocate_weights(size + 12 * weights_.width);
    values_ = reinterpret_cast<int8_t*>(memory_.get());
    scales_ = reinterpret_cast<float*>(memory_.get() + size);
    float* biases = scales_ + weights_.width;
    offsets_ = reinterpret_cast<int32_t*>(biases + weights_.width);
    if (given) std::memcpy(biases, given, 4 * weights_.outputs);
    weights_.values = values_, weights_.scales = scales_, weights_.bias = biases, weights_.offsets = offsets_;
    nb::gil_scoped_release released;
    std::vector<float> row(weights_.inputs);
    for (int64_t output = 0; output < weights_.outputs; output++) {
      read(array, type, output, row);
      if (!pack_row(row.data(), weights_, output, values_, scales_, offsets_)) {
        refuse("weight has a number that is not finite in row " + std::to_string(output));
      }
    }
  }

  const Weights& weights() const { return weights_; }

 private:
  void read(const Array& array, Type type, int64_t output, std::vector<float>& row) const {
    const int64_t at = output * array.stride(0);
    if (type == Type::float32) {
      std::memcpy(row.data(), static_cast<const float*>(array.data()) + at, 4 * row.size());
      return;
    }
    const uint16_t* half = static_cast<const uint16_t*>(array.data()) + at;
    for (size_t i = 0; i < row.size(); i++) {
      const uint32_t bits = static_cast<uint32_t>(half[i]) << 16;
      std::memcpy(&row[i], &bits, 4);
    }
  }

  Weights weights_{};
  std::shared_ptr<uint8_t> memory_;
  int8_t* values_ = nullptr;
  float* scales_ = nullptr;
  int32_t* offsets_ = nullptr;
};

Norm norm_of(const std::optional<Array>& norm, int64_t n, float eps, const char* name) {
  const float* values = values_of(norm, {2, n}, name);
  return {values, values ? values + n : nullptr, eps};
}

int64_t rows_at_once(int64_t rows, int64_t threads) {
  const int64_t share = (rows + 2 * threads - 1) / (2 * threads);  // two parts for each, that nobody waits for long
  return std::clamp((share + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS, TILE_ROWS, PANEL_ROWS);
}

void row_product(const Array& x, const RowWeight& weight, const Array& out, const RowWeight* second, int64_t window,
                 const std::optional<Array>& norm, const std::optional<Array>& last_norm, float eps,
                 const std::string& activation, const std::optional<Array>& shift, const std::optional<Array>& gate,
                 bool add, Pool* pool) {
  check_here();
  check_rows(x, 2, "x");
  check_rows(out, 2, "out");
  const RowWeight& last = second ? *second : weight;
  Product job{};
  job.x = x.data(), job.x_type = type_of(x, "x"), job.rows = x.shape(0), job.stride = x.stride(0), job.window = window;
  if (window < 1 || static_cast<int64_t>(x.shape(1)) * window != weight.weights().inputs) {
    refuse("x has the shape " + shape_of(x) + ": the weight has " + std::to_string(weight.weights().inputs) +
           " inputs for a window of " + std::to_string(window));
  }
  if (window > 1 && job.rows > 1 && job.stride != static_cast<int64_t>(x.shape(1))) {
    refuse("x has gaps between its rows: with a window give x.contiguous()");
  }
  if (window > 1 && norm) refuse("norm is given with a window: normalize x before");
  if (second && second->weights().inputs != weight.weights().outputs) {
    refuse("second has " + std::to_string(second->weights().inputs) + " inputs: give as many as weight has outputs, " +
           std::to_string(weight.weights().outputs));
  }
  if (static_cast<int64_t>(out.shape(0)) != job.rows || static_cast<int64_t>(out.shape(1)) != last.weights().outputs) {
    refuse("out has the shape " + shape_of(out) + ": give (" + std::to_string(job.rows) + ", " +
           std::to_string(last.weights().outputs) + ")");
  }
  job.out = out.data(), job.out_type = type_of(out, "out"), job.out_stride = out.stride(0), job.add = add;
  const bool same = job.x == job.out && job.x_type == job.out_type && job.stride == job.out_stride && window == 1;
  const char *x_begin = static_cast<const char*>(job.x), *out_begin = static_cast<const char*>(job.out);
  const auto bytes = [](const Array& array) { return static_cast<int64_t>(array.shape(0)) * array.stride(0) * array.itemsize(); };
  if (!same && x_begin < out_begin + bytes(out) && out_begin < x_begin + bytes(x)) {
    refuse("out shares memory with x: give other memory, or x itself without a window");
  }
  job.norm = norm_of(norm, x.shape(1), eps, "norm");
  job.stages = second ? 2 : 1;
  job.stage[0].weights = &weight.weights();
  if (second) job.stage[1].weights = &second->weights();
  job.stage[0].activation = activation_of(activation);
  Stage& end = job.stage[job.stages - 1];
  end.norm = norm_of(last_norm, last.weights().outputs, eps, "last_norm");
  end.shift = values_of(shift, {last.weights().outputs}, "shift");
  end.gate = values_of(gate, {last.weights().outputs}, "gate");
  if (!job.rows) return;
  nb::gil_scoped_release released;
  Pool& threads = pool_of(pool);
  int64_t part = rows_at_once(job.rows, threads.threads());
  while ((job.rows + part - 1) / part > Pool::MOST_ITEMS) part *= 2;
  run_units(threads, (job.rows + part - 1) / part, product_scratch(job), [&](int64_t unit, void* scratch) {
    product_rows(job, unit * part, std::min(job.rows, (unit + 1) * part), scratch);
  });
}

// One sequence, and where its queries begin among the units.
struct Sequence {
  Attention attention;
  int64_t length, parts, first_unit;
};

void attend(std::vector<Sequence>& sequences, Pool& pool) {
  const int64_t threads = pool.threads();
  int64_t heads = 0, units = 0, longest = 0;
  for (const Sequence& sequence : sequences) heads += sequence.attention.heads;
  // Each part packs its head's keys and values anew, so there are no more of them than the threads need.
  const int64_t wanted = heads >= 4 * threads ? 1 : (4 * threads + heads - 1) / heads;
  for (Sequence& sequence : sequences) {
    sequence.parts = std::clamp<int64_t>(wanted, 1, (sequence.length + 4 * QUERY_ROWS - 1) / (4 * QUERY_ROWS));
    sequence.first_unit = units;
    units += sequence.parts * sequence.attention.heads;
    longest = std::max(longest, sequence.length);
  }
  if (units > Pool::MOST_ITEMS) refuse("too many sequences at once: give at most " + std::to_string(Pool::MOST_ITEMS) + " heads");
  const size_t bytes = attention_scratch(sequences.front().attention, longest);
  run_units(pool, units, bytes, [&](int64_t unit, void* scratch) {
    const auto after = std::upper_bound(sequences.begin(), sequences.end(), unit,
                                        [](int64_t u, const Sequence& s) { return u < s.first_unit; });
    const Sequence& sequence = *(after - 1);
    const int64_t index = unit - sequence.first_unit, head = index / sequence.parts, part = index % sequence.parts;
    const int64_t share = (sequence.length + sequence.parts - 1) / sequence.parts;
    const int64_t rows = (share + QUERY_ROWS - 1) / QUERY_ROWS * QUERY_ROWS;
    const int64_t first = std::min(part * rows, sequence.length), last = std::min(first + rows, sequence.length);
    if (first < last) attention_rows(sequence.attention, sequence.length, head, first, last, scratch);
  });
}

int64_t width_of(int64_t channels, int64_t heads, const char* name) {
  if (heads < 1 || channels % heads || channels / heads % 16 || channels / heads > MOST_WIDTH || !channels) {
    refuse(std::string(name) + " has " + std::to_string(channels) + " channels for " + std::to_string(heads) +
           " heads: give heads of a multiple of 16, at most " + std::to_string(MOST_WIDTH));
  }
  return channels / heads;
}

void packed_attention(const Array& qkv, const Array& out, int64_t heads, const Spans& spans, bool exact, float scale,
                      const std::optional<Array>& rotary, std::optional<int64_t> rotated, Pool* pool) {
  check_here();
  check_rows(qkv, 2, "qkv");
  check_rows(out, 2, "out");
  if (qkv.shape(1) % 3) refuse("qkv has the shape " + shape_of(qkv) + ": give queries, keys and values side by side");
  const int64_t rows = qkv.shape(0), channels = qkv.shape(1) / 3, width = width_of(channels, heads, "qkv");
  if (static_cast<int64_t>(out.shape(0)) != rows || static_cast<int64_t>(out.shape(1)) != channels) {
    refuse("out has the shape " + shape_of(out) + ": give (" + std::to_string(rows) + ", " + std::to_string(channels) + ")");
  }
  const int64_t positions = rotary && rotary->ndim() == 3 ? rotary->shape(1) : 0;
  const float* tables = values_of(rotary, {2, positions, width / 2}, "rotary");
  if (rotated && (*rotated < 0 || *rotated > heads)) refuse("rotated is " + std::to_string(*rotated) + ": give at most heads");
  const Type type = type_of(qkv, "qkv"), out_type = type_of(out, "out");
  const int64_t size = type == Type::float32 ? 4 : 2, out_size = out_type == Type::float32 ? 4 : 2;
  std::vector<Sequence> sequences;
  for (const auto& [begin, length] : spans) {
    if (begin < 0 || length < 1 || begin > rows - length) {
      refuse("a span is (" + std::to_string(begin) + ", " + std::to_string(length) + "): there are " + std::to_string(rows) + " rows");
    }
    if (tables && length > positions) refuse("rotary has " + std::to_string(positions) + " positions: a sequence is longer");
    const char* x = static_cast<const char*>(qkv.data()) + begin * qkv.stride(0) * size;
    char* place = static_cast<char*>(out.data()) + begin * out.stride(0) * out_size;
    const auto part = [&](int64_t n) { return Heads{x + n * channels * size, type, qkv.stride(0), width}; };
    sequences.push_back({{part(0), part(1), part(2), heads, width, scale, exact, tables,
                          tables ? tables + positions * (width / 2) : nullptr, rotated.value_or(heads), nullptr, place,
                          out_type, out.stride(0)}, length, 1, 0});
  }
  if (sequences.empty()) return;
  nb::gil_scoped_release released;
  attend(sequences, pool_of(pool));
}

void attention(const Array& q, const Array& k, const Array& v, const Array& out, bool exact, float scale,
               const std::optional<Array>& keys, Pool* pool) {
  check_here();
  const Array* inputs[] = {&q, &k, &v};
  const char* names[] = {"q", "k", "v"};
  for (int i = 0; i < 3; i++) {
    check_rows(*inputs[i], 4, names[i]);
    for (int d = 0; d < 4; d++) {
      if (inputs[i]->shape(d) != q.shape(d)) {
        refuse(std::string(names[i]) + " has the shape " + shape_of(*inputs[i]) + ": give that of q, " + shape_of(q));
      }
    }
  }
  const int64_t count = q.shape(0), heads = q.shape(1), length = q.shape(2), width = width_of(heads * q.shape(3), heads, "q");
  check_rows(out, 3, "out");
  const bool fits = static_cast<int64_t>(out.shape(0)) == count && static_cast<int64_t>(out.shape(1)) == length;
  if (!fits || static_cast<int64_t>(out.shape(2)) != heads * width) {
    refuse("out has the shape " + shape_of(out) + ": give (sequences, rows, heads * width)");
  }
  if (keys && (keys->ndim() != 2 || static_cast<int64_t>(keys->shape(0)) != count || keys->itemsize() != 1 ||
               static_cast<int64_t>(keys->shape(1)) != length || (length > 1 && keys->stride(1) != 1))) {
    refuse("keys has the shape " + shape_of(*keys) + ": give bool (sequences, rows), dense");
  }
  const Type out_type = type_of(out, "out");
  std::vector<Sequence> sequences;
  for (int64_t n = 0; n < count; n++) {
    Heads parts[3];
    for (int i = 0; i < 3; i++) {
      const Type type = type_of(*inputs[i], names[i]);
      const char* x = static_cast<const char*>(inputs[i]->data()) + n * inputs[i]->stride(0) * inputs[i]->itemsize();
      parts[i] = {x, type, inputs[i]->stride(2), inputs[i]->stride(1)};
    }
    const uint8_t* seen = keys ? static_cast<const uint8_t*>(keys->data()) + n * keys->stride(0) : nullptr;
    char* place = static_cast<char*>(out.data()) + n * out.stride(0) * out.itemsize();
    sequences.push_back({{parts[0], parts[1], parts[2], heads, width, scale, exact, nullptr, nullptr, 0, seen, place,
                          out_type, out.stride(1)}, length, 1, 0});
  }
  if (!count || !length) return;
  nb::gil_scoped_release released;
  attend(sequences, pool_of(pool));
}

}  // namespace

}  // namespace realtts::flow

namespace realtts {

void bind_flow(nb::module_& m) {
  using namespace nb::literals;
  using realtts::flow::RowWeight;
  nb::class_<RowWeight>(m, "RowWeight")
      .def(nb::init<const realtts::flow::Array&, const std::optional<realtts::flow::Array>&, int64_t>(), "weight"_a,
           "bias"_a = nb::none(), nb::kw_only(), "block"_a = 1)
      .def_prop_ro("in_features", [](const RowWeight& w) { return w.weights().inputs; })
      .def_prop_ro("out_features", [](const RowWeight& w) { return w.weights().outputs; })
      .def_prop_ro("nbytes", [](const RowWeight& w) { return w.weights().depth * w.weights().width; });
  m.def("row_product", &realtts::flow::row_product, "x"_a, "weight"_a, "out"_a, nb::kw_only(),
        "second"_a = nb::none(), "window"_a = 1, "norm"_a = nb::none(), "last_norm"_a = nb::none(), "eps"_a = 1e-5f,
        "activation"_a = "none", "shift"_a = nb::none(), "gate"_a = nb::none(), "add"_a = false, "pool"_a = nb::none());
  m.def("packed_attention", &realtts::flow::packed_attention, "qkv"_a, "out"_a, nb::kw_only(), "heads"_a, "spans"_a,
        "exact"_a = true, "scale"_a = 1.0f, "rotary"_a = nb::none(), "rotated"_a = nb::none(), "pool"_a = nb::none());
  m.def("attention", &realtts::flow::attention, "q"_a, "k"_a, "v"_a, "out"_a, nb::kw_only(), "exact"_a = true,
        "scale"_a = 1.0f, "keys"_a = nb::none(), "pool"_a = nb::none());
}

}  // namespace realtts
