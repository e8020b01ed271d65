#define _GNU_SOURCE
#include "CBEiTAllocation.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { status_input_output = 74 };

static _Atomic(void (*)(void)) before_end;

void beitseg_tidy_before_end(void (*tidy)(void)) { before_end = tidy; }

// Only what needs no memory. The first thread to come here speaks, others wait for the end. If tidying does ask for memory
// after all, the end comes at once.
static _Noreturn void end(const char *line, size_t length) {
  static atomic_flag ended = ATOMIC_FLAG_INIT;
  static __thread int is_ending;
  if (is_ending) _exit(status_input_output);
  if (atomic_flag_test_and_set(&ended))
    for (;;) pause();
  is_ending = 1;
  ssize_t written = write(STDERR_FILENO, line, length);
  (void)written;
  void (*tidy)(void) = before_end;
  if (tidy) tidy();
  _exit(status_input_output);
}

_Noreturn void beitseg_out_of_memory(long bytes) {
  char line[200];
  int is_large = bytes >= 1 << 20;
  int length = snprintf(line, sizeof line,
                        "beit-seg: out of memory (%ld %s more were refused); use a smaller --batch or --size, or fewer "
                        "--threads, or raise the limit (ulimit -v)\n",
                        is_large ? bytes >> 20 : (bytes + 1023) >> 10, is_large ? "MiB" : "KiB");
  end(line, (size_t)length);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)

// What comes next in the search order: the C library's, or that of a preloaded library. Looking it up needs memory itself,
// which comes from the C library.
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static void *(*next_malloc)(size_t) = __libc_malloc;
static void *(*next_calloc)(size_t, size_t) = __libc_calloc;
static void *(*next_realloc)(void *, size_t) = __libc_realloc;
static int (*next_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

__attribute__((constructor)) static void look_up(void) {
  void *(*found_malloc)(size_t) = dlsym(RTLD_NEXT, "malloc");
  void *(*found_calloc)(size_t, size_t) = dlsym(RTLD_NEXT, "calloc");
  void *(*found_realloc)(void *, size_t) = dlsym(RTLD_NEXT, "realloc");
  if (found_malloc) next_malloc = found_malloc;
  if (found_calloc) next_calloc = found_calloc;
  if (found_realloc) next_realloc = found_realloc;
}

void *malloc(size_t size) {
  void *block = next_malloc(size);
  if (!block && size) beitseg_out_of_memory((long)size);
  return block;
}

void *calloc(size_t count, size_t size) {
  void *block = next_calloc(count, size);
  if (!block && count && size) beitseg_out_of_memory((long)(count * size));
  return block;
}

void *realloc(void *old, size_t size) {
  void *block = next_realloc(old, size);
  if (!block && size) beitseg_out_of_memory((long)size);
  return block;
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  static int (*next)(void **, size_t, size_t);
  if (!next) next = dlsym(RTLD_NEXT, "posix_memalign");
  int status = next(result, alignment, size);
  if (status == ENOMEM) beitseg_out_of_memory((long)size);
  return status;
}

// Code that oneDNN generates is written without a look at whether there is room for it.
void *mmap(void *address, size_t size, int protection, int flags, int file, off_t at) {
  static void *(*next)(void *, size_t, int, int, int, off_t);
  enum { small = 1 << 20 };
  if (!next) next = dlsym(RTLD_NEXT, "mmap");
  void *block = next(address, size, protection, flags, file, at);
  if (block == MAP_FAILED && errno == ENOMEM && (flags & MAP_ANONYMOUS) && size <= small)
    beitseg_out_of_memory((long)size);
  return block;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  if (!next_create) next_create = dlsym(RTLD_NEXT, "pthread_create");
  int status = next_create(thread, attributes, body, argument);
  if (status != EAGAIN) return status;
  static const char line[] =
      "beit-seg: no more threads (out of memory, or of processes); use fewer --threads, or raise the limit (ulimit -v, "
      "ulimit -u)\n";
  end(line, sizeof line - 1);
}

#endif
