// The module that is loaded first: compiled for the oldest processor, it says which builds of the core exist and
// which of them this processor and its operating system can run.
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <sstream>
#include <string>
#include <vector>

namespace {

#if defined(__x86_64__) && defined(__GNUC__)
// The members of x86-64-v3 that not every compiler's __builtin_cpu_supports knows.
bool has_movbe_f16c_lzcnt() {
  unsigned a, b, c, d, extended_c;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid(0x80000001, &a, &b, &extended_c, &d)) return false;
  return (c & bit_MOVBE) && (c & bit_F16C) && (extended_c & bit_LZCNT);
}
#endif

// The compiler's run-time support asks the operating system too (XGETBV) before it reports AVX.
bool runs(const std::string& level) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_movbe_f16c_lzcnt();
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (level == "x86-64-v2") return v2;
  if (level == "x86-64-v3") return v3;
  if (level == "x86-64-v4") return v4;
#endif
  return level == "baseline";
}

std::vector<std::string> built() {
  std::vector<std::string> levels;
  std::istringstream list(SCHUSS_LEVELS);
  for (std::string level; std::getline(list, level, ',');) levels.push_back(level);
  return levels;
}

}  // namespace

PYBIND11_MODULE(_isa, module, pybind11::mod_gil_not_used()) {
  module.doc() = "Which builds of the core exist, and which of them run here.";
  module.def("built", &built, "The instruction-set levels the package was built for, lowest first.");
  module.def("runs", &runs, pybind11::arg("level"), "Whether this processor and operating system can run a level.");
}
