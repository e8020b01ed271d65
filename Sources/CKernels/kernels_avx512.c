#include "CBEiTKernels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define LEVEL(name) beitseg_avx512_##name
#define LANES 16
#define INLINE static inline
#define BUILD(extra) __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma" extra), min_vector_width(512)))

#pragma clang attribute push(BUILD(""), apply_to = function)
#include "kernels.inc"
#define PRODUCT(name) beitseg_avx512_##name
#define DOT_AVX512
#include "products.inc"
#pragma clang attribute pop

#pragma clang attribute push(BUILD(",avx512vnni"), apply_to = function)
#define PRODUCT(name) beitseg_avx512_vnni_##name
#define DOT_AVX512_VNNI
#include "products.inc"
#pragma clang attribute pop

#pragma clang attribute push(BUILD(",avx512vnni,avx512bf16"), apply_to = function)
#define PRODUCT(name) beitseg_avx512_bf16_##name
#define DOT_AVX512_VNNI
#define DOT_AVX512_BF16
#include "products.inc"
#pragma clang attribute pop
#endif
