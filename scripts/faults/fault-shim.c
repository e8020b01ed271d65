// A library to preload that lets one call of the system fail, for scripts/check-faults. Linux and glibc.
//
//   FAULT_CALL     the call: open, read, write, fsync, close, rename, unlink, mkdir, malloc, mmap
//   FAULT_NUMBER   which one of them fails, from 1; 0 for none
//   FAULT_ERROR    the error number that it sets
//   FAULT_SHORT    1: a read or write does half of its work instead of failing
//   FAULT_BELOW    only files below this folder count; for malloc and mmap it means nothing
//   FAULT_LEAST    only memory of so many bytes and more counts
//   FAULT_COUNT    a file that receives how many calls there were, at the end
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *wanted, *below;
static long number, least;
static int code, is_short, is_ready;
static atomic_long calls;

__attribute__((constructor)) static void prepare(void) {
    const char *text;
    wanted = getenv("FAULT_CALL");
    below = getenv("FAULT_BELOW");
    if ((text = getenv("FAULT_NUMBER"))) number = atol(text);
    if ((text = getenv("FAULT_LEAST"))) least = atol(text);
    code = (text = getenv("FAULT_ERROR")) ? atoi(text) : EIO;
    is_short = (text = getenv("FAULT_SHORT")) && *text == '1';
    is_ready = wanted != NULL;
}

__attribute__((destructor)) static void count(void) {
    const char *path = getenv("FAULT_COUNT");
    if (!path) return;
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) return;
    (void)!syscall(SYS_write, file, text, (size_t)length);
    syscall(SYS_close, file);
}

// The program ends without what libraries do at an ordinary exit.
_Noreturn void _exit(int status) {
    count();
    for (;;) syscall(SYS_exit_group, status);
}

static int is(const char *call) { return is_ready && strcmp(wanted, call) == 0; }
static int fails(void) { return atomic_fetch_add(&calls, 1) + 1 == number; }

static int lies_below(const char *path) {
    if (!path || !below) return path != NULL;
    char whole[8192];
    if (path[0] != '/') {
        if (!getcwd(whole, 4096)) return 0;
        strcat(whole, "/");
        strncat(whole, path, 4000);
        path = whole;
    }
    return strncmp(path, below, strlen(below)) == 0;
}

static int is_below(int file) {
    if (file <= 2) return 0;
    if (!below) return 1;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return lies_below(path);
}

// What the program calls is ours; the real one is the next of the name.
#define NEXT(result, name, parameters) \
    static result(*next) parameters;   \
    if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name)

// A call on a file: where it is to fail, `fault` is done, and `failure` is the result.
#define ON_FILE(result, name, call, file, failure, fault, parameters, arguments) \
    result name parameters {                                                     \
        NEXT(result, name, parameters);                                          \
        if (is(call) && is_below(file) && fails()) {                             \
            fault;                                                               \
            errno = code;                                                        \
            return failure;                                                      \
        }                                                                        \
        return next arguments;                                                   \
    }
#define HALF(arguments) if (is_short && size > 1) return next arguments
// stdio keeps its reads and writes to itself; the stream learns of the error.
#define NOTED stream->_flags |= 0x20

ON_FILE(ssize_t, write, "write", file, -1, HALF((file, bytes, size / 2)),
        (int file, const void *bytes, size_t size), (file, bytes, size))
ON_FILE(ssize_t, pwrite, "write", file, -1, HALF((file, bytes, size / 2, at)),
        (int file, const void *bytes, size_t size, off_t at), (file, bytes, size, at))
ON_FILE(ssize_t, pwrite64, "write", file, -1, HALF((file, bytes, size / 2, at)),
        (int file, const void *bytes, size_t size, off64_t at), (file, bytes, size, at))
ON_FILE(ssize_t, read, "read", file, -1, HALF((file, bytes, size / 2)), (int file, void *bytes, size_t size),
        (file, bytes, size))
ON_FILE(ssize_t, pread, "read", file, -1, HALF((file, bytes, size / 2, at)),
        (int file, void *bytes, size_t size, off_t at), (file, bytes, size, at))
ON_FILE(ssize_t, pread64, "read", file, -1, HALF((file, bytes, size / 2, at)),
        (int file, void *bytes, size_t size, off64_t at), (file, bytes, size, at))
ON_FILE(int, fsync, "fsync", file, -1, , (int file), (file))
ON_FILE(int, close, "close", file, -1, next(file), (int file), (file))
ON_FILE(size_t, fread, "read", fileno(stream), 0, NOTED, (void *bytes, size_t size, size_t items, FILE *stream),
        (bytes, size, items, stream))
ON_FILE(size_t, fwrite, "write", fileno(stream), 0, NOTED,
        (const void *bytes, size_t size, size_t items, FILE *stream), (bytes, size, items, stream))
ON_FILE(int, fflush, "write", stream ? fileno(stream) : -1, EOF, NOTED, (FILE * stream), (stream))
ON_FILE(int, fclose, "close", fileno(stream), EOF, next(stream), (FILE * stream), (stream))

// A call on a path.
#define ON_PATH(result, name, call, path, failure, parameters, arguments)          \
    result name parameters {                                                       \
        NEXT(result, name, parameters);                                            \
        if (is(call) && lies_below(path) && fails()) return errno = code, failure; \
        return next arguments;                                                     \
    }

ON_PATH(int, rename, "rename", to, -1, (const char *from, const char *to), (from, to))
ON_PATH(int, unlink, "unlink", path, -1, (const char *path), (path))
ON_PATH(int, mkdir, "mkdir", path, -1, (const char *path, mode_t mode), (path, mode))
ON_PATH(FILE *, fopen, "open", path, NULL, (const char *path, const char *mode), (path, mode))
ON_PATH(FILE *, fopen64, "open", path, NULL, (const char *path, const char *mode), (path, mode))

#define OPENING(name)                                                           \
    int name(const char *path, int flags, ...) {                                \
        NEXT(int, name, (const char *, int, ...));                              \
        va_list rest;                                                           \
        va_start(rest, flags);                                                  \
        mode_t mode = va_arg(rest, mode_t);                                     \
        va_end(rest);                                                           \
        if (is("open") && lies_below(path) && fails()) return errno = code, -1; \
        return next(path, flags, mode);                                         \
    }
OPENING(open)
OPENING(open64)

// Memory. dlsym itself allocates, so the C library's own names are called.
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static int lacks(size_t size) { return is("malloc") && size >= (size_t)least && fails(); }

void *malloc(size_t size) { return lacks(size) ? (errno = ENOMEM, NULL) : __libc_malloc(size); }
void *calloc(size_t count, size_t size) {
    return lacks(count * size) ? (errno = ENOMEM, NULL) : __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) { return lacks(size) ? (errno = ENOMEM, NULL) : __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) {
    return lacks(size) ? (errno = ENOMEM, NULL) : __libc_memalign(alignment, size);
}
int posix_memalign(void **result, size_t alignment, size_t size) {
    if (lacks(size)) return ENOMEM;
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}
void *mmap(void *address, size_t size, int protection, int flags, int file, off_t at) {
    NEXT(void *, mmap, (void *, size_t, int, int, int, off_t));
    if (is("mmap") && size >= (size_t)least && fails()) return errno = ENOMEM, MAP_FAILED;
    return next(address, size, protection, flags, file, at);
}
