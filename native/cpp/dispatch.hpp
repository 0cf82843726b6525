// Which instruction set is used: decided at run time.
#pragma once
#include <string>
#include <vector>

#include "common.hpp"

namespace realtts {

// Names of the sets that this CPU has and the library has kernels for, fastest first.
std::vector<std::string> features();
// Why nothing can run; empty: it can.
std::string unusable();
// The kernels in use; throws std::runtime_error with `unusable`.
const Kernels& kernels();
// For tests: pretend that the CPU has these sets alone; null: as it is.
void fake_features(const std::vector<std::string>* names);

}  // namespace realtts
