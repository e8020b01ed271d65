#include "CBEiTKernels.h"
#if defined(__x86_64__)
#define LEVEL(name) beitseg_avx512_##name
#define LANES 16
#define INLINE static inline
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"), min_vector_width(512))), \
                             apply_to = function)
#include "kernels.inc"
#pragma clang attribute pop
#endif
