// How fast memory is read, by the pool and the instructions that read weights.
#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>

#include "dispatch.hpp"
#include "pool.hpp"

namespace realtts {

namespace {

constexpr size_t ITEM = size_t{1} << 20;

class Reading : public Job {
 public:
  Reading(const Kernels& kernels, const uint8_t* data, int items) : k_(kernels), data_(data), items_(items) {}
  void start(Scratch&) override {}
  int next() override { return std::exchange(begun_, true) ? 0 : items_; }
  void item(int item, int, bool) override { sum_ += k_.read(data_ + size_t(item) * ITEM, ITEM); }

 private:
  const Kernels& k_;
  const uint8_t* data_;
  int items_;
  bool begun_ = false;
  std::atomic<int64_t> sum_{0};  // or nothing would have to be read
};

}  // namespace

std::vector<double> Pool::read_rates(size_t bytes, int rounds) {
  const Kernels& k = kernels();
  int items = int((bytes + ITEM - 1) / ITEM);
  size_t whole = size_t(items) * ITEM;
  std::shared_ptr<uint8_t> memory = allocate_weights(whole);
  std::memset(memory.get(), 1, whole);  // pages that were never written are all the same one
  std::vector<double> rates;
  for (int round = 0; round < rounds; round++) {
    Reading reading(k, memory.get(), items);
    auto before = std::chrono::steady_clock::now();
    run(reading);
    rates.push_back(double(whole) / std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
  }
  return rates;
}

}  // namespace realtts
