#include "CBEiTHDF5Shim.h"
#include <stdio.h>

hid_t beitseg_h5t_ieee_f32le(void) { return H5T_IEEE_F32LE; }
hid_t beitseg_h5t_ieee_f64le(void) { return H5T_IEEE_F64LE; }
hid_t beitseg_h5t_std_i32le(void) { return H5T_STD_I32LE; }
hid_t beitseg_h5t_std_i64le(void) { return H5T_STD_I64LE; }
hid_t beitseg_h5t_std_u8le(void) { return H5T_STD_U8LE; }
hid_t beitseg_h5t_native_float(void) { return H5T_NATIVE_FLOAT; }
hid_t beitseg_h5t_native_double(void) { return H5T_NATIVE_DOUBLE; }
hid_t beitseg_h5t_native_int32(void) { return H5T_NATIVE_INT32; }
hid_t beitseg_h5t_native_int64(void) { return H5T_NATIVE_INT64; }
hid_t beitseg_h5t_native_uint8(void) { return H5T_NATIVE_UINT8; }
hid_t beitseg_h5t_c_s1(void) { return H5T_C_S1; }
size_t beitseg_h5t_variable(void) { return H5T_VARIABLE; }

hid_t beitseg_h5p_file_create(void) { return H5P_FILE_CREATE; }
hid_t beitseg_h5p_file_access(void) { return H5P_FILE_ACCESS; }
hid_t beitseg_h5p_group_create(void) { return H5P_GROUP_CREATE; }
hid_t beitseg_h5p_dataset_create(void) { return H5P_DATASET_CREATE; }

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
