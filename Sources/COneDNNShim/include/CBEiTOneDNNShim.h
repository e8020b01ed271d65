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
