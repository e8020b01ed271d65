#include "CBEiTKernels.h"
#if defined(__x86_64__)
#define LEVEL(name) beitseg_avx2_##name
#define LANES 8
#define INLINE static inline
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "kernels.inc"
#pragma clang attribute pop
#endif
