// What a decoder and the arguments of its step must be like.
#include <cmath>
#include <stdexcept>
#include <string>

#include "step.hpp"

namespace realtts {

namespace {

using std::to_string;

constexpr size_t MOST_ROWS = 1024;  // of a step, with the positions of each

std::invalid_argument wrong(const std::string& what) { return std::invalid_argument(what); }

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
  if (a.head && a.head->matrix().in != hidden) {
    throw wrong("head takes " + to_string(a.head->matrix().in) + " inputs: give " + to_string(hidden));
  }
  if (a.logits && !head && !a.head) throw wrong("logits are wanted, but there is no head: give head to Step");
}

}  // namespace realtts
