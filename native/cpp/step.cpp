#include "step.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "dispatch.hpp"

namespace realtts {

namespace {

using std::to_string;

constexpr size_t MOST_ROWS = 1024;  // of a step, with the positions of each
constexpr int AHEAD_BYTES = 8192;  // of the next weights, asked for while others still finish

std::invalid_argument wrong(const std::string& what) { return std::invalid_argument(what); }

void fetch(const void* p, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(static_cast<const char*>(p) + at);
}

const float* optional(const Floats& values) { return values.empty() ? nullptr : values.data(); }

// A step on its way: the phases of each layer, and what they share.
class StepJob : public Job {
 public:
  StepJob(const Decoder& decoder, const CacheView& cache, const StepArguments& arguments, int threads)
      : k_(kernels()), d_(decoder), cache_(cache), a_(arguments), n_(int(arguments.rows.size())), threads_(threads),
        group_(decoder.heads / decoder.kv_heads), width_(round_up(decoder.head_dim, LANES)) {
    const Matrix& out = decoder.layers.front().out->matrix();
    // Attention is rounded head by head where a scale belongs to one head.
    by_head_ = out.kind == Kind::bf16 || decoder.head_dim % group_of(out.kind) == 0;
    mlp_block_ = group_of(decoder.layers.front().down->matrix().kind);
  }

  void start(Scratch& scratch) override {
    d_.check(cache_, a_);  // now that nobody else changes the cache
    mark();
    for (int pass = 0; pass < 2; pass++) {
      Layout layout(pass ? scratch.reserve(needed_) : nullptr);
      lay_out(layout);
      needed_ = layout.used();
    }
  }

  int next() override {
    const LayerParts& layer = d_.layers[size_t(layer_)];
    switch (phase_) {
      case Phase::begin:
        for (int row = 0; row < n_; row++) std::copy_n(a_.x + row * a_.x_stride, d_.hidden, x_ + row * x_stride_);
        return open_layer();
      case Phase::qkv:
        // Where a row has several positions, the later ones look at the keys of those before.
        phase_ = repeated_ ? Phase::keys : Phase::attention;
        return n_ * d_.kv_heads;
      case Phase::keys:
        phase_ = Phase::attention;
        return n_ * d_.kv_heads;
      case Phase::attention:
        if (!by_head_) {
          const Matrix& m = layer.out->matrix();
          for (int row = 0; row < n_; row++) mixed_.write(k_, row, 0, attention_ + row * attention_stride_, m.in, m.padded);
        }
        return open(Phase::out, *layer.out);
      case Phase::out:
        norm_into(layer.mlp_norm, layer.mlp_norm_bias, layer.gate_up->matrix(), normed_[layer.gate_up->matrix().kind]);
        phase_ = Phase::gate;
        return layer.down->matrix().padded / mlp_block_;
      case Phase::gate:
        return open(Phase::down, *layer.down);
      case Phase::down:
        if (++layer_ < int(d_.layers.size())) return open_layer();
        layer_--;
        return open_head();
      default:
        return end();
    }
  }

  void item(int item, int thread, bool last) override {
    const LayerParts& layer = d_.layers[size_t(layer_)];
    switch (phase_) {
      case Phase::qkv:
        multiply(*layer.qkv, normed_.of(*layer.qkv), item, qkv_, qkv_stride_, Store::set);
        break;
      case Phase::keys:
        settle(layer, item / d_.kv_heads, item % d_.kv_heads);
        break;
      case Phase::attention:
        if (!repeated_) settle(layer, item / d_.kv_heads, item % d_.kv_heads);
        attend(layer, item / d_.kv_heads, item % d_.kv_heads, thread);
        if (last) fetch_first(*layer.out, thread);
        break;
      case Phase::out:
        multiply(*layer.out, mixed_, item, x_, x_stride_, Store::add);
        if (last) fetch_mlp(layer, thread);
        break;
      case Phase::gate:
        feed(layer, item, thread);
        if (last) fetch_first(*layer.down, thread);
        break;
      case Phase::down:
        multiply(*layer.down, fed_, item, x_, x_stride_, Store::add);
        if (last && layer_ + 1 < int(d_.layers.size())) fetch_first(*d_.layers[size_t(layer_) + 1].qkv, thread);
        if (last && layer_ + 1 == int(d_.layers.size()) && a_.logits) fetch_first(*d_.head, thread);
        break;
      default:
        multiply(*d_.head, normed_.of(*d_.head), item, a_.logits, a_.logits_stride, Store::set);
    }
  }

 private:
  enum class Phase { begin, qkv, keys, attention, out, gate, down, head, done };

  // Inputs of one width for matrices of any kind.
  struct ByKind {
    Inputs inputs[4];
    Inputs& operator[](Kind kind) { return inputs[int(kind)]; }
    const Inputs& of(const Weight& weight) const { return inputs[int(weight.matrix().kind)]; }
  };

  // What a thread needs for itself.
  struct Own {
    float* queries = nullptr;
    float* scores = nullptr;
    float* inverse = nullptr;
    float* gate = nullptr;
    float* up = nullptr;
  };

  // Mark the slots that are written, and find how far each row looks.
  void mark() {
    std::vector<int> before(size_t(cache_.rows), 0), last(size_t(cache_.rows), 0);
    counts_.assign(size_t(cache_.rows), 0);
    for (int row : a_.rows) counts_[size_t(row)]++;
    for (int row : a_.rows) {
      bool active = cache_.active[row * cache_.active_stride];
      int nth = before[size_t(row)]++;
      repeated_ |= nth > 0;
      // Checked before; bounded all the same, because nothing keeps others from writing to these tensors.
      int64_t slot = active ? std::clamp<int64_t>(cache_.slots[row * cache_.slots_stride], 0, cache_.cap) : cache_.cap;
      slot = std::min<int64_t>(slot + (active ? nth : 0), cache_.cap);
      int64_t position = cache_.positions[row * cache_.positions_stride] + nth;
      uint8_t* valid = cache_.valid + row * cache_.valid_stride;
      valid[slot] = active;
      cache_.rotations[row * cache_.rotations_stride + slot] = position;
      int place = int(places_.size());
      int asked = a_.attended.empty() ? cache_.cap : a_.attended[size_t(place)];
      last[size_t(row)] = place;
      const int reach = counts_[size_t(row)] > 1 ? std::min(asked, int(slot) + 1) : asked;
      const void* end = memrchr(valid, 1, size_t(reach));
      int attended = end ? int(static_cast<const uint8_t*>(end) - valid) + 1 : 0;
      // A frozen row may stand behind the last position; what it computes does not count.
      int64_t turned = std::clamp<int64_t>(position, 0, std::max(0, d_.positions - 1));
      places_.push_back({row, int(slot), attended, a_.attended.empty() ? attended : asked, active, turned});
      farthest_ = std::max(farthest_, attended);
    }
    for (size_t place = 0; place < places_.size(); place++) {
      places_[place].tapping = places_[place].active && last[size_t(places_[place].row)] == int(place);
    }
  }

  struct Place {
    int row, slot, attended, tapped;
    bool active;
    int64_t position;
    bool tapping = false;
  };

  void lay_out(Layout& layout) {
    const LayerParts& layer = d_.layers.front();
    x_stride_ = round_up(d_.hidden, LANES);
    qkv_stride_ = round_up(layer.qkv->matrix().outputs(), LANES);
    attention_stride_ = round_up(d_.heads * d_.head_dim, LANES);
    x_ = layout.take<float>(size_t(n_) * size_t(x_stride_));
    qkv_ = layout.take<float>(size_t(n_) * size_t(qkv_stride_));
    attention_ = layout.take<float>(size_t(n_) * size_t(attention_stride_));
    normed_row_ = layout.take<float>(size_t(x_stride_));
    for (const Weight* weight : {layer.qkv.get(), layer.gate_up.get(), d_.head.get()}) {
      if (weight) normed_[weight->matrix().kind] = Inputs(weight->matrix(), n_, layout);
    }
    mixed_ = Inputs(layer.out->matrix(), n_, layout);
    fed_ = Inputs(layer.down->matrix(), n_, layout);
    score_stride_ = round_up(std::max(farthest_, 1), LANES);
    own_.resize(size_t(threads_));
    for (Own& own : own_) {
      own.queries = layout.take<float>(size_t(group_ * width_));
      own.scores = layout.take<float>(size_t(group_) * size_t(score_stride_));
      own.inverse = layout.take<float>(size_t(group_));
      own.gate = layout.take<float>(size_t(n_) * INPUT_BLOCK);
      own.up = layout.take<float>(size_t(n_) * INPUT_BLOCK);
    }
  }

  int open(Phase phase, const Weight& weight) {
    phase_ = phase;
    share_ = Share::of(weight.matrix(), threads_);
    return share_.items;
  }

  int open_layer() {
    const LayerParts& layer = d_.layers[size_t(layer_)];
    norm_into(layer.input_norm, layer.input_norm_bias, layer.qkv->matrix(), normed_[layer.qkv->matrix().kind]);
    return open(Phase::qkv, *layer.qkv);
  }

  int open_head() {
    for (int row = 0; row < n_; row++) {
      float* out = a_.out + row * a_.out_stride;
      k_.norm(x_ + row * x_stride_, d_.final_norm.data(), optional(d_.final_norm_bias), d_.hidden, d_.eps, out);
      if (a_.logits) {
        const Matrix& m = d_.head->matrix();
        normed_[m.kind].write(k_, row, 0, out, m.in, m.padded);
      }
    }
    return a_.logits ? open(Phase::head, *d_.head) : end();
  }

  int end() {
    if (phase_ != Phase::done) {
      for (const Place& place : places_) {
        cache_.slots[place.row * cache_.slots_stride] += place.active;
        cache_.positions[place.row * cache_.positions_stride] += place.active;
      }
    }
    phase_ = Phase::done;
    return 0;
  }

  void norm_into(const Floats& weight, const Floats& bias, const Matrix& m, const Inputs& inputs) {
    for (int row = 0; row < n_; row++) {
      k_.norm(x_ + row * x_stride_, weight.data(), optional(bias), d_.hidden, d_.eps, normed_row_);
      inputs.write(k_, row, 0, normed_row_, m.in, m.padded);
    }
  }

  void multiply(const Weight& weight, const Inputs& inputs, int item, float* out, ptrdiff_t stride, Store how) {
    const Matrix& m = weight.matrix();
    int end = std::min((item + 1) * share_.panels, m.panels);
    for (int panel = item * share_.panels; panel < end; panel++) {
      k_.product(m, inputs.activations(), n_, panel, out + m.column(panel), size_t(stride), how);
    }
  }

  // The heads that share one key head, in one row: norm, rotate, store.
  void settle(const LayerParts& layer, int index, int kv_head) {
    const Place& place = places_[size_t(index)];
    const int dim = d_.head_dim;
    float* qkv = qkv_ + index * qkv_stride_;
    const float* cos = d_.cos.empty() ? nullptr : d_.cos.data() + place.position * dim;
    const float* sin = d_.sin.empty() ? nullptr : d_.sin.data() + place.position * dim;
    const ptrdiff_t at = place.slot * cache_.slot_stride * ptrdiff_t(real_bytes(cache_.real));
    float* key = qkv + (d_.heads + kv_head) * dim;
    turn(key, optional(layer.k_norm), cos, sin, 1.0f);
    k_.convert(key, dim, cache_.real, part(0, place.row, kv_head) + at);
    k_.convert(key + d_.kv_heads * dim, dim, cache_.real, part(1, place.row, kv_head) + at);
    const float scale = 1.0f / std::sqrt(float(dim));
    for (int h = 0; h < group_; h++) turn(qkv + (kv_head * group_ + h) * dim, optional(layer.q_norm), cos, sin, scale);
  }

  void attend(const LayerParts& layer, int index, int kv_head, int thread) {
    const Place& place = places_[size_t(index)];
    const Own& own = own_[size_t(thread)];
    const int dim = d_.head_dim;
    const float* queries = qkv_ + index * qkv_stride_ + kv_head * group_ * dim;
    for (int h = 0; h < group_; h++) {
      float* query = own.queries + h * width_;
      std::fill(std::copy_n(queries + h * dim, dim, query), query + width_, 0.0f);
    }
    float* out = attention_ + index * attention_stride_ + kv_head * group_ * dim;
    Attention attention;
    attention.q = own.queries, attention.q_stride = width_;
    attention.keys = part(0, place.row, kv_head), attention.values = part(1, place.row, kv_head);
    attention.key_stride = attention.value_stride = cache_.slot_stride;
    attention.real = cache_.real;
    attention.valid = cache_.valid + place.row * cache_.valid_stride;
    attention.attended = place.attended, attention.head_dim = dim, attention.group = group_;
    attention.scores = own.scores, attention.score_stride = size_t(score_stride_);
    attention.inverse = own.inverse, attention.out = out;
    k_.attend(attention);
    if (a_.taps && place.tapping) tap(place, kv_head, own);
    if (!by_head_) return;
    const Matrix& m = layer.out->matrix();
    const bool ends = kv_head + 1 == d_.kv_heads;  // which pads the row, too
    const int begin = kv_head * group_ * dim, n = group_ * dim;
    mixed_.write(k_, index, begin, out, n, ends ? m.padded - begin : n);
  }

  void turn(float* x, const float* norm, const float* cos, const float* sin, float scale) {
    if (norm) k_.norm(x, norm, nullptr, d_.head_dim, d_.eps, x);
    k_.rotate(x, cos, sin, d_.head_dim, scale, x);
  }

  char* part(int part, int row, int kv_head) {
    ptrdiff_t at = layer_ * cache_.layer_stride + part * cache_.part_stride + row * cache_.row_stride +
                   kv_head * cache_.head_stride;
    return static_cast<char*>(cache_.kv) + at * ptrdiff_t(real_bytes(cache_.real));
  }

  void tap(const Place& place, int kv_head, const Own& own) {
    for (size_t pair = 0; pair < a_.taps->heads.size(); pair++) {
      const Tap& tap = a_.taps->heads[pair];
      int h = tap.head - kv_head * group_;
      if (tap.layer != layer_ || h < 0 || h >= group_) continue;
      float* out = a_.taps->out + ptrdiff_t(pair) * a_.taps->pair_stride + place.row * a_.taps->row_stride;
      for (int slot = 0; slot < place.tapped; slot++) {
        out[slot] = slot < place.attended ? own.scores[h * score_stride_ + slot] * own.inverse[h] : 0.0f;
      }
    }
  }

  // Some columns of the MLP's middle: both products, the activation, rounding.
  void feed(const LayerParts& layer, int item, int thread) {
    const Own& own = own_[size_t(thread)];
    const Matrix& m = layer.gate_up->matrix();
    const Activations& x = normed_.of(*layer.gate_up).activations();
    const int begin = item * mlp_block_, width = std::clamp(d_.mlp - begin, 0, mlp_block_);
    for (int column = 0; column < width; column += PANEL) {
      int panel = (begin + column) / PANEL * m.parts;
      k_.product(m, x, n_, panel, own.gate + column, INPUT_BLOCK, Store::set);
      if (d_.gated) k_.product(m, x, n_, panel + 1, own.up + column, INPUT_BLOCK, Store::set);
    }
    for (int row = 0; row < n_; row++) {
      float* gate = own.gate + row * INPUT_BLOCK;
      if (d_.gated) {
        k_.gate(gate, own.up + row * INPUT_BLOCK, width, gate);
      } else {
        k_.gelu(gate, width, gate);
      }
      fed_.write(k_, row, begin, gate, width, mlp_block_);
    }
  }

  void fetch_first(const Weight& weight, int thread) const {
    const Matrix& m = weight.matrix();
    Share share = Share::of(m, threads_);
    int panel = Pool::begin(share.items, thread, threads_) * share.panels;
    fetch(m.data + size_t(panel) * m.panel_bytes, AHEAD_BYTES);
  }

  void fetch_mlp(const LayerParts& layer, int thread) const {
    const Matrix& m = layer.gate_up->matrix();
    int item = Pool::begin(layer.down->matrix().padded / mlp_block_, thread, threads_);
    int panel = std::min(item * mlp_block_ / PANEL * m.parts, m.panels - 1);
    fetch(m.data + size_t(panel) * m.panel_bytes, AHEAD_BYTES);
  }

  const Kernels& k_;
  const Decoder& d_;
  const CacheView& cache_;
  const StepArguments& a_;
  const int n_, threads_, group_, width_;
  bool by_head_ = true, repeated_ = false;
  int mlp_block_ = 64, farthest_ = 0, layer_ = 0;
  Phase phase_ = Phase::begin;
  Share share_;
  size_t needed_ = 0;
  std::vector<int> counts_;  // positions of each row of the cache
  std::vector<Place> places_;
  std::vector<Own> own_;
  float *x_ = nullptr, *qkv_ = nullptr, *attention_ = nullptr, *normed_row_ = nullptr;
  ptrdiff_t x_stride_ = 0, qkv_stride_ = 0, attention_stride_ = 0, score_stride_ = 0;
  ByKind normed_;
  Inputs mixed_, fed_;
};

void check_length(const Floats& values, int length, const char* name, bool wanted) {
  if (wanted && values.empty()) throw wrong(std::string(name) + " is missing");
  if (!wanted && !values.empty()) throw wrong(std::string(name) + " is given: leave it out here");
  if (wanted && int(values.size()) != length) {
    throw wrong(std::string(name) + " has " + to_string(values.size()) + " values: give " + to_string(length));
  }
}

void check_matrix(const std::shared_ptr<const Weight>& weight, int out, int in, int parts, const char* name) {
  if (!weight) throw wrong(std::string(name) + " is missing");
  const Matrix& m = weight->matrix();
  if (m.outputs() != out || m.in != in || m.parts != parts) {
    throw wrong(std::string(name) + " is (" + to_string(m.outputs()) + ", " + to_string(m.in) + ") in " +
                to_string(m.parts) + " parts: give (" + to_string(out) + ", " + to_string(in) + ") in " +
                to_string(parts));
  }
}

}  // namespace

void Decoder::check() const {
  if (layers.empty()) throw wrong("no layers: give at least one");
  if (heads < 1 || kv_heads < 1 || head_dim < 1 || head_dim > 1024 || heads % kv_heads) {
    throw wrong(to_string(heads) + " heads of " + to_string(head_dim) + ", " + to_string(kv_heads) +
                " kv_heads: give positive numbers, a head_dim of at most 1024, and kv_heads that divide heads");
  }
  if (cos.size() != sin.size() || cos.size() != size_t(positions) * size_t(head_dim)) {
    throw wrong("cos and sin: give both, of the shape (positions, " + to_string(head_dim) + ")");
  }
  if (!cos.empty() && head_dim % 2) throw wrong("a head_dim of " + to_string(head_dim) + " is not even: give no cos and sin");
  if (!(eps >= 0) || !std::isfinite(eps)) throw wrong("eps is not a number of at least 0");
  bool biased = !final_norm_bias.empty();
  check_length(final_norm, hidden, "final_norm", true);
  check_length(final_norm_bias, hidden, "final_norm_bias", biased);
  const LayerParts& first = layers.front();
  for (const LayerParts& layer : layers) {
    check_length(layer.input_norm, hidden, "input_norm", true);
    check_length(layer.input_norm_bias, hidden, "input_norm_bias", biased);
    check_length(layer.mlp_norm, hidden, "mlp_norm", true);
    check_length(layer.mlp_norm_bias, hidden, "mlp_norm_bias", biased);
    check_length(layer.q_norm, head_dim, "q_norm", !first.q_norm.empty());
    check_length(layer.k_norm, head_dim, "k_norm", !first.k_norm.empty());
    check_matrix(layer.qkv, (heads + 2 * kv_heads) * head_dim, hidden, 1, "qkv");
    check_matrix(layer.out, hidden, heads * head_dim, 1, "out");
    check_matrix(layer.gate_up, gated ? 2 * mlp : mlp, hidden, gated ? 2 : 1, "gate_up");
    check_matrix(layer.down, hidden, mlp, 1, "down");
    auto kind = [](const std::shared_ptr<const Weight>& weight) { return weight->matrix().kind; };
    if (kind(layer.qkv) != kind(first.qkv) || kind(layer.out) != kind(first.out) ||
        kind(layer.gate_up) != kind(first.gate_up) || kind(layer.down) != kind(first.down)) {
      throw wrong("layers are packed in different kinds: pack each matrix alike in all of them");
    }
  }
  if (head && head->matrix().in != hidden) {
    throw wrong("head takes " + to_string(head->matrix().in) + " inputs: give " + to_string(hidden));
  }
}

size_t Decoder::read_bytes() const {
  size_t bytes = head ? head->read_bytes() : 0;
  for (const LayerParts& layer : layers) {
    for (const auto* weight : {&layer.qkv, &layer.out, &layer.gate_up, &layer.down}) bytes += (*weight)->read_bytes();
  }
  return bytes;
}

void Decoder::check(const CacheView& cache, const StepArguments& a) const {
  if (cache.layers != int(layers.size()) || cache.kv_heads != kv_heads || cache.head_dim != head_dim) {
    throw wrong("the cache has " + to_string(cache.layers) + " layers of " + to_string(cache.kv_heads) + " heads of " +
                to_string(cache.head_dim) + ": give one of " + to_string(layers.size()) + " layers of " +
                to_string(kv_heads) + " heads of " + to_string(head_dim));
  }
  if (a.rows.empty() || a.rows.size() > MOST_ROWS) {
    throw wrong((a.rows.empty() ? "no rows" : to_string(a.rows.size()) + " rows") + std::string(": give 1 to ") +
                to_string(MOST_ROWS));
  }
  if (!a.attended.empty() && a.attended.size() != a.rows.size()) {
    throw wrong("attended has " + to_string(a.attended.size()) + " numbers: give one, or one for each of " +
                to_string(a.rows.size()) + " rows");
  }
  std::vector<int> before(size_t(cache.rows), 0);
  for (size_t place = 0; place < a.rows.size(); place++) {
    int row = a.rows[place];
    if (row < 0 || row >= cache.rows) {
      throw wrong("row " + to_string(row) + " of a cache of " + to_string(cache.rows) + ": give rows it has");
    }
    const int nth = before[size_t(row)]++;
    int attended = a.attended.empty() ? cache.cap : a.attended[place];
    if (attended < 1 || attended > cache.cap) {
      throw wrong("attended is " + to_string(attended) + ": give 1 to the cap, " + to_string(cache.cap));
    }
    if (!cache.active[row * cache.active_stride]) {
      if (nth) throw wrong("row " + to_string(row) + " comes twice, but is frozen: give it once");
      continue;
    }
    int64_t slot = cache.slots[row * cache.slots_stride], position = cache.positions[row * cache.positions_stride];
    if (slot < 0 || slot >= cache.cap - nth) {
      throw wrong("row " + to_string(row) + " writes slot " + to_string(slot) + (nth ? " and " + to_string(nth) + " more of " : " of ") + to_string(cache.cap) +
                  ": make the cache larger");
    }
    if (!cos.empty() && (position < 0 || position >= positions - nth)) {
      throw wrong("row " + to_string(row) + " is at position " + to_string(position) +
                  (nth ? " and " + to_string(nth) + " more of " : " of ") + to_string(positions) +
                  ": give longer tables cos and sin");
    }
  }
  if (a.taps) {
    for (const Tap& tap : a.taps->heads) {
      if (tap.layer < 0 || tap.layer >= int(layers.size()) || tap.head < 0 || tap.head >= heads) {
        throw wrong("a tap on layer " + to_string(tap.layer) + ", head " + to_string(tap.head) + ": there are " +
                    to_string(layers.size()) + " layers of " + to_string(heads) + " heads");
      }
    }
    if (a.taps->rows != cache.rows || a.taps->cap != cache.cap) {
      throw wrong("taps for " + to_string(a.taps->rows) + " rows of " + to_string(a.taps->cap) + " slots: give " +
                  to_string(cache.rows) + " of " + to_string(cache.cap));
    }
  }
  if (a.logits && !head) throw wrong("logits are wanted, but there is no head: give head to Step");
}

void Decoder::run(const CacheView& cache, const StepArguments& arguments, Pool& pool) const {
  StepJob job(*this, cache, arguments, pool.threads());
  pool.run(job);
}

}  // namespace realtts
