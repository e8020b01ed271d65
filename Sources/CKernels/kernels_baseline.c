#include "CKernels.h"
#define LEVEL(name) beitseg_baseline_##name
#define INLINE static inline
#include "kernels.inc"
