// What Swift cannot see of libhdf5: macros that call functions, versioned structures, variadic callbacks.
#pragma once
// One spelling of the structures on every libhdf5 since 1.10.
#define H5_USE_110_API
#include <hdf5.h>

// Element types. On disk little-endian, in memory native.
hid_t beitseg_h5t_ieee_f32le(void);
hid_t beitseg_h5t_ieee_f64le(void);
hid_t beitseg_h5t_std_i32le(void);
hid_t beitseg_h5t_std_i64le(void);
hid_t beitseg_h5t_std_u8le(void);
hid_t beitseg_h5t_std_i8le(void);
hid_t beitseg_h5t_native_float(void);
hid_t beitseg_h5t_native_double(void);
hid_t beitseg_h5t_native_int32(void);
hid_t beitseg_h5t_native_int64(void);
hid_t beitseg_h5t_native_uint8(void);
hid_t beitseg_h5t_native_int8(void);
hid_t beitseg_h5t_c_s1(void);

/// Teaches libhdf5 to hand over references to text of variable length as they stand in a file: the conversion from
/// such text to the type of ``beitseg_h5_reference_type``. Once in a process. Negative on failure.
herr_t beitseg_h5_keep_references(void);

/// A new type for references in memory, of the size that they have in files with addresses of 8 bytes.
hid_t beitseg_h5_reference_type(void);

// Classes of property lists.
hid_t beitseg_h5p_file_create(void);
hid_t beitseg_h5p_file_access(void);
hid_t beitseg_h5p_group_create(void);
hid_t beitseg_h5p_dataset_create(void);
hid_t beitseg_h5p_dataset_access(void);

// Flags of H5Fopen and H5Fcreate.
unsigned beitseg_h5f_read_only(void);
unsigned beitseg_h5f_exclusive(void);

/// Sees one link of a group: its name, whether it is a hard link, and if so the address of its object in the file.
/// Returns 0 to go on, 1 to stop.
typedef herr_t (*beitseg_h5_link_visitor)(const char *name, int is_hard, haddr_t address, void *context);

/// Shows every link of `group` to `visit`, following none. Negative on failure.
herr_t beitseg_h5_visit_links(hid_t group, beitseg_h5_link_visitor visit, void *context);

/// The address of an open object in its file; HADDR_UNDEF on failure.
haddr_t beitseg_h5_address(hid_t object);

/// Copies the innermost message of this thread's error stack, the most specific one, into `text` (`capacity` bytes,
/// always terminated). Empty if the stack is.
void beitseg_h5_innermost_error(char *text, size_t capacity);

/// Hands back to the system what libhdf5 keeps of files that are closed, and what malloc does.
void beitseg_h5_release_memory(void);

/// The file descriptor that libhdf5 reads and writes `file` by; -1 on failure.
int beitseg_h5_descriptor(hid_t file);

/// Makes `descriptor` lead to a file without a name in memory; what is written to it from now on is lost. Returns 0, or
/// -1 where the system refuses.
int beitseg_h5_discard(int descriptor);

/// Makes files that are opened with the property list `access` be read by a driver of ours, and of no use for writing. It
/// reads what is asked for where it is asked for, and nothing beyond the end of the file. Negative on failure.
///
/// libhdf5's own drivers keep metadata that they read in one buffer for all, and damaged addresses lead out of that
/// buffer (1.10.8: `H5F__accum_read`).
herr_t beitseg_h5_use_plain_driver(hid_t access);

/// A file that the driver above has open, for reads beside libhdf5's.
typedef struct plain_file beitseg_plain_file;
/// Valid while `file`, which was opened by that driver, is open; NULL on failure.
const beitseg_plain_file *beitseg_h5_plain_file(hid_t file);
/// Reads bytes as they stand in the file. Any thread may do so while libhdf5 is at work. Returns 0, or -1 where they
/// cannot be read, also where libhdf5 takes the file to end before.
int beitseg_plain_read(const beitseg_plain_file *file, haddr_t address, size_t size, void *buffer);

/// The sums of the Fletcher-32 checksum of a chunk; both begin with 0.
typedef struct {
  uint64_t first, second;
} beitseg_fletcher32;
/// Takes in the next bytes, an even number of them but for the last ones.
void beitseg_fletcher32_add(beitseg_fletcher32 *sums, const void *bytes, size_t size);
/// The checksum as the filter stores it behind the bytes, little-endian.
uint32_t beitseg_fletcher32_value(const beitseg_fletcher32 *sums);
