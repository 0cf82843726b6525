// The cache of a step, as Python gives it.
#pragma once
#include "arrays.hpp"
#include "step.hpp"

namespace realtts {

// The tensors of a cache, bound once.
struct Cache {
  CacheView view;
  Array kv, slots, positions, valid, rotations, active;
};

}  // namespace realtts
