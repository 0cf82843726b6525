// The sampler, as Python sees it.
#include <stdexcept>
#include <utility>

#include "arrays.hpp"
#include "bind_sampler.hpp"
#include "sampler.hpp"

namespace realtts {

namespace {

using Optional = std::optional<nb::object>;

constexpr std::pair<const char*, Process> PROCESSES[] = {
    {"guidance", Process::guidance},       {"suppress", Process::suppress}, {"repetition_penalty", Process::repetition_penalty},
    {"temperature", Process::temperature}, {"top_k", Process::top_k},       {"top_p", Process::top_p},
    {"min_p", Process::min_p},
};

Array column(nb::object given, const char* name, Type type, int64_t places) {
  return Array::of(given, name).expect(name, {type}, {places, 1});
}

template <class T>
T at(const Array& array, int64_t place) {
  return array.as<T>()[place * array.strides[0]];
}

Recipe recipe_of(int vocabulary, const std::vector<std::string>& order, bool conditional,
                 const std::vector<int64_t>& suppressed, const std::optional<std::vector<int64_t>>& noise_ids,
                 std::optional<int> noise_width) {
  if (vocabulary < 1 || vocabulary > 1 << 24) throw std::invalid_argument("vocabulary is out of range: give 1 or more");
  Recipe recipe;
  recipe.vocabulary = vocabulary, recipe.conditional = conditional;
  for (const std::string& name : order) {
    bool known = false;
    for (const auto& [one, process] : PROCESSES) {
      if (name == one) recipe.order.push_back(process), known = true;
    }
    if (!known) throw std::invalid_argument("order names '" + name.substr(0, 40) + "', which is not known here");
    if (name == "guidance" && recipe.order.size() > 1) throw std::invalid_argument("order: put guidance first");
  }
  if (!suppressed.empty()) recipe.suppressed.assign(size_t(vocabulary), 0);
  for (int64_t id : suppressed) {
    if (id < 0 || id >= vocabulary) throw std::invalid_argument("suppressed: give ids below the vocabulary");
    recipe.suppressed[size_t(id)] = 1;
  }
  recipe.noise_width = noise_width.value_or(vocabulary);
  if (noise_ids) recipe.noise_ids = *noise_ids;
  bool fits = noise_ids ? int(noise_ids->size()) == vocabulary : recipe.noise_width == vocabulary;
  for (int64_t id : recipe.noise_ids) fits &= id >= 0 && id < recipe.noise_width;
  if (!fits) throw std::invalid_argument("noise_ids: give one id below noise_width for each logit");
  return recipe;
}

void run(const Sampler& sampler, nb::object given_logits, const SamplingValues& v, nb::object given_step,
         nb::object given_out, Optional given_noise, Optional given_seeds, Optional given_seen, Optional given_broken,
         std::optional<std::vector<int64_t>> given_rows) {
  const Recipe& recipe = sampler.recipe();
  const int64_t n = v.places, vocabulary = recipe.vocabulary;
  v.expect(recipe);
  Array logits = Array::of(given_logits, "logits");
  logits.expect("logits", {Type::f32}, {sampler.guided() ? 2 * n : n, vocabulary}, 1);
  Array step = Array::of(given_step, "step").expect("step", {Type::i64}, {n});
  Array out = Array::of(given_out, "out", true).expect("out", {Type::i64}, {n});
  Array noise = optional_array(given_noise, "noise", {Type::f32}, {n, recipe.noise_width}, 1);
  Array seen = optional_array(given_seen, "seen", {Type::boolean}, {-1, vocabulary + 1}, 1);
  Array broken = optional_array(given_broken, "broken", {Type::boolean}, {-1}, 1, true);
  Array seeds;
  if (given_seeds && !given_seeds->is_none()) {
    seeds = Array::of(*given_seeds, "seeds");
    if (seeds.dims() == 2) {
      seeds.expect("seeds", {Type::i64}, {-1, 1});
    } else {
      seeds.expect("seeds", {Type::i64}, {-1});
    }
  }
  if (!noise.data && !seeds.data) throw std::invalid_argument("neither noise nor seeds: give one of them");
  PlacedRows rows(given_rows, n, {&seen, &broken, &seeds});
  nb::gil_scoped_release free;
  for (int64_t place = 0; place < n; place++) {
    const int64_t row = rows.of(place);
    RowParameters p = v.row(place, step);
    p.seen = seen.data ? seen.as<uint8_t>() + row * seen.strides[0] : nullptr;
    p.logits = logits.as<float>() + place * logits.strides[0];
    p.unconditional = sampler.guided() ? logits.as<float>() + (n + place) * logits.strides[0] : nullptr;
    p.noise = noise.data ? noise.as<float>() + place * noise.strides[0] : nullptr;
    p.seed = seeds.data ? at<int64_t>(seeds, row) : 0;
    Draw draw = sampler.draw(p);
    out.as<int64_t>()[place * out.strides[0]] = draw.token;
    if (broken.data && draw.broken) broken.as<bool>()[row] = true;
  }
}

}  // namespace

void SamplingValues::expect(const Recipe& recipe) const {
  if (stops.shape[1] != recipe.vocabulary) throw std::invalid_argument("values are of another vocabulary");
}

RowParameters SamplingValues::row(int64_t place, const Array& step) const {
  RowParameters p;
  p.temperature = at<float>(temperature, place), p.rest = at<float>(top_p, place);
  p.min_p = at<float>(min_p, place), p.penalty = at<float>(penalty, place);
  p.guidance = at<float>(guidance, place), p.top_k = at<int64_t>(top_k, place);
  p.min_new_tokens = at<int64_t>(min_new_tokens, place), p.step = at<int64_t>(step, place);
  p.greedy = at<uint8_t>(greedy, place) != 0;
  p.stops = stops.as<uint8_t>() + place * stops.strides[0];
  return p;
}

PlacedRows::PlacedRows(const std::optional<std::vector<int64_t>>& rows, int64_t places,
                       std::initializer_list<const Array*> held) {
  if (rows && int64_t(rows->size()) != places) {
    throw std::invalid_argument("rows has " + std::to_string(rows->size()) + " numbers: give " +
                                std::to_string(places));
  }
  if (rows) rows_ = *rows;
  for (int64_t place = 0; place < places; place++) {
    for (const Array* array : held) {
      if (array->data && (of(place) < 0 || of(place) >= array->shape[0])) {
        throw std::invalid_argument("row " + std::to_string(of(place)) + " is not there: give rows below " +
                                    std::to_string(array->shape[0]));
      }
    }
  }
}

Array optional_array(const std::optional<nb::object>& given, const char* name, std::initializer_list<Type> types,
                     std::initializer_list<int64_t> shape, int dense, bool written) {
  return given && !given->is_none() ? Array::of(*given, name, written).expect(name, types, shape, dense) : Array();
}

void bind_sampler(nb::module_& m) {
  nb::class_<SamplingValues>(m, "SamplingValues", "The tensors of a sampler's parameters, bound once.")
      .def(
          "__init__",
          [](SamplingValues* self, nb::object temperature, nb::object top_k, nb::object top_p, nb::object min_p,
             nb::object repetition_penalty, nb::object guidance, nb::object min_new_tokens, nb::object greedy,
             nb::object stops) {
            SamplingValues v;
            v.temperature = column(temperature, "temperature", Type::f32, -1);
            int64_t n = v.places = v.temperature.shape[0];
            v.top_k = column(top_k, "top_k", Type::i64, n), v.top_p = column(top_p, "top_p", Type::f32, n);
            v.min_p = column(min_p, "min_p", Type::f32, n);
            v.penalty = column(repetition_penalty, "repetition_penalty", Type::f32, n);
            v.guidance = column(guidance, "guidance", Type::f32, n);
            v.min_new_tokens = column(min_new_tokens, "min_new_tokens", Type::i64, n);
            v.greedy = column(greedy, "greedy", Type::boolean, n);
            v.stops = Array::of(stops, "stops").expect("stops", {Type::boolean}, {n, -1}, 1);
            new (self) SamplingValues(std::move(v));
          },
          nb::kw_only(), nb::arg("temperature"), nb::arg("top_k"), nb::arg("top_p"), nb::arg("min_p"),
          nb::arg("repetition_penalty"), nb::arg("guidance"), nb::arg("min_new_tokens"), nb::arg("greedy"),
          nb::arg("stops"));
  nb::class_<Sampler>(m, "Sampler", "Draws tokens as realtts.accel.sampling does.")
      .def(
          "__init__",
          [](Sampler* self, int vocabulary, const std::vector<std::string>& order, bool conditional,
             const std::vector<int64_t>& suppressed, const std::optional<std::vector<int64_t>>& noise_ids,
             std::optional<int> noise_width) {
            new (self) Sampler(recipe_of(vocabulary, order, conditional, suppressed, noise_ids, noise_width));
          },
          nb::arg("vocabulary"), nb::arg("order"), nb::kw_only(), nb::arg("conditional") = true,
          nb::arg("suppressed") = nb::tuple(), nb::arg("noise_ids") = nb::none(),
          nb::arg("noise_width") = nb::none())
      .def("run", &run, nb::arg("logits"), nb::arg("values"), nb::arg("step"), nb::arg("out"), nb::kw_only(),
           nb::arg("noise") = nb::none(), nb::arg("seeds") = nb::none(), nb::arg("seen") = nb::none(),
           nb::arg("broken") = nb::none(), nb::arg("rows") = nb::none());
}

}  // namespace realtts
