#include "CBEiTKernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define LEVEL(name) beitseg_avx2_##name
#define LANES 8
#define INLINE static inline
#define BUILD(features) __attribute__((target(features)))

#pragma clang attribute push(BUILD("avx2,fma"), apply_to = function)
#include "kernels.inc"
#define PRODUCT(name) beitseg_avx2_##name
#define DOT_AVX2
#include "products.inc"
#pragma clang attribute pop

#pragma clang attribute push(BUILD("avx2,fma,avxvnni"), apply_to = function)
#define PRODUCT(name) beitseg_avx_vnni_##name
#define DOT_AVX_VNNI
#include "products.inc"
#pragma clang attribute pop
#endif
