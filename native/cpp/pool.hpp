// Threads that work on a job with the caller.
#pragma once
#include <vector>

#include "memory.hpp"

namespace realtts {

// A job is a row of phases, each a number of items that may be computed at the same time by anyone, in any order.
class Job {
 public:
  virtual ~Job() = default;
  // Take scratch memory, which is the job's until it ends. Called first.
  virtual void start(Scratch& scratch) = 0;
  // Return the number of items of the first or the next phase, at most Pool::MOST_ITEMS; 0: the job has ended. Called by
  // one thread while no item is computed.
  virtual int next() = 0;
  // Compute an item. `thread` is below Pool::threads and nobody else's; `last` says that the thread's own part of the
  // phase ends with it, so that it may fetch what it will read next.
  virtual void item(int item, int thread, bool last) = 0;
};

// Each thread begins with a part of a phase's items that is always its own, and then helps the others. Nobody waits for
// a thread that does not run unless it holds an item. Threads spin at most 50 microseconds, then they sleep.
class Pool {
 public:
  static constexpr int MOST_ITEMS = 65535;
  static constexpr int MOST_THREADS = 64;

  // Throws std::invalid_argument for a number of threads out of range; 0: as many as `default_threads`.
  explicit Pool(int threads);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  int threads() const { return threads_; }
  // Run a job to its end, after those of other callers.
  void run(Job& job);

  // The first item of a thread's own part.
  static int begin(int items, int thread, int threads) {
    return static_cast<int>(static_cast<long long>(items) * thread / threads);
  }
  // Of the environment, else the processors that this process may use, at most 8.
  static int default_threads();
  static Pool& shared();
  // Return bytes per second of reading so much memory, at least, by all threads: one number for each round.
  std::vector<double> read_rates(size_t bytes, int rounds);

 private:
  struct State;
  State* state();
  const int threads_;
  State* state_ = nullptr;
};

}  // namespace realtts
