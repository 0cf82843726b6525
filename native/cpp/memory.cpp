#include "memory.hpp"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace realtts {

namespace {

constexpr size_t HUGE_PAGE = size_t{2} << 20;
constexpr size_t CHUNK = size_t{64} << 20;

size_t rounded(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// A mapping aligned to huge pages; memory that is never written costs nothing.
struct Chunk {
  explicit Chunk(size_t bytes) : size(rounded(bytes, HUGE_PAGE)) {
#if defined(__linux__)
    mapped = size + HUGE_PAGE;
    void* whole = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (whole == MAP_FAILED) throw std::bad_alloc();
    start = whole;
    data = reinterpret_cast<uint8_t*>(rounded(reinterpret_cast<size_t>(whole), HUGE_PAGE));
    madvise(data, size, MADV_HUGEPAGE);  // where there are none, small pages serve as well
#else
    data = static_cast<uint8_t*>(std::aligned_alloc(64, size));
    if (!data) throw std::bad_alloc();
    std::memset(data, 0, size);
#endif
  }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;
  ~Chunk() {
#if defined(__linux__)
    munmap(start, mapped);
#else
    std::free(data);
#endif
  }
  uint8_t* data = nullptr;
  size_t size, used = 0;
#if defined(__linux__)
  void* start = nullptr;
  size_t mapped = 0;
#endif
};

std::mutex sharing;
std::weak_ptr<Chunk> latest;

}  // namespace

std::shared_ptr<uint8_t> allocate_weights(size_t bytes) {
  bytes = rounded(bytes ? bytes : 1, 64);
  if (bytes > CHUNK / 2) {
    auto own = std::make_shared<Chunk>(bytes);
    return {own, own->data};
  }
  std::lock_guard<std::mutex> lock(sharing);
  auto chunk = latest.lock();
  if (!chunk || chunk->used + bytes > chunk->size) {
    chunk = std::make_shared<Chunk>(CHUNK);
    latest = chunk;
  }
  uint8_t* place = chunk->data + chunk->used;
  chunk->used += bytes;
  return {chunk, place};
}

void forget_shared_memory() {
  new (&sharing) std::mutex;
  new (&latest) std::weak_ptr<Chunk>;
}

Scratch::~Scratch() { std::free(data_); }

uint8_t* Scratch::reserve(size_t bytes) {
  if (bytes > size_) {
    size_t size = rounded(bytes + bytes / 4, 4096);
    auto* data = static_cast<uint8_t*>(std::aligned_alloc(4096, size));
    if (!data) throw std::bad_alloc();
    std::memset(data, 0, size);
    std::free(data_);
    data_ = data, size_ = size;
  }
  return data_;
}

}  // namespace realtts
