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
  long height, width, channels, kernel_height, kernel_width, stride, top, left, grid_height, grid_width;
} beitseg_window;

/// Packed weights lie in panels of so many outputs; see panels.def.
enum { beitseg_panel = 32 };
/// The left-hand sides of bf16_outer_product lie in panels of so many columns; see training.def.
enum { beitseg_outer_panel = 12 };
/// The longest sum of products of bytes that fits in 32 bits: 255 · 128 · 65,536 < 2³¹.
enum { beitseg_most_int8_terms = 65536 };

/// The size of weights [outputs][k] of `element` bytes, 1, 2 or 4, when packed. Reading is fastest from multiples of 64.
static inline size_t beitseg_packed_bytes(size_t outputs, size_t k, size_t element) {
  return (outputs + beitseg_panel - 1) / beitseg_panel * beitseg_panel * ((k * element + 3) / 4 * 4);
}

/// What follows an affine map in the same pass.
enum { beitseg_activation_none = 0, beitseg_activation_gelu = 1, beitseg_activation_relu = 2 };

typedef struct {
#define KERNEL(result, name, parameters, arguments) result(*name) parameters;
#include "kernels.def"
#include "products.def"
#undef KERNEL
} beitseg_kernel_table;

/// The best level that this processor and build have. Level 0 runs on every processor of its kind; float32 kernels are
/// shared by the levels that differ only in dot products of less precision.
int beitseg_kernel_level(void);
/// 1 where the processor multiplies bfloat16 numbers faster than float32.
int beitseg_bf16_is_fast(void);
/// The kernels of one level, or NULL where the processor or the build lacks it. For tests; others call the functions.
const beitseg_kernel_table *beitseg_kernels_at(int level);
/// Such as "AVX-512 VNNI" or "baseline".
const char *beitseg_kernel_level_name(int level);

#define KERNEL(result, name, parameters, arguments) result beitseg_##name parameters;
#include "kernels.def"
#include "products.def"
#undef KERNEL
