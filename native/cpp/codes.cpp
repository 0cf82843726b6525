#include "codes.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "dispatch.hpp"

namespace realtts {

namespace {

std::invalid_argument wrong(const std::string& what) { return std::invalid_argument(what); }

// One code of each row.
class DrawJob : public Job {
 public:
  DrawJob(const Sampler& sampler, const float* logits, int group, Frame& frame, int groups)
      : sampler_(sampler), logits_(logits), group_(group), groups_(groups), frame_(frame) {}

  void start(Scratch&) override {}
  int next() override { return std::exchange(begun_, true) ? 0 : frame_.rows; }

  void item(int row, int, bool) override {
    RowParameters with = frame_.drawn_with[size_t(row)];
    with.logits = logits_ + ptrdiff_t(row) * sampler_.recipe().vocabulary;
    with.noise = frame_.noise;
    if (with.noise) with.noise += group_ * frame_.noise_group_stride + row * frame_.noise_stride;
    Draw drawn = sampler_.draw(with);
    frame_.codes[ptrdiff_t(row) * groups_ + group_ + 1] = drawn.token;
    frame_.broken[size_t(row)] |= uint8_t(drawn.broken);
  }

 private:
  const Sampler& sampler_;
  const float* logits_;
  const int group_, groups_;
  Frame& frame_;
  bool begun_ = false;
};

// Leave the rows of a cache as if they had never been used.
void empty(const CacheView& cache) {
  for (int row = 0; row < cache.rows; row++) {
    cache.slots[row * cache.slots_stride] = cache.positions[row * cache.positions_stride] = 0;
    cache.active[row * cache.active_stride] = true;
    std::fill_n(cache.valid + row * cache.valid_stride, cache.cap + 1, uint8_t{0});
  }
}

}  // namespace

void CodePredictor::check() const {
  if (!decoder || !sampler) throw wrong("decoder or sampler is missing");
  const int hidden = decoder->hidden, vocabulary = sampler->recipe().vocabulary;
  if (heads.empty() || others.size() != heads.size()) {
    throw wrong(std::to_string(heads.size()) + " heads and " + std::to_string(others.size()) +
                " tables: give one of each for every code");
  }
  for (const auto& head : heads) {
    if (!head) throw wrong("a head is missing");
    const Matrix& m = head->matrix();
    if (m.in != hidden || m.outputs() != vocabulary) {
      throw wrong("a head is (" + std::to_string(m.outputs()) + ", " + std::to_string(m.in) + "): give (" +
                  std::to_string(vocabulary) + ", " + std::to_string(hidden) + ")");
    }
    if (m.kind != heads.front()->matrix().kind) throw wrong("heads are packed in different kinds: pack all alike");
  }
  if (sampler->guided()) throw wrong("the sampler takes pairs of rows: leave guidance out of its order");
  for (Process process : sampler->recipe().order) {
    if (process == Process::repetition_penalty) throw wrong("a frame has no history: leave repetition_penalty out");
  }
  if (!sampler->recipe().noise_ids.empty()) throw wrong("the sampler has noise_ids: leave them out");
  if (projection ? projection->matrix().in != width || projection->matrix().outputs() != hidden : width != hidden) {
    throw wrong("tables of the width " + std::to_string(width) + " and a decoder of " + std::to_string(hidden) +
                ": give a projection from one to the other");
  }
  for (const Table& table : others) {
    if (table.rows < vocabulary) throw wrong("others: give a row for every code");
  }
}

void CodePredictor::embed(const Table& table, int64_t code, float* out) const {
  kernels().widen(table.row(code), table.real, width, out);
}

void CodePredictor::draw(const float* logits, int group, Frame& frame, Pool& pool) const {
  DrawJob job(*sampler, logits, group, frame, groups());
  if (frame.rows > 1) return pool.run(job);
  job.item(0, 0, true);
}

void CodePredictor::run(const CacheView& cache, Frame& frame, Pool& pool) const {
  const int n = frame.rows, hidden = decoder->hidden, all = groups();
  if (cache.rows != n || cache.cap < all) {
    throw wrong("a cache of " + std::to_string(cache.rows) + " rows of " + std::to_string(cache.cap) +
                " slots: give " + std::to_string(n) + " of at least " + std::to_string(all));
  }
  for (int row = 0; row < n; row++) {
    int64_t code = frame.codes[ptrdiff_t(row) * all];
    if (code < 0 || code >= first.rows) {
      throw wrong("code " + std::to_string(code) + " of " + std::to_string(first.rows) + ": give codes of the table");
    }
  }
  frame.broken.assign(size_t(n), 0);
  auto embedded = [&](int row, int group) { return frame.embedded + (ptrdiff_t(row) * all + group) * width; };
  // Two positions of a row: the state that the first code was drawn from, and that code.
  Floats inputs(size_t(2 * n) * size_t(width)), x(size_t(2 * n) * size_t(hidden)), out(x.size());
  Floats logits(size_t(n) * size_t(sampler->recipe().vocabulary));
  StepArguments a;
  a.x = x.data(), a.x_stride = hidden, a.out = out.data(), a.out_stride = hidden;
  for (int row = 0; row < n; row++) {
    embed(first, frame.codes[ptrdiff_t(row) * all], embedded(row, 0));
    float* to = inputs.data() + ptrdiff_t(row) * 2 * width;
    std::copy_n(embedded(row, 0), width, std::copy_n(frame.hidden + row * frame.hidden_stride, width, to));
    a.rows.insert(a.rows.end(), 2, row);
  }
  auto project = [&](const float* from, ptrdiff_t stride, int rows) {
    if (projection) return projection->run(from, stride, rows, x.data(), hidden, pool);
    for (int row = 0; row < rows; row++) std::copy_n(from + row * stride, hidden, x.data() + ptrdiff_t(row) * hidden);
  };
  empty(cache);
  project(inputs.data(), width, 2 * n);
  decoder->run(cache, a, pool);
  const ptrdiff_t vocabulary = sampler->recipe().vocabulary;
  heads.front()->run(out.data() + hidden, 2 * ptrdiff_t(hidden), n, logits.data(), vocabulary, pool);
  a.rows.resize(size_t(n));
  for (int row = 0; row < n; row++) a.rows[size_t(row)] = row;
  a.logits = logits.data(), a.logits_stride = vocabulary;
  for (int group = 0; group + 1 < all; group++) {
    draw(logits.data(), group, frame, pool);
    for (int row = 0; row < n; row++) {
      embed(others[size_t(group)], frame.codes[ptrdiff_t(row) * all + group + 1], embedded(row, group + 1));
    }
    if (group + 2 == all) break;
    project(embedded(0, group + 1), ptrdiff_t(all) * width, n);
    a.head = heads[size_t(group) + 1].get();
    decoder->run(cache, a, pool);
  }
}

}  // namespace realtts
