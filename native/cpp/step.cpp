#include "step.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dispatch.hpp"

namespace realtts {

namespace {

constexpr int AHEAD_BYTES = 8192;  // of the next weights, asked for while others still finish
constexpr int FEW_ROWS = 8;         // whose norms one thread takes: the others would wake up for less
constexpr int NORMED_ROWS = 4;      // of more rows, at a time
constexpr int SIDE_BY_SIDE = 4;     // query heads that share keys in a register, of one position or of several

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
    head_ = arguments.head ? arguments.head : decoder.head.get();
    span_ = std::max(1, SIDE_BY_SIDE / group_);
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
      case Phase::input_norm:
        return open(Phase::qkv, *layer.qkv);
      case Phase::qkv:
        // Where a row has several positions, the later ones look at the keys of those before.
        phase_ = repeated_ ? Phase::keys : Phase::attention;
        return int(spans_.size()) * d_.kv_heads;
      case Phase::keys:
        phase_ = Phase::attention;
        return int(spans_.size()) * d_.kv_heads;
      case Phase::attention:
        if (!by_head_) {
          const Matrix& m = layer.out->matrix();
          for (int row = 0; row < n_; row++) mixed_.write(k_, row, 0, attention_ + row * attention_stride_, m.in, m.padded);
        }
        return open(Phase::out, *layer.out);
      case Phase::out:
        if (n_ > FEW_ROWS) return open_norm(Phase::mlp_norm);
        for (int row = 0; row < n_; row++) norm_mlp(layer, row, 0);
        return open_gate();
      case Phase::mlp_norm:
        return open_gate();
      case Phase::gate:
        return open(Phase::down, *layer.down);
      case Phase::down:
        if (++layer_ < int(d_.layers.size())) return open_layer();
        layer_--;
        if (n_ > FEW_ROWS) return open_norm(Phase::last_norm);
        for (int row = 0; row < n_; row++) norm_last(row);
        return open_head();
      case Phase::last_norm:
        return open_head();
      default:
        return end();
    }
  }

  void item(int item, int thread, bool last) override {
    const LayerParts& layer = d_.layers[size_t(layer_)];
    switch (phase_) {
      case Phase::input_norm:
        each_row(item, [&](int row) { norm_input(layer, row, thread); });
        break;
      case Phase::mlp_norm:
        each_row(item, [&](int row) { norm_mlp(layer, row, thread); });
        break;
      case Phase::last_norm:
        each_row(item, [&](int row) { norm_last(row); });
        break;
      case Phase::qkv:
        multiply(*layer.qkv, normed_.of(*layer.qkv), item, qkv_, qkv_stride_, Store::set);
        break;
      case Phase::keys:
        settle(layer, spans_[size_t(item / d_.kv_heads)], item % d_.kv_heads);
        break;
      case Phase::attention:
        if (!repeated_) settle(layer, spans_[size_t(item / d_.kv_heads)], item % d_.kv_heads);
        attend(layer, spans_[size_t(item / d_.kv_heads)], item % d_.kv_heads, thread);
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
        if (last && layer_ + 1 == int(d_.layers.size()) && a_.logits) fetch_first(*head_, thread);
        break;
      default:
        multiply(*head_, normed_.of(*head_), item, a_.logits, a_.logits_stride, Store::set);
    }
  }

 private:
  enum class Phase { begin, input_norm, qkv, keys, attention, out, mlp_norm, gate, down, last_norm, head, done };

  // Inputs of one width for matrices of any kind.
  struct ByKind {
    Inputs inputs[4];
    Inputs& operator[](Kind kind) { return inputs[int(kind)]; }
    const Inputs& of(const Weight& weight) const { return inputs[int(weight.matrix().kind)]; }
  };

  // What a thread needs for itself.
  struct Own {
    float* normed = nullptr;
    float* queries = nullptr;
    float* scores = nullptr;
    float* inverse = nullptr;
    float* attended = nullptr;  // what several positions have got
    int* reaches = nullptr;
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
      bool joins = place > 0 && places_[place - 1].row == places_[place].row && spans_.back().count < span_;
      if (joins) {
        spans_.back().count++;
      } else {
        spans_.push_back({int(place), 1});
      }
    }
  }

  // Positions of one row that follow each other.
  struct Span {
    int begin, count;
  };

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
    for (const Weight* weight : {layer.qkv.get(), layer.gate_up.get(), head_}) {
      if (weight) normed_[weight->matrix().kind] = Inputs(weight->matrix(), n_, layout);
    }
    mixed_ = Inputs(layer.out->matrix(), n_, layout);
    fed_ = Inputs(layer.down->matrix(), n_, layout);
    score_stride_ = round_up(std::max(farthest_, 1), LANES);
    own_.resize(size_t(threads_));
    for (Own& own : own_) {
      const size_t most = size_t(span_) * size_t(group_);
      own.normed = layout.take<float>(size_t(x_stride_));
      own.queries = layout.take<float>(most * size_t(width_));
      own.scores = layout.take<float>(most * size_t(score_stride_));
      own.inverse = layout.take<float>(most);
      own.attended = layout.take<float>(most * size_t(d_.head_dim));
      own.reaches = layout.take<int>(most);
      own.gate = layout.take<float>(size_t(n_) * INPUT_BLOCK);
      own.up = layout.take<float>(size_t(n_) * INPUT_BLOCK);
    }
  }

  int open(Phase phase, const Weight& weight) {
    phase_ = phase;
    share_ = Share::of(weight.matrix(), threads_);
    return share_.items;
  }

  int open_norm(Phase phase) {
    phase_ = phase;
    return (n_ + NORMED_ROWS - 1) / NORMED_ROWS;
  }

  int open_layer() {
    const LayerParts& layer = d_.layers[size_t(layer_)];
    if (n_ > FEW_ROWS) return open_norm(Phase::input_norm);
    for (int row = 0; row < n_; row++) norm_input(layer, row, 0);
    return open(Phase::qkv, *layer.qkv);
  }

  int open_gate() {
    phase_ = Phase::gate;
    return d_.layers[size_t(layer_)].down->matrix().padded / mlp_block_;
  }

  int open_head() { return a_.logits ? open(Phase::head, *head_) : end(); }

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

  template <class Function>
  void each_row(int item, Function function) const {
    for (int row = item * NORMED_ROWS; row < std::min((item + 1) * NORMED_ROWS, n_); row++) function(row);
  }

  void norm_input(const LayerParts& layer, int row, int thread) {
    norm_into(layer.input_norm, layer.input_norm_bias, *layer.qkv, row, thread);
  }

  void norm_mlp(const LayerParts& layer, int row, int thread) {
    norm_into(layer.mlp_norm, layer.mlp_norm_bias, *layer.gate_up, row, thread);
  }

  void norm_into(const Floats& norm, const Floats& bias, const Weight& weight, int row, int thread) {
    const Matrix& m = weight.matrix();
    float* normed = own_[size_t(thread)].normed;
    k_.norm(x_ + row * x_stride_, norm.data(), optional(bias), d_.hidden, d_.eps, normed);
    normed_.of(weight).write(k_, row, 0, normed, m.in, m.padded);
  }

  void norm_last(int row) {
    float* out = a_.out + row * a_.out_stride;
    k_.norm(x_ + row * x_stride_, d_.final_norm.data(), optional(d_.final_norm_bias), d_.hidden, d_.eps, out);
    if (!a_.logits) return;
    const Matrix& m = head_->matrix();
    normed_.of(*head_).write(k_, row, 0, out, m.in, m.padded);
  }

  void multiply(const Weight& weight, const Inputs& inputs, int item, float* out, ptrdiff_t stride, Store how) {
    const Matrix& m = weight.matrix();
    int end = std::min((item + 1) * share_.panels, m.panels);
    for (int row = 0; row < n_; row += ROW_TILE) {
      const Activations x = inputs.from(row);
      for (int panel = item * share_.panels; panel < end; panel++) {
        float* to = out + row * stride + m.column(panel);
        k_.product(m, x, std::min(ROW_TILE, n_ - row), panel, to, size_t(stride), how);
      }
    }
  }

  // The heads that share one key head, in some positions of a row: norm, rotate, store.
  void settle(const LayerParts& layer, const Span& span, int kv_head) {
    for (int index = span.begin; index < span.begin + span.count; index++) settle(layer, index, kv_head);
  }

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

  // Several positions share each key while it is in a register; of one its own memory is written at once.
  void attend(const LayerParts& layer, const Span& span, int kv_head, int thread) {
    const Own& own = own_[size_t(thread)];
    const int dim = d_.head_dim, row = places_[size_t(span.begin)].row;
    const bool several = span.count > 1;
    Attention attention;
    for (int n = 0; n < span.count; n++) {
      const float* queries = qkv_ + (span.begin + n) * qkv_stride_ + kv_head * group_ * dim;
      const int attended = places_[size_t(span.begin + n)].attended;
      for (int h = 0; h < group_; h++) {
        float* query = own.queries + (n * group_ + h) * width_;
        std::fill(std::copy_n(queries + h * dim, dim, query), query + width_, 0.0f);
        own.reaches[n * group_ + h] = attended;
      }
      attention.attended = std::max(attention.attended, attended);
    }
    attention.q = own.queries, attention.q_stride = width_;
    attention.keys = part(0, row, kv_head), attention.values = part(1, row, kv_head);
    attention.key_stride = attention.value_stride = cache_.slot_stride;
    attention.real = cache_.real;
    attention.valid = cache_.valid + row * cache_.valid_stride;
    attention.head_dim = dim, attention.group = span.count * group_;
    attention.reaches = several ? own.reaches : nullptr;
    attention.scores = own.scores, attention.score_stride = size_t(score_stride_);
    attention.inverse = own.inverse, attention.out = several ? own.attended : attended_of(span.begin, kv_head);
    k_.attend(attention);
    for (int n = 0; n < span.count; n++) deliver(layer, span.begin + n, n * group_, kv_head, own, several);
  }

  float* attended_of(int index, int kv_head) const {
    return attention_ + index * attention_stride_ + kv_head * group_ * d_.head_dim;
  }

  // Hand on what one position has got: `first` is its first head among those that were computed together.
  void deliver(const LayerParts& layer, int index, int first, int kv_head, const Own& own, bool several) {
    const Place& place = places_[size_t(index)];
    const int n = group_ * d_.head_dim, begin = kv_head * n;
    float* out = attended_of(index, kv_head);
    if (several) std::copy_n(own.attended + first * d_.head_dim, n, out);
    if (a_.taps && place.tapping) tap(place, kv_head, own, first);
    if (!by_head_) return;
    const Matrix& m = layer.out->matrix();
    const bool ends = kv_head + 1 == d_.kv_heads;  // which pads the row, too
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

  void tap(const Place& place, int kv_head, const Own& own, int first) {
    for (size_t pair = 0; pair < a_.taps->heads.size(); pair++) {
      const Tap& tap = a_.taps->heads[pair];
      int h = tap.head - kv_head * group_;
      if (tap.layer != layer_ || h < 0 || h >= group_) continue;
      float* out = a_.taps->out + ptrdiff_t(pair) * a_.taps->pair_stride + place.row * a_.taps->row_stride;
      for (int slot = 0; slot < place.tapped; slot++) {
        out[slot] = slot < place.attended ? own.scores[(first + h) * score_stride_ + slot] * own.inverse[first + h] : 0.0f;
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
  int mlp_block_ = 64, farthest_ = 0, layer_ = 0, span_ = 1;
  const Weight* head_ = nullptr;
  Phase phase_ = Phase::begin;
  Share share_;
  size_t needed_ = 0;
  std::vector<int> counts_;  // positions of each row of the cache
  std::vector<Place> places_;
  std::vector<Span> spans_;
  std::vector<Own> own_;
  float *x_ = nullptr, *qkv_ = nullptr, *attention_ = nullptr;
  ptrdiff_t x_stride_ = 0, qkv_stride_ = 0, attention_stride_ = 0, score_stride_ = 0;
  ByKind normed_;
  Inputs mixed_, fed_;
};

}  // namespace

void Decoder::run(const CacheView& cache, const StepArguments& arguments, Pool& pool) const {
  StepJob job(*this, cache, arguments, pool.threads());
  pool.run(job);
}

}  // namespace realtts
