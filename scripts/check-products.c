// Compares the kernels of reduced precision at every level of this processor with plain loops; see check-aarch64.
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

static int bf16_differs(const beitseg_kernel_table *kernels, size_t rows, size_t k, size_t columns) {
  static float x[most_columns * most_k], c[most_rows * most_columns];
  static uint16_t a[most_rows * most_k + 1], w[most_columns * most_k];
  static uint16_t packed[(most_columns + beitseg_panel) * (most_k + 2)];
  for (size_t i = 0; i < columns * k; i++) x[i] = random_float();
  kernels->float_to_bf16(x, w, columns * k);
  for (size_t i = 0; i < rows * k; i++) x[i] = random_float();
  kernels->float_to_bf16(x, a, rows * k);
  a[rows * k] = 0x7FC0;
  kernels->pack_bf16(w, k, columns, k, packed);
  kernels->bf16_product(a, k, rows, k, packed, columns, c, columns);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) {
      double sum = 0, magnitude = 0;
      for (size_t l = 0; l < k; l++) {
        double term = (double)from_bf16(a[i * k + l]) * (double)from_bf16(w[j * k + l]);
        sum += term;
        magnitude += fabs(term);
      }
      if (!(fabs(c[i * columns + j] - sum) <= 1e-6 * magnitude)) return 1;
    }
  return 0;
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
          wrong += int8_differs(kernels, rows, k, columns) + bf16_differs(kernels, rows, k, columns);
          wrong += quantisation_differs(kernels, columns);
        }
    printf("%s: %d sizes, %d wrong\n", beitseg_kernel_level_name(level), products, wrong);
    failures += wrong;
  }
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
