#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "CBEiTImageShim.h"

typedef struct {
    int descriptor;
    int64_t start, size, position;
} part;

/// What stands at the position; fewer bytes than asked for at the end.
static ssize_t read_part(part *part, char *bytes, size_t size) {
    const int64_t left = part->size - part->position;
    if (left <= 0) return 0;
    if ((uint64_t)left < size) size = (size_t)left;
    ssize_t count;
    do count = pread(part->descriptor, bytes, size, (off_t)(part->start + part->position));
    while (count < 0 && errno == EINTR);
    if (count > 0) part->position += count;
    return count;
}

static int64_t seek_part(part *part, int64_t offset, int whence) {
    const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? part->position : part->size;
    if (offset < -from || offset > INT64_MAX - from) {
        errno = EINVAL;
        return -1;
    }
    return part->position = from + offset;
}

#ifdef __APPLE__

static int read_some(void *cookie, char *bytes, int size) { return (int)read_part(cookie, bytes, (size_t)size); }
static fpos_t seek(void *cookie, fpos_t offset, int whence) { return seek_part(cookie, offset, whence); }
static int close_part(void *cookie) {
    free(cookie);
    return 0;
}

static FILE *open_stream(part *part) { return funopen(part, read_some, NULL, seek, close_part); }

#else

static ssize_t read_some(void *cookie, char *bytes, size_t size) { return read_part(cookie, bytes, size); }
static int seek(void *cookie, off64_t *offset, int whence) {
    const int64_t position = seek_part(cookie, *offset, whence);
    if (position < 0) return -1;
    *offset = position;
    return 0;
}
static int close_part(void *cookie) {
    free(cookie);
    return 0;
}

static FILE *open_stream(part *part) {
    const cookie_io_functions_t functions = { .read = read_some, .seek = seek, .close = close_part };
    return fopencookie(part, "rb", functions);
}

#endif

FILE *beitseg_open_part(int descriptor, size_t start, size_t size) {
    part *part = malloc(sizeof *part);
    if (!part) return NULL;
    part->descriptor = descriptor;
    part->start = (int64_t)start;
    part->size = (int64_t)size;
    part->position = 0;
    FILE *stream = open_stream(part);
    if (!stream) free(part);
    return stream;
}
