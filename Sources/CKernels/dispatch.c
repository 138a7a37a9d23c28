#include "kernels.h"

#if defined(__x86_64__)
extern const Kernels kernels_avx512, kernels_avx2;
#elif defined(__aarch64__)
extern const Kernels kernels_neon;
#endif
extern const Kernels kernels_base;

static const Kernels *const tables[] = {
#if defined(__x86_64__)
  &kernels_avx512, &kernels_avx2,
#elif defined(__aarch64__)
  &kernels_neon,
#endif
  &kernels_base,
};

const long kernels_count = sizeof tables / sizeof *tables;

const Kernels *kernels_at(long index) { return tables[index]; }

bool kernels_run_here(long index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (tables[index] == &kernels_avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (tables[index] == &kernels_avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
#endif
  return index < kernels_count;
}
