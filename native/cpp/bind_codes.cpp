// The predictor of a frame's codes, as Python sees it.
#include <stdexcept>
#include <utility>

#include "arrays.hpp"
#include "bind_sampler.hpp"
#include "bind_step.hpp"
#include "codes.hpp"

namespace realtts {

namespace {

using Optional = std::optional<nb::object>;

struct BoundPredictor {
  CodePredictor core;
  nb::object decoder, sampler;  // which it points to
  Array first, others;
};

Table table_of(const Array& array, int dims, int64_t which) {
  Table table;
  const int64_t skipped = dims == 3 ? which * array.strides[0] : 0;
  table.real = array.real();
  table.data = static_cast<const char*>(array.data) + skipped * int64_t(real_bytes(table.real));
  table.rows = array.shape[size_t(dims - 2)], table.stride = array.strides[size_t(dims - 2)];
  return table;
}

BoundPredictor predictor_of(nb::object decoder, std::vector<std::shared_ptr<Weight>> heads, nb::object sampler,
                            nb::object first, nb::object others, std::shared_ptr<Weight> projection) {
  BoundPredictor p;
  p.core.decoder = nb::cast<const Decoder*>(decoder), p.core.sampler = nb::cast<const Sampler*>(sampler);
  for (auto& head : heads) p.core.heads.push_back(std::move(head));
  p.core.projection = std::move(projection);
  p.first = Array::of(first, "first").expect("first", {Type::f32, Type::f16, Type::bf16}, {-1, -1}, 1);
  p.others = Array::of(others, "others");
  p.others.expect("others", {Type::f32, Type::f16, Type::bf16}, {-1, -1, p.first.shape[1]}, 2);
  p.core.width = int(p.first.shape[1]);
  p.core.first = table_of(p.first, 2, 0);
  for (int64_t group = 0; group < p.others.shape[0]; group++) p.core.others.push_back(table_of(p.others, 3, group));
  p.decoder = std::move(decoder), p.sampler = std::move(sampler);
  p.core.check();
  return p;
}

void run(const BoundPredictor& self, nb::object given_hidden, const Cache& cache, nb::object given_codes,
         nb::object given_embedded, const SamplingValues& values, nb::object given_step, Optional given_noise,
         Optional given_broken, std::optional<std::vector<int64_t>> given_rows, Pool* pool) {
  const CodePredictor& core = self.core;
  const Recipe& recipe = core.sampler->recipe();
  const int64_t n = values.places, all = core.groups(), width = core.width;
  values.expect(recipe);
  Array hidden = Array::of(given_hidden, "hidden").expect("hidden", {Type::f32}, {n, width}, 1);
  Array codes = Array::of(given_codes, "codes", true).expect("codes", {Type::i64}, {n, all}, 0);
  Array embedded = Array::of(given_embedded, "embedded", true).expect("embedded", {Type::f32}, {n, all, width}, 0);
  Array step = Array::of(given_step, "step").expect("step", {Type::i64}, {n});
  Array noise = optional_array(given_noise, "noise", {Type::f32}, {all - 1, n, recipe.vocabulary}, 2);
  Array broken = optional_array(given_broken, "broken", {Type::boolean}, {-1}, 0, true);
  PlacedRows rows(given_rows, n, {&broken});
  Frame frame;
  frame.rows = int(n);
  frame.hidden = hidden.as<float>(), frame.hidden_stride = hidden.strides[0];
  frame.codes = codes.as<int64_t>(), frame.embedded = embedded.as<float>();
  for (int64_t place = 0; place < n; place++) {
    frame.drawn_with.push_back(values.row(place, step));
    if (!noise.data && !frame.drawn_with.back().greedy) {
      throw std::invalid_argument("noise is missing: give it for rows that are drawn");
    }
  }
  if (noise.data) {
    frame.noise = noise.as<float>();
    frame.noise_group_stride = noise.strides[0], frame.noise_stride = noise.strides[1];
  }
  Pool& threads = pool_of(pool);
  nb::gil_scoped_release free;
  core.run(cache.view, frame, threads);
  for (int64_t place = 0; broken.data && place < n; place++) {
    if (frame.broken[size_t(place)]) broken.as<bool>()[rows.of(place)] = true;
  }
}

}  // namespace

void bind_codes(nb::module_& m) {
  nb::class_<BoundPredictor>(m, "CodePredictor", "Draws the codes of a frame one by one.")
      .def(
          "__init__",
          [](BoundPredictor* self, nb::object decoder, std::vector<std::shared_ptr<Weight>> heads, nb::object sampler,
             nb::object first, nb::object others, std::shared_ptr<Weight> projection) {
            new (self) BoundPredictor(predictor_of(std::move(decoder), std::move(heads), std::move(sampler),
                                                   std::move(first), std::move(others), std::move(projection)));
          },
          nb::arg("decoder"), nb::arg("heads"), nb::arg("sampler"), nb::kw_only(), nb::arg("first"), nb::arg("others"),
          nb::arg("projection").none() = nb::none())
      .def("run", &run, nb::arg("hidden"), nb::arg("cache"), nb::arg("codes"), nb::arg("embedded"), nb::arg("values"),
           nb::arg("step"), nb::kw_only(), nb::arg("noise") = nb::none(), nb::arg("broken") = nb::none(),
           nb::arg("rows") = nb::none(), nb::arg("pool").none() = nb::none());
}

}  // namespace realtts
