#include "CBEiTKernels.h"
#include <stdatomic.h>
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

// The levels from the plainest to the best: name, table, and what the processor must have.
#if defined(__x86_64__)
#define AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#define AVX512 \
  (AVX2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && \
   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#define AVX512_VNNI (AVX512 && __builtin_cpu_supports("avx512vnni"))
#define LEVELS \
  LEVEL("baseline", baseline, 1) \
  LEVEL("AVX2+FMA", avx2, AVX2) \
  LEVEL("AVX2 VNNI", avx_vnni, AVX2 && __builtin_cpu_supports("avxvnni")) \
  LEVEL("AVX-512", avx512, AVX512) \
  LEVEL("AVX-512 VNNI", avx512_vnni, AVX512_VNNI) \
  LEVEL("AVX-512 VNNI BF16", avx512_bf16, AVX512_VNNI && __builtin_cpu_supports("avx512bf16"))
#elif defined(__aarch64__)
#if defined(__linux__)
#define DOT (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
#define I8MM (getauxval(AT_HWCAP2) & HWCAP2_I8MM)
#elif defined(__APPLE__)
static int has(const char *feature) {
  int answer = 0;
  size_t size = sizeof answer;
  return !sysctlbyname(feature, &answer, &size, NULL, 0) && answer;
}
#define DOT has("hw.optional.arm.FEAT_DotProd")
#define I8MM has("hw.optional.arm.FEAT_I8MM")
#else
#define DOT 0
#define I8MM 0
#endif
#define LEVELS \
  LEVEL("baseline", baseline, 1) \
  LEVEL("NEON dot products", neon_dot, DOT) \
  LEVEL("NEON I8MM", neon_i8mm, DOT && I8MM)
#else
#define LEVELS LEVEL("baseline", baseline, 1)
#endif

#define LEVEL(name, build, present) extern const beitseg_kernel_table beitseg_##build##_table;
LEVELS
#undef LEVEL

#define LEVEL(name, build, present) level_##build,
enum { LEVELS level_count };
#undef LEVEL

const beitseg_kernel_table *beitseg_kernels_at(int level) {
  switch (level) {
#define LEVEL(name, build, present) \
  case level_##build: return present ? &beitseg_##build##_table : NULL;
    LEVELS
#undef LEVEL
  }
  return NULL;
}

int beitseg_kernel_level(void) {
  int level = level_count - 1;
  while (!beitseg_kernels_at(level)) level--;
  return level;
}

const char *beitseg_kernel_level_name(int level) {
#define LEVEL(name, build, present) name,
  static const char *const names[] = {LEVELS};
#undef LEVEL
  return names[level];
}

int beitseg_bf16_is_fast(void) {
#if defined(__x86_64__)
  // By these instructions Intel's cores multiply half as many bfloat16 as float32 numbers; there are no kernels for AMX.
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd");
#else
  return 0;
#endif
}

static const beitseg_kernel_table *_Atomic chosen;

static __attribute__((noinline)) const beitseg_kernel_table *choose(void) {
  const beitseg_kernel_table *table = beitseg_kernels_at(beitseg_kernel_level());
  atomic_store_explicit(&chosen, table, memory_order_relaxed);
  return table;
}

static const beitseg_kernel_table *kernels(void) {
  const beitseg_kernel_table *table = atomic_load_explicit(&chosen, memory_order_relaxed);
  return table ? table : choose();
}

#define KERNEL(result, name, parameters, arguments) \
  result beitseg_##name parameters { return kernels()->name arguments; }
#include "kernels.def"
#include "products.def"
#undef KERNEL
