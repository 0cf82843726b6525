// The decoder's step, as Python sees it.
#include <stdexcept>
#include <utility>

#include "arrays.hpp"
#include "bind_step.hpp"
#include "step.hpp"

namespace realtts {

namespace {

using Optional = std::optional<nb::object>;

Floats floats(const nb::object& given, const char* name) {
  return Array::of(given, name).expect(name, {Type::f32}, {-1}).floats();
}

Floats floats(const Optional& given, const char* name) {
  return given && !given->is_none() ? floats(*given, name) : Floats();
}

struct Taps {
  TapsView view;
  Array output;
};

Cache cache_of(nb::object kv, nb::object slots, nb::object positions, nb::object valid, nb::object rotations,
               nb::object active) {
  Cache c;
  c.kv = Array::of(kv, "kv", true);
  c.kv.expect("kv", {Type::f32, Type::f16, Type::bf16}, {-1, 2, -1, -1, -1, -1}, 5);
  int64_t rows = c.kv.shape[2], slots_there = c.kv.shape[4];
  bool small = true;
  for (int64_t size : c.kv.shape) small &= size >= 1 && size < 1 << 24;
  if (!small || slots_there < 2) {
    throw std::invalid_argument("kv has the shape " + shape_text(c.kv.shape) + ": give a cache of at least one slot " +
                                "and the one behind the cap");
  }
  c.slots = Array::of(slots, "slots", true).expect("slots", {Type::i64}, {rows});
  c.positions = Array::of(positions, "positions", true).expect("positions", {Type::i64}, {rows});
  c.active = Array::of(active, "active", true).expect("active", {Type::boolean}, {rows});
  c.valid = Array::of(valid, "valid", true).expect("valid", {Type::boolean}, {rows, slots_there}, 1);
  c.rotations = Array::of(rotations, "rotations", true).expect("rotations", {Type::i64}, {rows, slots_there}, 1);
  CacheView& v = c.view;
  v.kv = c.kv.data, v.real = c.kv.real();
  v.layers = int(c.kv.shape[0]), v.rows = int(rows), v.kv_heads = int(c.kv.shape[3]), v.cap = int(slots_there) - 1;
  v.head_dim = int(c.kv.shape[5]);
  v.layer_stride = c.kv.strides[0], v.part_stride = c.kv.strides[1], v.row_stride = c.kv.strides[2];
  v.head_stride = c.kv.strides[3], v.slot_stride = c.kv.strides[4];
  v.slots = c.slots.as<int64_t>(), v.slots_stride = c.slots.strides[0];
  v.positions = c.positions.as<int64_t>(), v.positions_stride = c.positions.strides[0];
  v.active = c.active.as<bool>(), v.active_stride = c.active.strides[0];
  v.valid = c.valid.as<uint8_t>(), v.valid_stride = c.valid.strides[0];
  v.rotations = c.rotations.as<int64_t>(), v.rotations_stride = c.rotations.strides[0];
  return c;
}

std::vector<int> numbers(const nb::object& given, const char* name) {
  std::vector<int> values;
  try {
    for (nb::handle one : given) values.push_back(nb::cast<int>(nb::int_(one)));
  } catch (const nb::python_error&) {
    throw std::invalid_argument(std::string(name) + " is no sequence of numbers: give one, such as a tuple");
  } catch (const std::exception&) {
    throw std::invalid_argument(std::string(name) + " holds what is no small number: give whole numbers");
  }
  return values;
}

void run(const Decoder& decoder, nb::object given_x, const Cache& cache, nb::object given_out, Optional rows,
         Optional attended, Optional logits, const Taps* taps, Pool* pool) {
  StepArguments a;
  if (rows && !rows->is_none()) {
    a.rows = numbers(*rows, "rows");
  } else {
    for (int row = 0; row < cache.view.rows; row++) a.rows.push_back(row);
  }
  int64_t n = int64_t(a.rows.size());
  Array x = Array::of(given_x, "x").expect("x", {Type::f32}, {n, decoder.hidden}, 1);
  Array out = Array::of(given_out, "out", true).expect("out", {Type::f32}, {n, decoder.hidden}, 1);
  a.x = x.as<float>(), a.x_stride = x.strides[0];
  a.out = out.as<float>(), a.out_stride = out.strides[0];
  Array scores;
  if (logits && !logits->is_none()) {
    int64_t vocabulary = decoder.head ? decoder.head->matrix().outputs() : -1;
    scores = Array::of(*logits, "logits", true).expect("logits", {Type::f32}, {n, vocabulary}, 1);
    a.logits = scores.as<float>(), a.logits_stride = scores.strides[0];
    if (n > 1 && a.logits_stride < vocabulary) throw std::invalid_argument("logits overlap: give a contiguous array");
  }
  if (n > 1 && a.out_stride < decoder.hidden) throw std::invalid_argument("out overlaps: give a contiguous array");
  if (attended && !attended->is_none()) {
    if (nb::isinstance<nb::int_>(*attended)) {
      a.attended.assign(a.rows.size(), nb::cast<int>(*attended));
    } else {
      a.attended = numbers(*attended, "attended");
      if (a.attended.empty()) throw std::invalid_argument("attended is empty: give a number for each row, or None");
    }
  }
  a.taps = taps ? &taps->view : nullptr;
  Pool& threads = pool_of(pool);
  nb::gil_scoped_release free;
  decoder.run(cache.view, a, threads);
}

void bind_parts(nb::module_& m) {
  nb::class_<LayerParts>(m, "Layer", "One layer of a decoder.")
      .def(
          "__init__",
          [](LayerParts* self, nb::object input_norm, std::shared_ptr<Weight> qkv, std::shared_ptr<Weight> out,
             nb::object mlp_norm, std::shared_ptr<Weight> gate_up, std::shared_ptr<Weight> down, Optional input_bias,
             Optional q_norm, Optional k_norm, Optional mlp_bias) {
            LayerParts parts;
            parts.input_norm = floats(input_norm, "input_norm");
            parts.mlp_norm = floats(mlp_norm, "mlp_norm");
            parts.input_norm_bias = floats(input_bias, "input_norm_bias");
            parts.mlp_norm_bias = floats(mlp_bias, "mlp_norm_bias");
            parts.q_norm = floats(q_norm, "q_norm"), parts.k_norm = floats(k_norm, "k_norm");
            parts.qkv = std::move(qkv), parts.out = std::move(out);
            parts.gate_up = std::move(gate_up), parts.down = std::move(down);
            new (self) LayerParts(std::move(parts));
          },
          nb::kw_only(), nb::arg("input_norm"), nb::arg("qkv"), nb::arg("out"), nb::arg("mlp_norm"),
          nb::arg("gate_up"), nb::arg("down"), nb::arg("input_norm_bias") = nb::none(),
          nb::arg("q_norm") = nb::none(), nb::arg("k_norm") = nb::none(), nb::arg("mlp_norm_bias") = nb::none());
  nb::class_<Cache>(m, "Cache", "The tensors of a cache, bound once.")
      .def(
          "__init__",
          [](Cache* self, nb::object kv, nb::object slots, nb::object positions, nb::object valid,
             nb::object rotations, nb::object active) {
            new (self) Cache(cache_of(kv, slots, positions, valid, rotations, active));
          },
          nb::arg("kv"), nb::kw_only(), nb::arg("slots"), nb::arg("positions"), nb::arg("valid"),
          nb::arg("rotations"), nb::arg("active"))
      .def_prop_ro("rows", [](const Cache& self) { return self.view.rows; })
      .def_prop_ro("cap", [](const Cache& self) { return self.view.cap; });
  nb::class_<Taps>(m, "Taps", "Where attention weights of chosen heads go, bound once.")
      .def(
          "__init__",
          [](Taps* self, const std::vector<std::pair<int, int>>& heads, nb::object output) {
            Taps taps;
            taps.output = Array::of(output, "output", true);
            taps.output.expect("output", {Type::f32}, {int64_t(heads.size()), -1, -1}, 2);
            for (const auto& [layer, head] : heads) taps.view.heads.push_back({layer, head});
            taps.view.out = taps.output.as<float>();
            taps.view.pair_stride = taps.output.strides[0], taps.view.row_stride = taps.output.strides[1];
            taps.view.rows = int(taps.output.shape[1]), taps.view.cap = int(taps.output.shape[2]);
            new (self) Taps(std::move(taps));
          },
          nb::arg("heads"), nb::arg("output"));
}

}  // namespace

void bind_step(nb::module_& m) {
  bind_parts(m);
  nb::class_<Decoder>(m, "Step", "A whole decoder: layers, last norm, and where it is given the head.")
      .def(
          "__init__",
          [](Decoder* self, const std::vector<LayerParts>& layers, nb::object final_norm, int heads, int kv_heads,
             int head_dim, float eps, bool gated, Optional final_norm_bias, Optional cos, Optional sin,
             std::shared_ptr<Weight> head) {
            Decoder d;
            d.layers = layers;
            d.final_norm = floats(final_norm, "final_norm");
            d.final_norm_bias = floats(final_norm_bias, "final_norm_bias");
            d.hidden = int(d.final_norm.size());
            d.heads = heads, d.kv_heads = kv_heads, d.head_dim = head_dim, d.eps = eps, d.gated = gated;
            for (auto [given, values, name] : {std::tuple{&cos, &d.cos, "cos"}, std::tuple{&sin, &d.sin, "sin"}}) {
              if (!*given || (*given)->is_none()) continue;
              Array table = Array::of(**given, name).expect(name, {Type::f32}, {-1, head_dim}, 0);
              values->assign(table.as<float>(), table.as<float>() + table.shape[0] * table.shape[1]);
              d.positions = int(table.shape[0]);
            }
            d.head = std::move(head);
            if (d.layers.empty()) throw std::invalid_argument("no layers: give at least one");
            const Weight* down = d.layers.front().down.get();
            d.mlp = down ? down->matrix().in : 0;
            d.check();
            new (self) Decoder(std::move(d));
          },
          nb::arg("layers"), nb::arg("final_norm"), nb::kw_only(), nb::arg("heads"), nb::arg("kv_heads"),
          nb::arg("head_dim"), nb::arg("eps"), nb::arg("gated") = true, nb::arg("final_norm_bias") = nb::none(),
          nb::arg("cos") = nb::none(), nb::arg("sin") = nb::none(), nb::arg("head").none() = nb::none())
      .def_prop_ro("nbytes", &Decoder::read_bytes)
      .def("run", &run, nb::arg("x"), nb::arg("cache"), nb::arg("out"), nb::kw_only(), nb::arg("rows") = nb::none(),
           nb::arg("attended") = nb::none(), nb::arg("logits") = nb::none(), nb::arg("taps").none() = nb::none(),
           nb::arg("pool").none() = nb::none());
}

}  // namespace realtts
