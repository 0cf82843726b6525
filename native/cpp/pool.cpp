#include "pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace realtts {

namespace {

constexpr auto SPIN = std::chrono::microseconds(50);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

void sleep_while(std::atomic<uint32_t>& word, uint32_t value) {
#if defined(__linux__)
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
#else
  (void)word, (void)value;
  std::this_thread::sleep_for(std::chrono::microseconds(100));
#endif
}

void wake_all(std::atomic<uint32_t>& word) {
#if defined(__linux__)
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#else
  (void)word;
#endif
}

// Forks that made this process: threads do not come with them.
std::atomic<uint32_t> forks{0};
std::once_flag watching;
std::mutex making;

// In the child, which has one thread. Its parent's others may have held what is locked.
void forked() {
  forks.fetch_add(1);
  new (&making) std::mutex;
  forget_shared_memory();
}

}  // namespace

// All that threads share. It outlives a fork, whose child makes another.
struct Pool::State {
  // An odd phase is open: its items may be taken. It grows with every change, so that a thread that slept through some
  // cannot take an item of another phase than it looked at.
  alignas(64) std::atomic<uint32_t> phase{0};
  alignas(64) std::atomic<uint32_t> remaining{0};
  alignas(64) std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> stopping{false};
  // Of each thread's own part: phase, next item, end.
  struct alignas(64) Part {
    std::atomic<uint64_t> word{0};
  };
  Part parts[MOST_THREADS];
  alignas(64) std::mutex turn;
  Scratch scratch;
  Job* job = nullptr;  // written while no phase is open
  std::vector<std::thread> others;
  int count = 1;
  uint32_t made_at = 0;

  static uint64_t part_word(uint32_t phase, int begin, int end) {
    return uint64_t{phase} << 32 | uint64_t(uint32_t(begin)) << 16 | uint64_t(uint32_t(end));
  }

  // Open the next phase, or close the job. Only by the caller before the first phase, or by whoever ended the last item.
  void advance() {
    int items = job->next();
    uint32_t now = phase.load(std::memory_order_relaxed);
    if (items > 0) {
      uint32_t following = (now + 2) | 1;
      remaining.store(uint32_t(items), std::memory_order_relaxed);
      for (int thread = 0; thread < count; thread++) {
        int begin = Pool::begin(items, thread, count), end = Pool::begin(items, thread + 1, count);
        parts[thread].word.store(part_word(following, begin, end), std::memory_order_release);
      }
      publish(following);
    } else {
      publish((now | 1) + 1);
    }
  }

  void publish(uint32_t value) {
    phase.store(value, std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_seq_cst)) wake_all(phase);
  }

  // Take an item of an open phase; -1: there is none left.
  int take(uint32_t open, int thread, bool& last) {
    for (int n = 0; n < count; n++) {
      int owner = thread + n < count ? thread + n : thread + n - count;
      auto& word = parts[owner].word;
      uint64_t value = word.load(std::memory_order_acquire);
      while (uint32_t(value >> 32) == open && (value >> 16 & 0xFFFF) < (value & 0xFFFF)) {
        if (word.compare_exchange_weak(value, value + (uint64_t{1} << 16), std::memory_order_acq_rel)) {
          int item = int(value >> 16 & 0xFFFF);
          last = n == 0 && item + 1 == int(value & 0xFFFF);
          return item;
        }
      }
    }
    return -1;
  }

  // Work until there is nothing to take; return the phase that was seen last.
  uint32_t work(int thread) {
    for (;;) {
      uint32_t seen = phase.load(std::memory_order_acquire);
      if (!(seen & 1)) return seen;
      bool last = false;
      int item = take(seen, thread, last);
      if (item < 0) return seen;
      job->item(item, thread, last);
      if (remaining.fetch_sub(1, std::memory_order_acq_rel) == 1) advance();
    }
  }

  // Wait until the phase is another one.
  void wait(uint32_t seen) {
    auto until = std::chrono::steady_clock::now() + SPIN;
    for (;;) {
      for (int n = 0; n < 16; n++) {
        if (phase.load(std::memory_order_acquire) != seen) return;
        relax();
      }
      if (std::chrono::steady_clock::now() >= until) break;
    }
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (phase.load(std::memory_order_seq_cst) == seen) sleep_while(phase, seen);
    sleepers.fetch_sub(1, std::memory_order_seq_cst);
  }

  void help(int thread) {
    while (!stopping.load(std::memory_order_acquire)) {
      uint32_t seen = work(thread);
      if (!stopping.load(std::memory_order_acquire)) wait(seen);
    }
  }
};

Pool::Pool(int threads) : threads_(threads ? threads : default_threads()) {
  if (threads_ < 1 || threads_ > MOST_THREADS) {
    throw std::invalid_argument("a pool of " + std::to_string(threads) + " threads: give 1 to " +
                                std::to_string(MOST_THREADS));
  }
}

Pool::~Pool() {
  if (!state_ || state_->made_at != forks.load()) return;  // a parent's threads cannot be joined
  state_->stopping.store(true, std::memory_order_release);
  state_->publish((state_->phase.load() | 1) + 1);
  for (auto& thread : state_->others) thread.join();
  delete state_;
}

Pool::State* Pool::state() {
  std::call_once(watching, [] { pthread_atfork(nullptr, nullptr, forked); });
  uint32_t now = forks.load();
  std::lock_guard<std::mutex> lock(making);
  if (!state_ || state_->made_at != now) {
    auto* state = new State;  // a parent's is left alone: its locks may be held by threads that are not here
    state->count = threads_, state->made_at = now;
    state_ = state;
    for (int thread = 1; thread < threads_; thread++) {
      try {
        state->others.emplace_back([state, thread] { state->help(thread); });
      } catch (const std::system_error&) {
        break;  // those that are there, and the caller, do all of it
      }
    }
  }
  return state_;
}

void Pool::run(Job& job) {
  State& s = *state();
  std::lock_guard<std::mutex> lock(s.turn);
  job.start(s.scratch);
  s.job = &job;
  s.advance();
  for (;;) {
    uint32_t seen = s.work(0);
    if (!(seen & 1)) return;
    s.wait(seen);
  }
}

int Pool::default_threads() {
  if (const char* variable = std::getenv("REALTTS_NATIVE_THREADS")) {
    int asked = std::atoi(variable);
    if (asked >= 1) return std::min(asked, MOST_THREADS);
  }
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::clamp(CPU_COUNT(&set), 1, 8);
#endif
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 8);
}

Pool& Pool::shared() {
  static Pool* pool = new Pool(0);  // never destroyed: threads may sleep in it when the process ends
  return *pool;
}

}  // namespace realtts
