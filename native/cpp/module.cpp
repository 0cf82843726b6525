// The module of Python: each subject binds its own part.
#include "arrays.hpp"
#include "dispatch.hpp"

namespace nb = nanobind;
using namespace realtts;

NB_MODULE(_native, m) {
  m.def("features", [] { return nb::tuple(nb::cast(features())); });
  m.def("usable", []() -> std::optional<std::string> {
    std::string reason = unusable();
    return reason.empty() ? std::nullopt : std::optional<std::string>(reason);
  });
  m.def("instruction_set", []() -> std::optional<std::string> {
    return unusable().empty() ? std::optional<std::string>(kernels().name) : std::nullopt;
  });
  // For tests: pretend that the CPU has these instruction sets alone; None: as it is. Reads the environment again.
  m.def("_pretend", [](std::optional<std::vector<std::string>> names) { fake_features(names ? &*names : nullptr); },
        nb::arg("names").none());
  nb::class_<Pool>(m, "Pool", "Threads that share a step's work with the caller.")
      .def("__init__", [](Pool* self, std::optional<int> threads) {
             if (threads && *threads < 1) throw std::invalid_argument("a pool needs at least one thread: give 1 or more");
             new (self) Pool(threads.value_or(0));
           },
           nb::arg("threads") = nb::none())
      .def_prop_ro("threads", &Pool::threads)
      .def("read_rates",
           [](Pool& self, int megabytes, int rounds) {
             if (megabytes < 1 || megabytes > 16384 || rounds < 1) {
               throw std::invalid_argument("give 1 to 16384 megabytes and at least one round");
             }
             nb::gil_scoped_release free;
             return self.read_rates(size_t(megabytes) << 20, rounds);
           },
           nb::arg("megabytes") = 1024, nb::arg("rounds") = 9)
      .def_static("default", &Pool::shared, nb::rv_policy::reference);
  bind_arrays(m);
  bind_products(m);
  bind_step(m);
  bind_flow(m);
  bind_sampler(m);
  bind_codes(m);
}
