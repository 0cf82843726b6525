#include "weight.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "dispatch.hpp"

namespace realtts {

namespace {

constexpr char MAGIC[8] = {'R', 'T', 'T', 'S', 'N', 'A', 'T', '\0'};
constexpr int MOST = 1 << 24;         // outputs or inputs
constexpr size_t ITEM_BYTES = 65536;  // of weights, about
constexpr float MOST_INT4 = 4e5f;     // an eighth of it is a float16

struct Header {
  char magic[8];
  uint32_t layout, kind, parts, out, in, reserved;
  uint64_t size;
  uint8_t padding[24];
};
static_assert(sizeof(Header) == 64, "as it lies in files");

// Where everything lies, from the header alone.
struct Plan {
  Matrix matrix;
  size_t bias = 0, scale = 0, data = 0, size = 0;

  Plan(Kind kind, int parts, int out, int in) {
    Matrix& m = matrix;
    m.kind = kind, m.parts = parts, m.out = out, m.in = in;
    m.padded = round_up(in, INPUT_BLOCK);
    m.panels = parts * (round_up(out, PANEL) / PANEL);
    size_t values = size_t(m.padded) * PANEL;
    m.panel_bytes = kind == Kind::int8 ? values : kind == Kind::int4 ? values / 2 + values / 16 : values * 2;
    size_t lanes = size_t(m.panels) * PANEL * sizeof(float);
    bias = sizeof(Header);
    scale = bias + lanes;
    data = scale + (kind == Kind::int8 ? lanes : 0);
    size = data + m.panel_bytes * size_t(m.panels);
  }
};

class Packing : public Job {
 public:
  Packing(const Kernels& kernels, const Source& source, const Plan& plan, uint8_t* bytes, int threads)
      : k_(kernels), source_(source), plan_(plan), bytes_(bytes), threads_(threads) {
    panels_ = (plan.matrix.panels + Pool::MOST_ITEMS - 1) / Pool::MOST_ITEMS;
  }

  void start(Scratch& scratch) override {
    size_t padded = size_t(plan_.matrix.padded);
    for (int pass = 0; pass < 2; pass++) {
      Layout layout(pass ? scratch.reserve(needed_) : nullptr);
      rows_ = layout.take<float>(padded * size_t(threads_));
      rounded_ = layout.take<int8_t>(padded * size_t(threads_));
      needed_ = layout.used();
    }
  }

  int next() override { return std::exchange(begun_, true) ? 0 : (plan_.matrix.panels + panels_ - 1) / panels_; }

  void item(int item, int thread, bool) override {
    int end = std::min((item + 1) * panels_, plan_.matrix.panels);
    for (int panel = item * panels_; panel < end; panel++) pack(panel, thread);
  }

  float most() const { return most_.load(); }

 private:
  void pack(int panel, int thread) {
    const Matrix& m = plan_.matrix;
    uint8_t* to = bytes_ + plan_.data + size_t(panel) * m.panel_bytes;
    float* row = rows_ + size_t(m.padded) * size_t(thread);
    auto* scales = reinterpret_cast<float*>(bytes_ + plan_.scale) + panel * PANEL;
    if (m.kind != Kind::bf16) std::memset(to, m.kind == Kind::int8 ? 0x80 : 0x88, m.panel_bytes);
    if (m.kind == Kind::int4) {  // scales of absent outputs
      for (int g = 0; g < m.padded / 32; g++) std::memset(to + size_t(g) * 576 + 512, 0, 64);
    }
    for (int lane = 0; lane < m.width(panel); lane++) {
      ptrdiff_t at = (m.column(panel) + lane) * source_.stride * ptrdiff_t(real_bytes(source_.real));
      k_.widen(static_cast<const uint8_t*>(source_.data) + at, source_.real, m.in, row);
      float most = k_.most(row, m.in);
      if (!note(most)) return;
      if (m.kind == Kind::int8) {
        scales[lane] = k_.pack_int8(row, m.in, m.padded, most, to, lane, rounded_ + size_t(m.padded) * size_t(thread));
      } else if (m.kind == Kind::int4) {
        k_.pack_int4(row, m.in, m.padded, to, lane);
      } else {
        k_.pack_bf16(row, m.in, m.padded, to, lane);
      }
    }
  }

  bool note(float most) {
    float before = most_.load(std::memory_order_relaxed);
    while (!(most <= before) && !std::isnan(before) && !most_.compare_exchange_weak(before, most)) {
    }
    return std::isfinite(most);
  }

  const Kernels& k_;
  const Source& source_;
  const Plan& plan_;
  uint8_t* bytes_;
  int threads_, panels_;
  bool begun_ = false;
  size_t needed_ = 0;
  float* rows_ = nullptr;
  int8_t* rounded_ = nullptr;
  std::atomic<float> most_{0.0f};
};

class Product : public Job {
 public:
  Product(const Kernels& kernels, const Matrix& matrix, const float* x, ptrdiff_t x_stride, int rows, float* out,
          ptrdiff_t out_stride, int threads)
      : k_(kernels), m_(matrix), x_(x), x_stride_(x_stride), rows_(rows), out_(out), out_stride_(out_stride),
        share_(Share::of(matrix, threads)), rows_each_((rows + Pool::MOST_ITEMS - 1) / Pool::MOST_ITEMS) {}

  void start(Scratch& scratch) override {
    for (int pass = 0; pass < 2; pass++) {
      Layout layout(pass ? scratch.reserve(needed_) : nullptr);
      inputs_ = Inputs(m_, rows_, layout);
      needed_ = layout.used();
    }
  }

  int next() override {
    switch (phase_++) {
      case 0: return (rows_ + rows_each_ - 1) / rows_each_;
      case 1: return share_.items;
      default: return 0;
    }
  }

  void item(int item, int, bool) override {
    if (phase_ == 1) {
      for (int row = item * rows_each_; row < std::min((item + 1) * rows_each_, rows_); row++) {
        inputs_.write(k_, row, 0, x_ + row * x_stride_, m_.in, m_.padded);
      }
      return;
    }
    int end = std::min((item + 1) * share_.panels, m_.panels);
    for (int row = 0; row < rows_; row += ROW_TILE) {
      Activations x = inputs_.from(row);
      for (int panel = item * share_.panels; panel < end; panel++) {
        k_.product(m_, x, std::min(ROW_TILE, rows_ - row), panel, out_ + row * out_stride_ + m_.column(panel),
                   size_t(out_stride_), Store::set);
      }
    }
  }

 private:
  const Kernels& k_;
  const Matrix& m_;
  const float* x_;
  ptrdiff_t x_stride_;
  int rows_;
  float* out_;
  ptrdiff_t out_stride_;
  Share share_;
  int rows_each_, phase_ = 0;
  size_t needed_ = 0;
  Inputs inputs_;
};

std::invalid_argument wrong(const std::string& what) { return std::invalid_argument(what); }

}  // namespace

Kind kind_of(const std::string& name) {
  if (name == "int8") return Kind::int8;
  if (name == "int4") return Kind::int4;
  if (name == "bf16") return Kind::bf16;
  throw wrong("kind is '" + name.substr(0, 40) + "': give 'int8', 'int4' or 'bf16'");
}

const char* name_of(Kind kind) { return kind == Kind::int8 ? "int8" : kind == Kind::int4 ? "int4" : "bf16"; }

Weight::Weight(const uint8_t* bytes, size_t size, std::shared_ptr<void> owner)
    : bytes_(bytes), size_(size), owner_(std::move(owner)) {
  Header header;
  std::memcpy(&header, bytes, sizeof header);
  Plan plan(Kind(header.kind), int(header.parts), int(header.out), int(header.in));
  matrix_ = plan.matrix;
  matrix_.data = bytes + plan.data;
  matrix_.bias = reinterpret_cast<const float*>(bytes + plan.bias);
  matrix_.scale = matrix_.kind == Kind::int8 ? reinterpret_cast<const float*>(bytes + plan.scale) : nullptr;
}

std::shared_ptr<const Weight> Weight::pack(const Source& source, Kind kind, int parts, const float* bias, Pool& pool) {
  if (source.out < 1 || source.in < 1 || source.out > MOST || source.in > MOST) {
    throw wrong("a matrix of " + std::to_string(source.out) + " by " + std::to_string(source.in) +
                ": give 1 to " + std::to_string(MOST) + " outputs and inputs");
  }
  if (parts < 1 || parts > 64 || source.out % parts) {
    throw wrong(std::to_string(parts) + " parts of " + std::to_string(source.out) +
                " outputs: give a number of parts, at most 64, that divides the outputs");
  }
  const Kernels& k = kernels();
  Plan plan(kind, parts, source.out / parts, source.in);
  std::shared_ptr<uint8_t> bytes = allocate_weights(plan.size);
  Header header{};
  std::memcpy(header.magic, MAGIC, sizeof MAGIC);
  header.layout = LAYOUT, header.kind = uint32_t(kind), header.parts = uint32_t(parts);
  header.out = uint32_t(plan.matrix.out), header.in = uint32_t(source.in), header.size = plan.size;
  std::memcpy(bytes.get(), &header, sizeof header);
  auto* biases = reinterpret_cast<float*>(bytes.get() + plan.bias);
  for (int panel = 0; bias && panel < plan.matrix.panels; panel++) {
    std::copy_n(bias + plan.matrix.column(panel), plan.matrix.width(panel), biases + panel * PANEL);
  }
  Packing packing(k, source, plan, bytes.get(), pool.threads());
  pool.run(packing);
  if (!std::isfinite(packing.most())) throw wrong("a weight is not finite: give finite weights");
  if (kind == Kind::int4 && packing.most() > MOST_INT4) {
    throw wrong("a weight is too large for int4: give kind='int8' or 'bf16'");
  }
  uint8_t* data = bytes.get();
  return std::shared_ptr<const Weight>(new Weight(data, plan.size, std::move(bytes)));
}

namespace {

size_t checked_size(const uint8_t* data, size_t available) {
  Header header;
  if (available < sizeof header) throw wrong("cut short: " + std::to_string(available) + " bytes of a packed weight");
  std::memcpy(&header, data, sizeof header);
  if (std::memcmp(header.magic, MAGIC, sizeof MAGIC) != 0) throw wrong("not a packed weight: give what dump() returned");
  if (header.layout != LAYOUT) {
    throw wrong("packed in layout " + std::to_string(header.layout) + ", this is " + std::to_string(LAYOUT) +
                ": pack the weight anew");
  }
  bool fits = header.kind >= 1 && header.kind <= 3 && header.parts >= 1 && header.parts <= 64 && header.out >= 1 &&
              header.out <= uint32_t(MOST) && header.in >= 1 && header.in <= uint32_t(MOST);
  if (!fits || Plan(Kind(header.kind), int(header.parts), int(header.out), int(header.in)).size != header.size) {
    throw wrong("damaged: the header of a packed weight does not fit itself: pack the weight anew");
  }
  if (available < header.size) {
    throw wrong("cut short: " + std::to_string(available) + " of " + std::to_string(header.size) +
                " bytes of a packed weight");
  }
  return header.size;
}

}  // namespace

std::shared_ptr<const Weight> Weight::load(const uint8_t* data, size_t available, std::shared_ptr<void> owner) {
  size_t size = checked_size(data, available);
  if (reinterpret_cast<uintptr_t>(data) % 64) return copy(data, available);
  return std::shared_ptr<const Weight>(new Weight(data, size, std::move(owner)));
}

std::shared_ptr<const Weight> Weight::copy(const uint8_t* data, size_t available) {
  size_t size = checked_size(data, available);
  std::shared_ptr<uint8_t> bytes = allocate_weights(size);
  std::memcpy(bytes.get(), data, size);
  uint8_t* to = bytes.get();
  return std::shared_ptr<const Weight>(new Weight(to, size, std::move(bytes)));
}

size_t Weight::read_bytes() const { return size_ - sizeof(Header); }

void Weight::dequantize(float* out) const {
  const Matrix& m = matrix_;
  auto half = [](uint16_t bits) {  // of positive and negative finite numbers
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float size = exponent ? std::ldexp(float(fraction + 1024), exponent - 25) : std::ldexp(float(fraction), -24);
    return bits & 0x8000 ? -size : size;
  };
  for (int panel = 0; panel < m.panels; panel++) {
    const uint8_t* w = m.data + size_t(panel) * m.panel_bytes;
    for (int lane = 0; lane < m.width(panel); lane++) {
      float* row = out + size_t(m.column(panel) + lane) * size_t(m.in);
      for (int i = 0; i < m.in; i++) {
        if (m.kind == Kind::int8) {
          row[i] = float(int(w[size_t(i / 4) * 128 + size_t(lane * 4 + i % 4)]) - 128) * m.scale[panel * PANEL + lane];
        } else if (m.kind == Kind::int4) {
          const uint8_t* group = w + size_t(i / 32) * 576;
          int k = i % 32, byte = group[lane / 16 * 256 + k % 16 / 4 * 64 + lane % 16 * 4 + k % 4];
          uint16_t scale;
          std::memcpy(&scale, group + 512 + lane * 2, 2);
          row[i] = float((k < 16 ? byte & 15 : byte >> 4) - 8) * half(scale);
        } else {
          uint16_t bits;
          std::memcpy(&bits, w + size_t(i / 2) * 128 + size_t(lane * 4 + i % 2 * 2), 2);
          uint32_t wide = uint32_t(bits) << 16;
          std::memcpy(row + i, &wide, 4);
        }
      }
    }
  }
}

void Weight::run(const float* x, ptrdiff_t x_stride, int rows, float* out, ptrdiff_t out_stride, Pool& pool) const {
  if (rows < 1) return;
  Product product(kernels(), matrix_, x, x_stride, rows, out, out_stride, pool.threads());
  pool.run(product);
}

Inputs::Inputs(const Matrix& matrix, int rows, Layout& layout) : kind_(matrix.kind) {
  size_t n = size_t(rows), padded = size_t(matrix.padded);
  if (kind_ == Kind::bf16) {
    view_.x_stride = padded;
    view_.x = layout.take<float>(n * padded);
    return;
  }
  view_.q_stride = padded;
  view_.group_stride = padded / size_t(group_of(kind_));
  view_.q = layout.take<int8_t>(n * padded);
  view_.scale = layout.take<float>(n * view_.group_stride);
  view_.zero = layout.take<int32_t>(n * view_.group_stride);
}

Activations Inputs::from(int row) const {
  Activations x = view_;
  size_t n = size_t(row);
  if (x.x) x.x += n * x.x_stride;
  if (x.q) x.q += n * x.q_stride, x.scale += n * x.group_stride, x.zero += n * x.group_stride;
  return x;
}

void Inputs::write(const Kernels& kernels, int row, int begin, const float* x, int n, int padded) const {
  Activations to = from(row);
  if (kind_ == Kind::bf16) {
    auto* at = const_cast<float*>(to.x) + begin;
    std::copy_n(x, n, at);
    std::fill(at + n, at + padded, 0.0f);
    return;
  }
  int group = group_of(kind_), g = begin / group;
  kernels.quantize(x, n, padded, group, offset_of(kind_), const_cast<int8_t*>(to.q) + begin,
                   const_cast<float*>(to.scale) + g, const_cast<int32_t*>(to.zero) + g);
}

Share Share::of(const Matrix& matrix, int threads) {
  int panels = std::max(1, int(ITEM_BYTES / matrix.panel_bytes));
  panels = std::min(panels, std::max(1, matrix.panels / (4 * threads)));
  panels = std::max(panels, (matrix.panels + Pool::MOST_ITEMS - 1) / Pool::MOST_ITEMS);
  Share share;
  share.panels = panels;
  share.items = (matrix.panels + panels - 1) / panels;
  return share;
}

}  // namespace realtts
