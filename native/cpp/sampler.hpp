// Tokens from logits, as realtts.accel.sampling draws them.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "common.hpp"

namespace realtts {

enum class Process { guidance, suppress, repetition_penalty, temperature, top_k, top_p, min_p };

// What a model fixes.
struct Recipe {
  int vocabulary = 0;
  std::vector<Process> order;
  bool conditional = true;                // guidance starts from conditional logits
  std::vector<uint8_t> suppressed;        // of each token, or empty
  std::vector<int64_t> noise_ids;         // of each token its column of the noise, or empty
  int noise_width = 0;
};

// What a row is drawn with.
struct RowParameters {
  float temperature = 1, rest = 0, min_p = 0, penalty = 1, guidance = 0;  // rest: 1 - top_p
  int64_t top_k = 0, min_new_tokens = 0, step = 0;
  bool greedy = false;
  const uint8_t* stops = nullptr;      // of each token, or null
  const uint8_t* seen = nullptr;       // likewise: the penalty's history
  const float* logits = nullptr;
  const float* unconditional = nullptr;
  const float* noise = nullptr;        // exponential, or null: computed from the seed
  int64_t seed = 0;
};

struct Draw {
  int64_t token = 0;
  bool broken = false;  // no finite best score
};

class Sampler {
 public:
  explicit Sampler(Recipe recipe) : recipe_(std::move(recipe)) {}
  const Recipe& recipe() const { return recipe_; }
  bool guided() const { return !recipe_.order.empty() && recipe_.order.front() == Process::guidance; }
  Draw draw(const RowParameters& row) const;

 private:
  Recipe recipe_;
};

}  // namespace realtts
