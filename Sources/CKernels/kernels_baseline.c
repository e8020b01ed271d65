#include "CBEiTKernels.h"
#define LEVEL(name) beitseg_baseline_##name
#define LANES 4
#define INLINE static inline
#include "kernels.inc"
