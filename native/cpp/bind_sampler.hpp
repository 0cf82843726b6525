// What rows are drawn with, as Python gives it.
#pragma once
#include "arrays.hpp"
#include "sampler.hpp"

namespace realtts {

// The tensors of a sampler's parameters, bound once.
struct SamplingValues {
  Array temperature, top_k, top_p, min_p, penalty, guidance, min_new_tokens, greedy, stops;
  int64_t places = 0;

  // Throws std::invalid_argument where the vocabulary is another one.
  void expect(const Recipe& recipe) const;
  // What one place is drawn with, but for logits, noise and history.
  RowParameters row(int64_t place, const Array& step) const;
};

// The rows of a sampler that its places have, checked against what is held of all rows.
class PlacedRows {
 public:
  // Throws std::invalid_argument; `held` are arrays of all rows, or empty.
  PlacedRows(const std::optional<std::vector<int64_t>>& rows, int64_t places, std::initializer_list<const Array*> held);
  int64_t of(int64_t place) const { return rows_.empty() ? place : rows_[size_t(place)]; }

 private:
  std::vector<int64_t> rows_;
};

// An array that may be left out.
Array optional_array(const std::optional<nb::object>& given, const char* name, std::initializer_list<Type> types,
                     std::initializer_list<int64_t> shape, int dense, bool written = false);

}  // namespace realtts
