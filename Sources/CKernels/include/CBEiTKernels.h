// Hot loops. Each kernel is compiled once per instruction set from kernels.inc and chosen at run time; no kernel
// allocates, does I/O or starts a thread. The list, with what each kernel does, is kernels.def.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// For loops that wait for another thread: leaves the core's units to its other thread, and saves power.
static inline void beitseg_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/// A window that slides over channels-last maps of `height` × `width` pixels; `top` and `left` are the pixel below its
/// first corner at the first of grid_height × grid_width positions, negative in the padding.
typedef struct {
  long height, width, channels, kernel_width, stride, top, left, grid_height, grid_width;
} beitseg_window;

/// What follows an affine map in the same pass.
enum { beitseg_activation_none = 0, beitseg_activation_gelu = 1, beitseg_activation_relu = 2 };

typedef struct {
#define KERNEL(result, name, parameters, arguments) result(*name) parameters;
#include "kernels.def"
#undef KERNEL
} beitseg_kernel_table;

enum { beitseg_baseline = 0, beitseg_avx2 = 1, beitseg_avx512 = 2 };

/// The best level that this processor and build have.
int beitseg_kernel_level(void);
/// The kernels of one level, or NULL where the processor or the build lacks it. For tests; others call the functions.
const beitseg_kernel_table *beitseg_kernels_at(int level);
/// "AVX-512", "AVX2+FMA" or "baseline".
const char *beitseg_kernel_level_name(int level);

#define KERNEL(result, name, parameters, arguments) result beitseg_##name parameters;
#include "kernels.def"
#undef KERNEL
