#include "kernels.h"

#if defined(__x86_64__)
extern const Kernels kernels_avx512vnni, kernels_avx512, kernels_avx2vnni, kernels_avx2;
#elif defined(__aarch64__)
extern const Kernels kernels_neon;
#endif
extern const Kernels kernels_base;

static const Kernels *const tables[] = {
#if defined(__x86_64__)
  &kernels_avx512vnni, &kernels_avx512, &kernels_avx2vnni, &kernels_avx2,
#elif defined(__aarch64__)
  &kernels_neon,
#endif
  &kernels_base,
};

const long kernels_count = sizeof tables / sizeof *tables;

const Kernels *kernels_at(long index) { return tables[index]; }

#if defined(__x86_64__)
static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

bool kernels_run_here(long index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const Kernels *table = tables[index];
  if (table == &kernels_avx512vnni) return has_avx512() && __builtin_cpu_supports("avx512vnni");
  if (table == &kernels_avx512) return has_avx512();
  if (table == &kernels_avx2vnni) return has_avx2() && __builtin_cpu_supports("avxvnni");
  if (table == &kernels_avx2) return has_avx2();
#endif
  return index < kernels_count;
}
