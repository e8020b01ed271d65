// A driver of libhdf5 for reading files: pread, no buffer, and a look at what libhdf5 believes and should not.
// Source: "HDF5 Virtual File Layer" in the HDF5 documentation; H5FDpublic.h (1.10), H5FDdevelop.h (1.13 and later).
#include "CBEiTHDF5Shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

struct plain_file {
    H5FD_t common;  // libhdf5's, and first
    int descriptor;
    haddr_t allocated, size;
    dev_t device;
    ino_t inode;
};

static H5FD_t *plain_open(const char *name, unsigned flags, hid_t access, haddr_t most) {
    (void)access, (void)most;
    struct stat status;
    if (flags & (H5F_ACC_RDWR | H5F_ACC_CREAT | H5F_ACC_TRUNC | H5F_ACC_EXCL)) return NULL;
    int descriptor = open(name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return NULL;
    struct plain_file *file = fstat(descriptor, &status) == 0 ? calloc(1, sizeof *file) : NULL;
    if (!file) {
        close(descriptor);
        return NULL;
    }
    file->descriptor = descriptor;
    file->size = (haddr_t)status.st_size;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return &file->common;
}

static herr_t plain_close(H5FD_t *common) {
    struct plain_file *file = (struct plain_file *)common;
    int result = close(file->descriptor);
    free(file);
    return result == 0 || errno == EINTR ? 0 : -1;
}

// By this libhdf5 knows a file that it has open already.
static int plain_compare(const H5FD_t *a, const H5FD_t *b) {
    const struct plain_file *one = (const struct plain_file *)a, *other = (const struct plain_file *)b;
    if (one->device != other->device) return one->device < other->device ? -1 : 1;
    if (one->inode != other->inode) return one->inode < other->inode ? -1 : 1;
    return 0;
}

static herr_t plain_query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    if (flags) *flags = H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t plain_get_allocated(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const struct plain_file *)file)->allocated;
}

static herr_t plain_set_allocated(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
    (void)type;
    ((struct plain_file *)file)->allocated = address;
    return 0;
}

static haddr_t plain_get_size(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const struct plain_file *)file)->size;
}

static herr_t plain_get_handle(H5FD_t *file, hid_t access, void **handle) {
    (void)access;
    *handle = &((struct plain_file *)file)->descriptor;
    return 0;
}

static uint64_t number(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

// The header of a local heap declares how many bytes of names belong to it. libhdf5 reserves them, and more for itself,
// without asking whether the sum overflows, and so writes past the end (1.10.8: `H5HL__cache_prefix_deserialize`). Sizes
// are taken to have 8 bytes, as every writer makes them.
// Source: HDF5 File Format Specification 3.0, III.D "Local Heaps".
static int is_sound_heap(const unsigned char *bytes, size_t size, haddr_t file_size) {
    if (size < 4 || memcmp(bytes, "HEAP", 4) != 0) return 1;
    return size >= 32 && number(bytes + 8, 8) <= file_size;
}

// An object header of version 1 has its messages at multiples of 8 bytes: type, size, flags and, behind 8 bytes, the data.
// libhdf5 divides by the sides of chunks that a layout message declares, also by 0 (1.10.8: `H5D__chunk_set_info`).
// Headers of version 2 have a checksum.
// Source: the same, IV.A.1.a and IV.A.2.i "The Data Layout Message", versions 1 to 3.
static int is_sound_header(const unsigned char *bytes, size_t size) {
    enum { layout = 8, head = 8, chunked = 2 };
    for (size_t i = 0; i + head + 16 <= size; i += 8) {
        const unsigned char *data = bytes + i + head;
        if (number(bytes + i, 2) != layout || data[0] < 1 || data[0] > 3) continue;
        int is_third = data[0] == 3;
        if (data[is_third ? 1 : 2] != chunked) continue;
        // One side more than the dataset has, which has one: the size of an element.
        size_t rank = data[is_third ? 2 : 1], sides = is_third ? 11 : 16;
        if (rank < 2) return 0;
        for (size_t axis = 0; axis < rank && i + head + sides + 4 * (axis + 1) <= size; axis++)
            if (number(data + sides + 4 * axis, 4) == 0) return 0;
    }
    return 1;
}

static int is_sound(H5FD_mem_t type, const unsigned char *bytes, size_t size, haddr_t file_size) {
    if (type == H5FD_MEM_LHEAP) return is_sound_heap(bytes, size, file_size);
    return type != H5FD_MEM_OHDR || is_sound_header(bytes, size);
}

// Leaves the reason for libhdf5's caller to find, and fails.
static herr_t refuse(const char *reason) {
    H5Epush2(H5E_DEFAULT, __FILE__, __func__, __LINE__, H5E_ERR_CLS, H5E_VFL, H5E_READERROR, "%s", reason);
    return -1;
}

// Returns 0, or why the bytes cannot be read.
static const char *read_bytes(const struct plain_file *file, haddr_t address, size_t size, void *buffer) {
    if (address > file->size || size > file->size - address) return "it ends before what it refers to";
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(file->descriptor, (char *)buffer + done, size - done, (off_t)(address + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 ? strerror(errno) : "it has become shorter";
        done += (size_t)got;
    }
    return NULL;
}

static herr_t plain_read(H5FD_t *common, H5FD_mem_t type, hid_t plan, haddr_t address, size_t size, void *buffer) {
    (void)plan;
    const struct plain_file *file = (const struct plain_file *)common;
    const char *problem = read_bytes(file, address, size, buffer);
    if (problem) return refuse(problem);
    return is_sound(type, buffer, size, file->size) ? 0 : refuse("a header in it makes no sense");
}

// libhdf5 takes no driver without it.
static herr_t plain_write(H5FD_t *file, H5FD_mem_t type, hid_t plan, haddr_t address, size_t size,
                          const void *buffer) {
    (void)file, (void)type, (void)plan, (void)address, (void)size, (void)buffer;
    return -1;
}

static const H5FD_class_t plain_driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600,  // from the numbers that are free for anyone (256 to 511 are to be asked for)
#endif
    .name = "beit-seg",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = plain_open,
    .close = plain_close,
    .cmp = plain_compare,
    .query = plain_query,
    .get_eoa = plain_get_allocated,
    .set_eoa = plain_set_allocated,
    .get_eof = plain_get_size,
    .get_handle = plain_get_handle,
    .read = plain_read,
    .write = plain_write,
    .fl_map = H5FD_FLMAP_SINGLE,
};

herr_t beitseg_h5_use_plain_driver(hid_t access) {
    static hid_t driver = H5I_INVALID_HID;  // callers hold the lock of libhdf5
    if (driver < 0) driver = H5FDregister(&plain_driver);
    return driver < 0 ? -1 : H5Pset_driver(access, driver, NULL);
}

const struct plain_file *beitseg_h5_plain_file(hid_t file) {
    void *descriptor = NULL;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &descriptor) < 0 || !descriptor) return NULL;
    return (const struct plain_file *)((char *)descriptor - offsetof(struct plain_file, descriptor));
}

int beitseg_plain_read(const struct plain_file *file, haddr_t address, size_t size, void *buffer) {
    if (address > file->allocated || size > file->allocated - address) return -1;
    return read_bytes(file, address, size, buffer) ? -1 : 0;
}
