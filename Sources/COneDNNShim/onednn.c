#include "CBEiTOneDNNShim.h"

#ifndef BEITSEG_ONEDNN

int beitseg_onednn_available(void) { return 0; }
int beitseg_onednn_out_of_memory(void) { return 1; }
const char *beitseg_onednn_version(void) { return ""; }
int beitseg_onednn_sgemm(int transpose_a, int transpose_b, long m, long n, long k, const float *a, long lda,
                         const float *b, long ldb, float beta, float *c, long ldc) {
  return -1;
}

#else

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>

static char version[32];

static void start(void) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(version, sizeof version, "%d.%d.%d", v->major, v->minor, v->patch);
}

// Our workers are the threads; OpenMP keeps the number of threads per calling thread.
static void start_thread(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static __thread int ready;
  pthread_once(&once, start);
  if (ready) return;
  ready = 1;
  void (*set_threads)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (set_threads) set_threads(1);
}

int beitseg_onednn_available(void) {
  return 1;
}

int beitseg_onednn_out_of_memory(void) { return dnnl_out_of_memory; }

const char *beitseg_onednn_version(void) {
  start_thread();
  return version;
}

int beitseg_onednn_sgemm(int transpose_a, int transpose_b, long m, long n, long k, const float *a, long lda,
                         const float *b, long ldb, float beta, float *c, long ldc) {
  start_thread();
  return (int)dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
}

#endif
