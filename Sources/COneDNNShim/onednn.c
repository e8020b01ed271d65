#include "CBEiTOneDNNShim.h"

#ifndef BEITSEG_ONEDNN

int beitseg_onednn_available(void) { return 0; }
int beitseg_onednn_out_of_memory(void) { return 1; }
const char *beitseg_onednn_version(void) { return ""; }
int beitseg_onednn_sgemm(int transpose_a, int transpose_b, long m, long n, long k, const float *a, long lda,
                         const float *b, long ldb, float beta, float *c, long ldc) {
  return -1;
}
beitseg_product *beitseg_product_create(long m, long n, long k, int bfloat16) { return NULL; }
void beitseg_product_destroy(beitseg_product *product) {}
size_t beitseg_product_packed_bytes(const beitseg_product *product) { return 0; }
size_t beitseg_product_scratch_bytes(const beitseg_product *product) { return 0; }
int beitseg_product_pack(const beitseg_product *product, const void *b, int bfloat16, long row_stride,
                         long column_stride, void *packed) {
  return -1;
}
int beitseg_product_run(const beitseg_product *product, const void *a, const void *packed, float *c, void *scratch) {
  return -1;
}

#else

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t memory_description;
typedef const_dnnl_memory_desc_t memory_description_argument;
#else
typedef dnnl_memory_desc_t memory_description;
typedef const dnnl_memory_desc_t *memory_description_argument;
#endif

static dnnl_engine_t engine;
static char version[32];

static void start(void) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(version, sizeof version, "%d.%d.%d", v->major, v->minor, v->patch);
  if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
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

static dnnl_stream_t thread_stream(void) {
  static __thread dnnl_stream_t stream;
  if (!stream && dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success) stream = NULL;
  return stream;
}

int beitseg_onednn_available(void) {
  start_thread();
  return engine != NULL;
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

struct beitseg_product {
  dnnl_primitive_t primitive;
  memory_description a, packed, c, scratch;
  long n, k;
};

static dnnl_data_type_t type_of(int bfloat16) { return bfloat16 ? dnnl_bf16 : dnnl_f32; }

#if DNNL_VERSION_MAJOR >= 3
static int describe(memory_description *d, dnnl_data_type_t type, long rows, long columns, long row_stride,
                    long column_stride) {
  dnnl_dims_t dims = {rows, columns}, strides = {row_stride, column_stride};
  return dnnl_memory_desc_create_with_strides(d, 2, dims, type, strides) != dnnl_success;
}
static int describe_any(memory_description *d, dnnl_data_type_t type, long rows, long columns) {
  dnnl_dims_t dims = {rows, columns};
  return dnnl_memory_desc_create_with_tag(d, 2, dims, type, dnnl_format_tag_any) != dnnl_success;
}
static void forget(memory_description *d) { dnnl_memory_desc_destroy(*d); }
static memory_description_argument argument(const memory_description *d) { return *d; }
static size_t size_of(const memory_description *d) { return dnnl_memory_desc_get_size(*d); }
static int copy_description(memory_description *d, memory_description_argument from) {
  return dnnl_memory_desc_clone(d, from) != dnnl_success;
}
#else
static int describe(memory_description *d, dnnl_data_type_t type, long rows, long columns, long row_stride,
                    long column_stride) {
  dnnl_dims_t dims = {rows, columns}, strides = {row_stride, column_stride};
  return dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides) != dnnl_success;
}
static int describe_any(memory_description *d, dnnl_data_type_t type, long rows, long columns) {
  dnnl_dims_t dims = {rows, columns};
  return dnnl_memory_desc_init_by_tag(d, 2, dims, type, dnnl_format_tag_any) != dnnl_success;
}
static void forget(memory_description *d) {}
static memory_description_argument argument(const memory_description *d) { return d; }
static size_t size_of(const memory_description *d) { return dnnl_memory_desc_get_size(d); }
static int copy_description(memory_description *d, memory_description_argument from) {
  *d = *from;
  return 0;
}
#endif

// A matmul primitive description for the given layouts; scratch memory comes from the caller.
static dnnl_primitive_desc_t matmul(const memory_description *a, const memory_description *b,
                                    const memory_description *c) {
  dnnl_primitive_attr_t attributes;
  dnnl_primitive_desc_t result = NULL;
  if (dnnl_primitive_attr_create(&attributes) != dnnl_success) return NULL;
  dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
#if DNNL_VERSION_MAJOR >= 3
  if (dnnl_matmul_primitive_desc_create(&result, engine, *a, *b, NULL, *c, attributes) != dnnl_success) result = NULL;
#else
  dnnl_matmul_desc_t operation;
  if (dnnl_matmul_desc_init(&operation, a, b, NULL, c) != dnnl_success ||
      dnnl_primitive_desc_create(&result, &operation, attributes, engine, NULL) != dnnl_success)
    result = NULL;
#endif
  dnnl_primitive_attr_destroy(attributes);
  return result;
}

// The packed layout must not depend on m: it is the one that oneDNN chooses for `typical_rows` rows.
enum { typical_rows = 128 };

static int describe_packed(memory_description *packed, dnnl_data_type_t type, long n, long k) {
  memory_description a, b, c;
  if (describe(&a, type, typical_rows, k, k, 1)) return 1;
  int failed = describe_any(&b, type, k, n);
  if (!failed) {
    failed = describe(&c, dnnl_f32, typical_rows, n, n, 1);
    if (!failed) {
      dnnl_primitive_desc_t chosen = matmul(&a, &b, &c);
      failed = !chosen || copy_description(packed, dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0));
      if (chosen) dnnl_primitive_desc_destroy(chosen);
      forget(&c);
    }
    forget(&b);
  }
  forget(&a);
  return failed;
}

// The plain loop that oneDNN falls back on is a hundred times slower than its kernels.
static int is_reference(const_dnnl_primitive_desc_t description) {
  const char *name = NULL;
  return dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name) != dnnl_success ||
         strncmp(name, "ref", 3) == 0;
}

beitseg_product *beitseg_product_create(long m, long n, long k, int bfloat16) {
  dnnl_data_type_t type = type_of(bfloat16);
  start_thread();
  beitseg_product *p = engine ? calloc(1, sizeof *p) : NULL;
  if (!p) return NULL;
  p->n = n;
  p->k = k;
  if (describe_packed(&p->packed, type, n, k) || describe(&p->a, type, m, k, k, 1) ||
      describe(&p->c, dnnl_f32, m, n, n, 1)) {
    free(p);
    return NULL;
  }
  dnnl_primitive_desc_t description = matmul(&p->a, &p->packed, &p->c);
  if (!description || is_reference(description) || dnnl_primitive_create(&p->primitive, description) != dnnl_success ||
      copy_description(&p->scratch, dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0))) {
    if (description) dnnl_primitive_desc_destroy(description);
    free(p);
    return NULL;
  }
  dnnl_primitive_desc_destroy(description);
  return p;
}

void beitseg_product_destroy(beitseg_product *p) {
  if (!p) return;
  dnnl_primitive_destroy(p->primitive);
  forget(&p->a);
  forget(&p->packed);
  forget(&p->c);
  forget(&p->scratch);
  free(p);
}

size_t beitseg_product_packed_bytes(const beitseg_product *p) { return size_of(&p->packed); }
size_t beitseg_product_scratch_bytes(const beitseg_product *p) { return size_of(&p->scratch); }

static dnnl_memory_t wrap(const memory_description *d, const void *address) {
  dnnl_memory_t memory;
  return dnnl_memory_create(&memory, argument(d), engine, (void *)address) == dnnl_success ? memory : NULL;
}

static int execute(dnnl_primitive_t primitive, int count, dnnl_exec_arg_t *arguments) {
  dnnl_stream_t stream = thread_stream();
  int status = stream ? dnnl_success : dnnl_out_of_memory;
  for (int i = 0; i < count; i++)
    if (!arguments[i].memory) status = dnnl_out_of_memory;
  if (status == dnnl_success) status = dnnl_primitive_execute(primitive, stream, count, arguments);
  if (status == dnnl_success) status = dnnl_stream_wait(stream);
  for (int i = 0; i < count; i++)
    if (arguments[i].memory) dnnl_memory_destroy(arguments[i].memory);
  return status;
}

int beitseg_product_pack(const beitseg_product *p, const void *b, int bfloat16, long row_stride, long column_stride,
                         void *packed) {
  start_thread();
  memory_description plain;
  dnnl_primitive_desc_t description;
  dnnl_primitive_t reorder;
  if (describe(&plain, type_of(bfloat16), p->k, p->n, row_stride, column_stride)) return -1;
  int status = dnnl_reorder_primitive_desc_create(&description, argument(&plain), engine, argument(&p->packed), engine,
                                                  NULL);
  if (status == dnnl_success) {
    status = dnnl_primitive_create(&reorder, description);
    dnnl_primitive_desc_destroy(description);
  }
  if (status == dnnl_success) {
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, wrap(&plain, b)}, {DNNL_ARG_TO, wrap(&p->packed, packed)}};
    status = execute(reorder, 2, arguments);
    dnnl_primitive_destroy(reorder);
  }
  forget(&plain);
  return status;
}

int beitseg_product_run(const beitseg_product *p, const void *a, const void *packed, float *c, void *scratch) {
  start_thread();
  dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, wrap(&p->a, a)},
                                 {DNNL_ARG_WEIGHTS, wrap(&p->packed, packed)},
                                 {DNNL_ARG_DST, wrap(&p->c, c)},
                                 {DNNL_ARG_SCRATCHPAD, wrap(&p->scratch, scratch)}};
  return execute(p->primitive, 4, arguments);
}

#endif
