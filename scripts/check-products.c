// Compares the products and the kernels of reduced precision at every level of this processor with plain loops; see check-aarch64.
#include "CBEiTKernels.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 1;
static uint32_t random_bits(void) { return (state = state * 1664525 + 1013904223) >> 8; }
static float random_float(void) { return (float)(int32_t)(random_bits() & 0xFFFF) / 32768.0f - 1.0f; }
static float from_bf16(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

enum { most_rows = 14, most_k = 140, most_columns = 70 };

static int int8_differs(const beitseg_kernel_table *kernels, size_t rows, size_t k, size_t columns) {
  static uint8_t a[most_rows * most_k];
  static int8_t w[most_columns * most_k], packed[(most_columns + beitseg_panel) * (most_k + 4)];
  static float a_scales[most_rows], w_scales[most_columns], c[most_rows * most_columns];
  static int32_t zeros[most_rows], sums[most_columns];
  size_t lda = (k + 3) / 4 * 4;
  for (size_t i = 0; i < sizeof a; i++) a[i] = (uint8_t)random_bits();
  for (size_t i = 0; i < sizeof w; i++) w[i] = (int8_t)random_bits();
  for (size_t i = 0; i < rows; i++) a_scales[i] = random_float(), zeros[i] = (int32_t)(random_bits() % 256);
  for (size_t j = 0; j < columns; j++) w_scales[j] = random_float();
  kernels->pack_int8(w, k, columns, k, packed, sums);
  kernels->int8_product(a, lda, a_scales, zeros, rows, k, packed, w_scales, sums, columns, c, columns);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) {
      int32_t sum = 0;
      for (size_t l = 0; l < k; l++) sum += (a[i * lda + l] - zeros[i]) * w[j * k + l];
      if (c[i * columns + j] != a_scales[i] * w_scales[j] * (float)sum) return 1;
    }
  return 0;
}

// Whether one product is off, given a row's and an output's terms.
static int is_off(float c, const float *a, const float *w, size_t k) {
  double sum = 0, magnitude = 0;
  for (size_t l = 0; l < k; l++) {
    sum += (double)a[l] * (double)w[l];
    magnitude += fabs((double)a[l] * (double)w[l]);
  }
  return !(fabs(c - sum) <= 1e-6 * magnitude);
}

// Of floats, or of bfloat16 numbers.
static int floats_differ(const beitseg_kernel_table *kernels, size_t rows, size_t k, size_t columns, int halves) {
  static float a[most_rows * most_k], w[most_columns * most_k], packed[(most_columns + beitseg_panel) * (most_k + 2)];
  static float c[most_rows * most_columns];
  static uint16_t a_halves[most_rows * most_k + 1], packed_halves[(most_columns + beitseg_panel) * (most_k + 2)];
  for (size_t i = 0; i < columns * k; i++) w[i] = from_bf16((uint16_t)(0x3F80 + random_bits() % 0x180));
  for (size_t i = 0; i < rows * k; i++) a[i] = random_float();
  kernels->float_to_bf16(a, a_halves, rows * k);
  a_halves[rows * k] = 0x7FC0;
  if (halves) {
    kernels->bf16_to_float(a_halves, a, rows * k);
    kernels->pack_as_bf16(w, k, 0, columns, k, packed_halves);
    kernels->bf16_product(a_halves, k, rows, k, packed_halves, columns, c, columns);
  } else {
    kernels->pack_f32(w, k, 0, columns, k, packed);
    kernels->f32_product(a, k, rows, k, packed, columns, c, columns);
  }
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++)
      if (is_off(c[i * columns + j], a + i * k, w + j * k, k)) return 1;
  if (k % 4) return 0;
  // Rows in two lines each have the same bits.
  static float by_lines[most_rows * most_columns];
  const void *lines[2 * most_rows];
  for (size_t line = 0; line < 2 * rows; line++)
    lines[line] = halves ? (const void *)(a_halves + line * (k / 2)) : (const void *)(a + line * (k / 2));
  if (halves)
    kernels->bf16_line_product(lines, 2, k / 2, rows, packed_halves, columns, by_lines, columns);
  else
    kernels->f32_line_product(lines, 2, k / 2, rows, packed, columns, by_lines, columns);
  return memcmp(c, by_lines, rows * columns * sizeof *c) != 0;
}

static int quantisation_differs(const beitseg_kernel_table *kernels, size_t n) {
  static float x[most_columns];
  static uint8_t q[most_columns];
  float scale, low = 0, high = 0;
  int32_t zero;
  for (size_t i = 0; i < n; i++) x[i] = random_float();
  kernels->quantize_rows(x, n, 1, n, q, n, &scale, &zero);
  for (size_t i = 0; i < n; i++) low = fminf(low, x[i]), high = fmaxf(high, x[i]);
  float want_scale = (high - low) / 255.0f, inverse = 1.0f / want_scale;
  if (scale != want_scale || zero != (int32_t)rintf(-low * inverse)) return 1;
  for (size_t i = 0; i < n; i++) {
    float scaled = x[i] * inverse, want = rintf(scaled) + (float)zero;
    if (q[i] != (want < 0 ? 0 : want > 255 ? 255 : want)) return 1;
  }
  return 0;
}

int main(void) {
  int failures = 0;
  for (int level = 0; level <= beitseg_kernel_level(); level++) {
    const beitseg_kernel_table *kernels = beitseg_kernels_at(level);
    if (!kernels) continue;
    int products = 0, wrong = 0;
    for (size_t rows = 1; rows <= most_rows; rows++)
      for (size_t k = 1; k <= most_k; k += k < 9 ? 1 : 43)
        for (size_t columns = 1; columns <= most_columns; columns += columns < 4 ? 1 : 11, products++) {
          wrong += int8_differs(kernels, rows, k, columns);
          wrong += floats_differ(kernels, rows, k, columns, 0) + floats_differ(kernels, rows, k, columns, 1);
          wrong += quantisation_differs(kernels, columns);
        }
    printf("%s: %d sizes, %d wrong\n", beitseg_kernel_level_name(level), products, wrong);
    failures += wrong;
  }
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
