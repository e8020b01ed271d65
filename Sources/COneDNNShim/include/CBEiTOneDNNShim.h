// oneDNN behind a few C functions, the same for its versions 2 and 3. Every call computes on the calling thread alone.
#pragma once
#include <stddef.h>

/// 1 if the library was compiled in.
int beitseg_onednn_available(void);
/// "2.6.3", or "" without the library.
const char *beitseg_onednn_version(void);

/// The status of a call that did not get the memory it needs.
int beitseg_onednn_out_of_memory(void);

/// C = A·B + beta·C, row-major; A is [m,k] or, transposed, [k,m]; B likewise. Returns 0, or oneDNN's status.
int beitseg_onednn_sgemm(int transpose_a, int transpose_b, long m, long n, long k, const float *a, long lda,
                         const float *b, long ldb, float beta, float *c, long ldc);

/// Products [m,k]·[k,n] whose right-hand side is packed once into the layout that oneDNN likes best.
typedef struct beitseg_product beitseg_product;
/// All matrices are dense; A and B are float32 or, with `bfloat16`, that; C is float32. NULL where oneDNN has no fast way.
beitseg_product *beitseg_product_create(long m, long n, long k, int bfloat16);
void beitseg_product_destroy(beitseg_product *product);
size_t beitseg_product_packed_bytes(const beitseg_product *product);
/// Scratch memory of one call of `beitseg_product_run`.
size_t beitseg_product_scratch_bytes(const beitseg_product *product);
/// Packs B, [k,n] with any strides, of float32 or bfloat16. The layout depends on n, k and the product's type alone.
int beitseg_product_pack(const beitseg_product *product, const void *b, int bfloat16, long row_stride,
                         long column_stride, void *packed);
/// C = A·B with packed B. Any number of threads may run one product at once, each with its own scratch.
int beitseg_product_run(const beitseg_product *product, const void *a, const void *packed, float *c, void *scratch);
