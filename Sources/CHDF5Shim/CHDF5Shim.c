#define _GNU_SOURCE
#include "CBEiTHDF5Shim.h"
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

hid_t beitseg_h5t_ieee_f32le(void) { return H5T_IEEE_F32LE; }
hid_t beitseg_h5t_ieee_f64le(void) { return H5T_IEEE_F64LE; }
hid_t beitseg_h5t_std_i32le(void) { return H5T_STD_I32LE; }
hid_t beitseg_h5t_std_i64le(void) { return H5T_STD_I64LE; }
hid_t beitseg_h5t_std_u8le(void) { return H5T_STD_U8LE; }
hid_t beitseg_h5t_std_i8le(void) { return H5T_STD_I8LE; }
hid_t beitseg_h5t_native_float(void) { return H5T_NATIVE_FLOAT; }
hid_t beitseg_h5t_native_double(void) { return H5T_NATIVE_DOUBLE; }
hid_t beitseg_h5t_native_int32(void) { return H5T_NATIVE_INT32; }
hid_t beitseg_h5t_native_int64(void) { return H5T_NATIVE_INT64; }
hid_t beitseg_h5t_native_uint8(void) { return H5T_NATIVE_UINT8; }
hid_t beitseg_h5t_native_int8(void) { return H5T_NATIVE_INT8; }
hid_t beitseg_h5t_c_s1(void) { return H5T_C_S1; }

// Length (4 bytes), address of the heap (8), index in it (4).
enum { reference_size = 16 };

static herr_t keep_reference(hid_t source, hid_t target, H5T_cdata_t *data, size_t count, size_t stride,
                             size_t background_stride, void *buffer, void *background, hid_t plan) {
    (void)count, (void)stride, (void)background_stride, (void)buffer, (void)background, (void)plan;
    if (data->command != H5T_CONV_INIT) return 0;  // what is there is what is wanted
    data->need_bkg = H5T_BKG_NO;
    int fits = H5Tis_variable_str(source) > 0 && H5Tget_size(source) == reference_size &&
               H5Tget_size(target) == reference_size;
    return fits ? 0 : -1;
}

hid_t beitseg_h5_reference_type(void) { return H5Tcreate(H5T_OPAQUE, reference_size); }

herr_t beitseg_h5_keep_references(void) {
    hid_t text = H5Tcopy(H5T_C_S1), reference = beitseg_h5_reference_type();
    herr_t result = H5Tset_size(text, H5T_VARIABLE);
    if (result >= 0) result = H5Tregister(H5T_PERS_SOFT, "beit-seg reference", text, reference, keep_reference);
    H5Tclose(text);
    H5Tclose(reference);
    return result;
}

hid_t beitseg_h5p_file_create(void) { return H5P_FILE_CREATE; }
hid_t beitseg_h5p_file_access(void) { return H5P_FILE_ACCESS; }
hid_t beitseg_h5p_group_create(void) { return H5P_GROUP_CREATE; }
hid_t beitseg_h5p_dataset_create(void) { return H5P_DATASET_CREATE; }
hid_t beitseg_h5p_dataset_access(void) { return H5P_DATASET_ACCESS; }

unsigned beitseg_h5f_read_only(void) { return H5F_ACC_RDONLY; }
unsigned beitseg_h5f_exclusive(void) { return H5F_ACC_EXCL; }

struct visit {
    beitseg_h5_link_visitor visitor;
    void *context;
};

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info, void *data) {
    (void)group;
    const struct visit *visit = data;
    int is_hard = info->type == H5L_TYPE_HARD;
    return visit->visitor(name, is_hard, is_hard ? info->u.address : HADDR_UNDEF, visit->context);
}

herr_t beitseg_h5_visit_links(hid_t group, beitseg_h5_link_visitor visitor, void *context) {
    struct visit visit = {visitor, context};
    return H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit_link, &visit);
}

haddr_t beitseg_h5_address(hid_t object) {
    H5O_info_t info;
    return H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0 ? HADDR_UNDEF : info.addr;
}

struct text {
    char *start;
    size_t capacity;
};

static herr_t copy_description(unsigned depth, const H5E_error2_t *error, void *data) {
    const struct text *text = data;
    if (depth == 0 && error->desc) snprintf(text->start, text->capacity, "%s", error->desc);
    return 0;
}

void beitseg_h5_innermost_error(char *text, size_t capacity) {
    struct text target = {text, capacity};
    text[0] = 0;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, copy_description, &target);
}

void beitseg_h5_release_memory(void) {
    H5garbage_collect();
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

int beitseg_h5_descriptor(hid_t file) {
    void *handle = NULL;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || !handle) return -1;
    return *(int *)handle;
}

int beitseg_h5_discard(int descriptor) {
#ifdef __linux__
    int other = memfd_create("beit-seg discarded", MFD_CLOEXEC);
#else
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
#endif
    if (other < 0) return -1;
    int result = dup2(other, descriptor) < 0 ? -1 : 0;
    close(other);
    return result;
}
