#include "CBEiTKernels.h"
// BEITSEG_PORTABLE: the dot products for processors of other kinds, to try them here.
#if defined(BEITSEG_PORTABLE)
#elif defined(__x86_64__)
#include <immintrin.h>
#define DOT_SSE2
#elif defined(__aarch64__)
#include <arm_neon.h>
#define DOT_NEON
#endif
#define LEVEL(name) beitseg_baseline_##name
#define LANES 4
#define INLINE static inline
#include "kernels.inc"
#define PRODUCT LEVEL
#include "products.inc"

#if defined(__aarch64__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define PRODUCT(name) beitseg_neon_dot_##name
#define DOT_NEON_DOT
#include "products.inc"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#define PRODUCT(name) beitseg_neon_i8mm_##name
#define DOT_NEON_I8MM
#include "products.inc"
#pragma clang attribute pop
#endif
