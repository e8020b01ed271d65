#include "CBEiTKernels.h"
#define LEVEL(name) beitseg_baseline_##name
#define LANES 4
#define INLINE static inline
#include "kernels.inc"
#define PRODUCT LEVEL
#if defined(__x86_64__)
#include <immintrin.h>
#define DOT_SSE2
#endif
#include "products.inc"
