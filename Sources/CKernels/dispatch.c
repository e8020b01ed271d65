#include "CBEiTKernels.h"
#include <stdatomic.h>

extern const beitseg_kernel_table beitseg_baseline_table;
#if defined(__x86_64__)
extern const beitseg_kernel_table beitseg_avx2_table, beitseg_avx512_table;

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const beitseg_kernel_table *beitseg_kernels_at(int level) {
  if (level == beitseg_avx512) return has_avx512() ? &beitseg_avx512_table : NULL;
  if (level == beitseg_avx2) return has_avx2() ? &beitseg_avx2_table : NULL;
  return level == beitseg_baseline ? &beitseg_baseline_table : NULL;
}
#else
const beitseg_kernel_table *beitseg_kernels_at(int level) {
  return level == beitseg_baseline ? &beitseg_baseline_table : NULL;
}
#endif

int beitseg_kernel_level(void) {
  for (int level = beitseg_avx512; level > beitseg_baseline; level--)
    if (beitseg_kernels_at(level)) return level;
  return beitseg_baseline;
}

const char *beitseg_kernel_level_name(int level) {
  return level == beitseg_avx512 ? "AVX-512" : level == beitseg_avx2 ? "AVX2+FMA" : "baseline";
}

static const beitseg_kernel_table *kernels(void) {
  static const beitseg_kernel_table *_Atomic chosen;
  const beitseg_kernel_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (!table) {
    table = beitseg_kernels_at(beitseg_kernel_level());
    atomic_store_explicit(&chosen, table, memory_order_relaxed);
  }
  return table;
}

#define KERNEL(result, name, parameters, arguments) \
  result beitseg_##name parameters { return kernels()->name arguments; }
#include "kernels.def"
#undef KERNEL
