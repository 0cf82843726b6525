#include "dispatch.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <stdexcept>

namespace realtts {

#if !REALTTS_X86
const Kernels* const avx512_kernels = nullptr;
const Kernels* const avx2_kernels = nullptr;
#endif

namespace {

constexpr const char* NEEDED = "x86-64 with AVX2, FMA and F16C, or with AVX-512 VNNI";

struct Choice {
  std::vector<std::string> features;
  std::string reason;
  const Kernels* kernels = nullptr;
  const Choice* before = nullptr;
};

const Kernels* kernels_of(const std::string& name) {
  if (name == "avx512vnni") return avx512_kernels;
  if (name == "avx2") return avx2_kernels;
  return nullptr;
}

std::vector<std::string> detect() {
  std::vector<std::string> names;
#if REALTTS_X86
  __builtin_cpu_init();  // asks the operating system, too, whether it saves the registers
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vnni");
  if (avx512) names.push_back("avx512vnni");
  if (avx2) names.push_back("avx2");
#endif
  return names;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Choice choose(std::vector<std::string> names) {
  Choice choice;
  choice.features = std::move(names);
  const char* variable = std::getenv("REALTTS_NATIVE_ISA");
  std::string asked = variable ? variable : "";
  if (choice.features.empty()) {
    choice.reason = std::string("this CPU lacks the instructions: it takes ") + NEEDED;
  } else if (asked.empty()) {
    choice.kernels = kernels_of(choice.features.front());
  } else if (std::find(choice.features.begin(), choice.features.end(), asked) == choice.features.end()) {
    choice.reason = "REALTTS_NATIVE_ISA is '" + asked.substr(0, 40) + "', but this CPU has " + listed(choice.features);
  } else {
    choice.kernels = kernels_of(asked);
  }
  return choice;
}

// None is freed: threads may read one while a test sets another.
std::atomic<const Choice*> current{nullptr};
std::mutex choosing;

const Choice& chosen() {
  if (const Choice* choice = current.load(std::memory_order_acquire)) return *choice;
  std::lock_guard<std::mutex> lock(choosing);
  if (!current.load(std::memory_order_acquire)) current.store(new Choice(choose(detect())), std::memory_order_release);
  return *current.load(std::memory_order_acquire);
}

}  // namespace

std::vector<std::string> features() { return chosen().features; }

std::string unusable() { return chosen().reason; }

const Kernels& kernels() {
  const Choice& choice = chosen();
  if (!choice.kernels) throw std::runtime_error(choice.reason);
  return *choice.kernels;
}

void fake_features(const std::vector<std::string>* names) {
  std::lock_guard<std::mutex> lock(choosing);
  std::vector<std::string> real = detect();
  if (names) {  // only what is really there can be run
    real.erase(std::remove_if(real.begin(), real.end(),
                              [&](const std::string& name) {
                                return std::find(names->begin(), names->end(), name) == names->end();
                              }),
               real.end());
  }
  auto* choice = new Choice(choose(real));
  choice->before = current.load();
  current.store(choice, std::memory_order_release);
}

}  // namespace realtts
