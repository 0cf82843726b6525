#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "dispatch.hpp"

namespace realtts {

namespace {

constexpr float NEVER = -std::numeric_limits<float>::infinity();
constexpr int64_t FEW = 256;  // best tokens

// Of SplitMix64, as realtts.accel.sampling.noise has it.
constexpr uint64_t STEP = 0x9E3779B97F4A7C15, TOKEN = 0xD1B54A32D192ED03;

uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

float hashed(int64_t seed, int64_t step, int64_t token) {
  uint64_t bits = mixed(mixed(uint64_t(seed) + uint64_t(step) * STEP) + uint64_t(token) * TOKEN);
  double uniform = (double(bits >> 11) + 0.5) * 0x1p-53;
  return float(-std::log1p(-uniform));
}

// The tokens that are left of a row, in the order of their ids, and their scores.
struct Candidates {
  std::vector<int> ids;
  std::vector<float> scores, shares, sorted;
  std::vector<int> order;

  size_t size() const { return ids.size(); }

  // Keep those that a test of the place says.
  template <class Test>
  void keep(Test test) {
    size_t kept = 0;
    for (size_t i = 0; i < ids.size(); i++) {
      if (!test(i)) continue;
      ids[kept] = ids[i], scores[kept] = scores[i];
      kept++;
    }
    ids.resize(kept), scores.resize(kept);
  }

  void soften(const Kernels& k) {
    shares.resize(scores.size());
    k.soften(scores.data(), int(scores.size()), shares.data());
  }

  // A token whose score is no number; -1: there is none.
  int no_number() const {
    for (size_t i = 0; i < size(); i++) {
      if (std::isnan(scores[i])) return ids[i];
    }
    return -1;
  }

  size_t best() const { return size_t(std::max_element(scores.begin(), scores.end()) - scores.begin()); }

  void top_k(int64_t count) {
    if (count <= 0 || size_t(count) >= size()) return;
    float last = count <= FEW ? least_of_few(size_t(count)) : least_of_many(size_t(count));
    keep([&](size_t i) { return !(scores[i] < last); });
  }

  // The least of the best ones. Of few a heap is kept, which hardly anything of a large vocabulary enters.
  float least_of_few(size_t count) {
    sorted.assign(scores.begin(), scores.begin() + ptrdiff_t(count));
    std::make_heap(sorted.begin(), sorted.end(), std::greater<float>());
    for (size_t i = count; i < size(); i++) {
      if (!(scores[i] > sorted.front())) continue;
      std::pop_heap(sorted.begin(), sorted.end(), std::greater<float>());
      sorted.back() = scores[i];
      std::push_heap(sorted.begin(), sorted.end(), std::greater<float>());
    }
    return sorted.front();
  }

  float least_of_many(size_t count) {
    sorted = scores;
    std::nth_element(sorted.begin(), sorted.begin() + ptrdiff_t(count - 1), sorted.end(), std::greater<float>());
    return sorted[count - 1];
  }

  // Remove the least probable ones that together do not exceed the rest, those with equal scores by their ids.
  void top_p(const Kernels& k, float rest) {
    if (!(rest > 0) || size() < 2) return;
    order.resize(size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[size_t(a)] < scores[size_t(b)]; });
    sorted.resize(size());
    for (size_t i = 0; i < size(); i++) sorted[i] = scores[size_t(order[i])];
    shares.resize(size());
    k.soften(sorted.data(), int(size()), shares.data());
    std::vector<uint8_t> removed(size(), 0);
    double sum = 0;  // as torch adds up
    for (size_t i = 0; i + 1 < size(); i++) {
      sum += double(shares[i]);
      if (!(float(sum) <= rest)) break;
      removed[size_t(order[i])] = 1;
    }
    keep([&](size_t i) { return !removed[i]; });
  }

  void min_p(const Kernels& k, float share) {
    if (!(share > 0) || size() == 0) return;
    soften(k);
    float least = share * *std::max_element(shares.begin(), shares.end());
    keep([&](size_t i) { return !(shares[i] < least); });
  }
};

}  // namespace

Draw Sampler::draw(const RowParameters& row) const {
  const Kernels& k = kernels();
  static thread_local Candidates c;
  const int n = recipe_.vocabulary;
  c.ids.resize(size_t(n)), c.scores.assign(row.logits, row.logits + n);
  std::iota(c.ids.begin(), c.ids.end(), 0);
  auto hold_stops = [&] {
    if (!row.stops || row.step >= row.min_new_tokens) return;
    for (int i = 0; i < n; i++) {
      if (row.stops[i]) c.scores[size_t(i)] = NEVER;
    }
  };
  size_t at = 0;
  if (guided()) {
    for (int i = 0; i < n; i++) {
      float conditional = row.logits[i], other = row.unconditional[i];
      c.scores[size_t(i)] = (recipe_.conditional ? conditional : other) + row.guidance * (conditional - other);
    }
    at = 1;
  }
  hold_stops();
  for (; at < recipe_.order.size(); at++) {
    switch (recipe_.order[at]) {
      case Process::suppress:
        if (recipe_.suppressed.empty()) break;
        for (size_t i = 0; i < c.size(); i++) {
          if (recipe_.suppressed[size_t(c.ids[i])]) c.scores[i] = NEVER;
        }
        break;
      case Process::repetition_penalty:
        if (!row.seen || row.penalty == 1.0f) break;
        for (size_t i = 0; i < c.size(); i++) {
          float& score = c.scores[i];
          if (row.seen[c.ids[i]]) score = score < 0 ? score * row.penalty : score / row.penalty;
        }
        break;
      case Process::temperature:
        if (row.temperature == 1.0f) break;
        for (float& score : c.scores) score /= row.temperature;
        break;
      // Where something is no number, order means nothing.
      case Process::top_k:
        if (int id = c.no_number(); id >= 0) return {id, true};
        c.top_k(row.top_k);
        break;
      case Process::top_p:
        if (int id = c.no_number(); id >= 0) return {id, true};
        c.top_p(k, row.rest);
        break;
      case Process::min_p:
        if (int id = c.no_number(); id >= 0) return {id, true};
        c.min_p(k, row.min_p);
        break;
      default: break;
    }
  }
  if (int id = c.no_number(); id >= 0) return {id, true};
  size_t best = c.best();
  if (!std::isfinite(c.scores[best])) return {c.ids[best], true};
  if (row.greedy) return {c.ids[best], false};
  c.soften(k);
  float most = -1;
  size_t drawn = 0;
  for (size_t i = 0; i < c.size(); i++) {
    if (c.scores[i] == NEVER) continue;
    int64_t id = recipe_.noise_ids.empty() ? c.ids[i] : recipe_.noise_ids[size_t(c.ids[i])];
    float value = c.shares[i] / (row.noise ? row.noise[id] : hashed(row.seed, row.step, id));
    if (value > most) most = value, drawn = i;
  }
  return {c.ids[drawn], false};
}

}  // namespace realtts
