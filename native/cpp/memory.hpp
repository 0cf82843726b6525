// Memory for weights, on huge pages where the system has them, and scratch memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace realtts {

// Allocate zeroed bytes at a multiple of 64. Neighbours share large mappings, each of which is freed with its last one.
std::shared_ptr<uint8_t> allocate_weights(size_t bytes);

// Share no mapping that was made so far: in a forked child, whose parent may have been sharing one out.
void forget_shared_memory();

// Scratch at a multiple of 64 that only grows.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  // Return at least so many bytes; what was there is lost when it grows.
  uint8_t* reserve(size_t bytes);

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Takes parts of one piece of scratch memory: first counted, then laid out.
class Layout {
 public:
  explicit Layout(uint8_t* base = nullptr) : base_(base) {}
  template <class T>
  T* take(size_t count) {
    size_t at = used_;
    used_ += (count * sizeof(T) + 63) / 64 * 64;
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  size_t used() const { return used_; }

 private:
  uint8_t* base_;
  size_t used_ = 0;
};

}  // namespace realtts
