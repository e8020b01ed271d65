#pragma once

// The parts of image input and output that need C: libpng and libjpeg report errors by longjmp, which must not cross
// Swift frames, and per-pixel loops are compiled for the CPU at hand.
//
// A reader or writer is made by its `_open`, which returns NULL only when memory runs out. Functions that return bool
// return false when they failed: `_error` then has the library's message, and nothing but `_close` may be called.
// `file` stays the caller's; it must outlive the reader or writer.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// MARK: Files within files

/// Opens `size` bytes of an open file, from `start` on, as a file that is read. The descriptor stays the caller's, who keeps
/// it open until the stream is closed; its position does not matter. NULL when memory runs out.
FILE *beitseg_open_part(int descriptor, size_t start, size_t size);

// MARK: PNG input

enum { beitseg_png_grey = 0, beitseg_png_palette = 3 };  // IHDR's colour types whose samples are single numbers

typedef struct {
    uint32_t width, height;
    int bit_depth, color_type;  // as in IHDR
    bool interlaced;            // every row needs all passes: readable only as a whole
} beitseg_png_header;

typedef struct beitseg_png_reader beitseg_png_reader;

beitseg_png_reader *beitseg_png_reader_open(FILE *file);
void beitseg_png_reader_close(beitseg_png_reader *reader);
const char *beitseg_png_reader_error(const beitseg_png_reader *reader);

/// Reads all that stands before the pixels.
bool beitseg_png_reader_header(beitseg_png_reader *reader, beitseg_png_header *header);

/// The Exif block (beginning with the TIFF byte order mark) or NULL; valid until the reader is closed.
const uint8_t *beitseg_png_reader_exif(beitseg_png_reader *reader, size_t *size);

/// Copies the palette, three bytes a colour, and returns the number of colours (0: there is none).
int beitseg_png_reader_palette(beitseg_png_reader *reader, uint8_t rgb[256 * 3]);

/// Asks for rows of 8-bit RGB, whatever the file holds: alpha is dropped, grey is replicated, 16 bits are rounded to 8.
bool beitseg_png_reader_begin_rgb(beitseg_png_reader *reader);

/// Asks for rows of all stored samples: a byte each up to 8 bits (fewer are not scaled up), else native uint16_t.
bool beitseg_png_reader_begin_samples(beitseg_png_reader *reader);

/// Reads the next `count` rows; all rows at once where the image is interlaced.
bool beitseg_png_reader_rows(beitseg_png_reader *reader, uint8_t *rows, size_t row_bytes, size_t count);

// MARK: PNG output

typedef struct {
    uint32_t width, height;
    int bit_depth, color_type;          // 8 or 16 bits; grey, palette, or RGB (2)
    const uint8_t *palette;             // three bytes a colour
    int palette_count;
    int compression;                    // zlib's level, 0...9
} beitseg_png_layout;

typedef struct beitseg_png_writer beitseg_png_writer;

beitseg_png_writer *beitseg_png_writer_open(FILE *file);
void beitseg_png_writer_close(beitseg_png_writer *writer);
const char *beitseg_png_writer_error(const beitseg_png_writer *writer);

bool beitseg_png_writer_begin(beitseg_png_writer *writer, const beitseg_png_layout *layout);
/// Appends `count` rows; 16-bit samples are native uint16_t.
bool beitseg_png_writer_rows(beitseg_png_writer *writer, const uint8_t *rows, size_t row_bytes, size_t count);
/// Ends the file (without flushing `file`). All rows must have been written.
bool beitseg_png_writer_end(beitseg_png_writer *writer);

// MARK: JPEG input

typedef struct beitseg_jpeg_reader beitseg_jpeg_reader;

/// Where `allows_damage` an image is decoded as far as its data go; else damage is a failure.
beitseg_jpeg_reader *beitseg_jpeg_reader_open(FILE *file, bool allows_damage);
void beitseg_jpeg_reader_close(beitseg_jpeg_reader *reader);
const char *beitseg_jpeg_reader_error(const beitseg_jpeg_reader *reader);
/// Whether data were missing or wrong; `_error` then says what.
bool beitseg_jpeg_reader_is_damaged(const beitseg_jpeg_reader *reader);

/// Reads all that stands before the first scan.
bool beitseg_jpeg_reader_header(beitseg_jpeg_reader *reader, uint32_t *width, uint32_t *height);

/// The Exif block (beginning with the TIFF byte order mark) or NULL; valid until the reader is closed.
const uint8_t *beitseg_jpeg_reader_exif(const beitseg_jpeg_reader *reader, size_t *size);

/// Whether the image comes in several scans (progressive), all of which are kept in memory until the last is read.
bool beitseg_jpeg_reader_has_scans(beitseg_jpeg_reader *reader);

/// Asks for rows of 8-bit RGB, the image scaled down by `shrink` (1, 2, 4 or 8); the scaled size is ⌈size / shrink⌉.
bool beitseg_jpeg_reader_begin_rgb(beitseg_jpeg_reader *reader, int shrink);

/// Reads the next `count` rows.
bool beitseg_jpeg_reader_rows(beitseg_jpeg_reader *reader, uint8_t *rows, size_t row_bytes, size_t count);

// MARK: Samples

/// Pixels that a side may have: what is larger was never a picture, and one row of it would fill the memory.
static const intptr_t beitseg_maximum_side = 1 << 24;

/// How a sample is delivered.
typedef enum { beitseg_u8, beitseg_u16, beitseg_f32, beitseg_f64 } beitseg_sample_type;

// MARK: TIFF input (where the trait TIFF is on)

enum { beitseg_tiff_maximum_bands = 4, beitseg_message_size = 200 };

/// What samples are in the file.
typedef enum { beitseg_unsigned, beitseg_signed, beitseg_float } beitseg_sample_kind;

/// What they mean; inverted: 0 is white; inks: cyan, magenta, yellow, black.
typedef enum { beitseg_grey, beitseg_inverted, beitseg_rgb, beitseg_palette, beitseg_inks } beitseg_sample_color;

typedef struct {
    uint32_t width, height;
    int samples, alphas;        // a pixel's samples, and how many of them are transparency
    int bits;                   // of a sample in the file
    beitseg_sample_kind kind;
    beitseg_sample_color color;
    beitseg_sample_type type;   // u8 up to 8 bits, u16 up to 16, f32 for what a float holds, else f64
    int orientation;            // as in Exif
    bool lossy;
    int pages;                  // that there are, where the wanted one is not among them
} beitseg_tiff_header;

typedef struct beitseg_tiff_reader beitseg_tiff_reader;

/// `size` bytes of an open file, from `start` on, which the caller keeps open.
beitseg_tiff_reader *beitseg_tiff_reader_open(int descriptor, size_t start, size_t size);
void beitseg_tiff_reader_close(beitseg_tiff_reader *reader);
const char *beitseg_tiff_reader_error(const beitseg_tiff_reader *reader);
/// The errno of a disk that failed, else 0.
int beitseg_tiff_reader_disk_error(const beitseg_tiff_reader *reader);
/// Whether pixels were missing or wrong and were filled in; `_error` then says what.
bool beitseg_tiff_reader_is_damaged(const beitseg_tiff_reader *reader);

/// Reads the directory of a page, counted from 0. Reduced copies and transparency masks are no pages. Of a page that is
/// not there the header tells `pages`, above 0.
bool beitseg_tiff_reader_header(beitseg_tiff_reader *reader, int page, beitseg_tiff_header *header);

/// The number of pages, -1 for a failure. In place of `_header`.
int beitseg_tiff_reader_pages(beitseg_tiff_reader *reader);

/// The palette, three bytes a colour; NULL: there is none.
const uint8_t *beitseg_tiff_reader_palette(const beitseg_tiff_reader *reader, size_t *count);

/// The values of a tag that libtiff itself does not know, of a type of TIFF 6.0 (ASCII 2, SHORT 3, …, DOUBLE 12); NULL
/// where it is missing. They are valid until the reader is closed.
const void *beitseg_tiff_reader_tag(beitseg_tiff_reader *reader, uint32_t tag, int *type, size_t *count);

/// What stands in tiles and strips that the file leaves out; 0 unless said.
void beitseg_tiff_reader_fill_with(beitseg_tiff_reader *reader, double value);

/// Asks for rows of these bands, counted from 0, sample beside sample.
bool beitseg_tiff_reader_begin(beitseg_tiff_reader *reader, const int *bands, int count);

/// Reads the next `count` rows. In memory are one row or one row of tiles.
bool beitseg_tiff_reader_rows(beitseg_tiff_reader *reader, void *rows, size_t row_bytes, size_t count);

// MARK: TIFF output (where the trait TIFF is on)

typedef struct beitseg_tiff_writer beitseg_tiff_writer;

/// Writes to a file that is empty and stays the caller's; NULL: out of memory.
beitseg_tiff_writer *beitseg_tiff_writer_open(int descriptor);
void beitseg_tiff_writer_close(beitseg_tiff_writer *writer);
const char *beitseg_tiff_writer_error(const beitseg_tiff_writer *writer);
/// The errno of a disk that failed, else 0.
int beitseg_tiff_writer_disk_error(const beitseg_tiff_writer *writer);

/// Begins a tiled image of one sample a pixel, as BigTIFF where its offsets may need it.
/// - colors: 2^bits of red, then of green, then of blue, 0 to 65535 each; NULL: grey
/// - bits: 8 or 16
bool beitseg_tiff_writer_begin(
    beitseg_tiff_writer *writer, uint32_t width, uint32_t height, int bits, const uint16_t *colors);

/// Sets a tag of GeoTIFF 1.1 or GDAL, before the first row. Empty ones are left out.
bool beitseg_tiff_writer_numbers(beitseg_tiff_writer *writer, uint32_t tag, const double *numbers, size_t count);
bool beitseg_tiff_writer_words(beitseg_tiff_writer *writer, uint32_t tag, const uint16_t *words, size_t count);
bool beitseg_tiff_writer_text(beitseg_tiff_writer *writer, uint32_t tag, const char *text);

/// Writes the next `count` rows, a byte or a native uint16_t a sample. In memory is one row of tiles.
bool beitseg_tiff_writer_rows(beitseg_tiff_writer *writer, const void *rows, size_t count);

/// Completes the file; all rows must have been written.
bool beitseg_tiff_writer_end(beitseg_tiff_writer *writer);

// MARK: WebP input (where the trait WebP is on)

/// The size that the beginning of a file tells; false where it makes no sense.
bool beitseg_webp_header(
    const uint8_t *head, size_t size, int *width, int *height, bool *is_animated, bool *is_lossless);

/// Decodes a whole file into rows of RGB; alpha is dropped. Returns NULL or what is wrong.
const char *beitseg_webp_decode(
    const uint8_t *bytes, size_t size, uint8_t *rows, size_t row_bytes, int width, int height);

// MARK: JPEG output

/// Writes `width` × `height` RGB pixels (at most 65,500 a side) as a JPEG of `quality` 1...100, without subsampling of
/// colours. `message` has room for `beitseg_message_size` bytes and gets libjpeg's message where false is returned.
bool beitseg_jpeg_write(FILE *file, const uint8_t *rgb, size_t width, size_t height, int quality, char *message);

// MARK: Pixels

/// Fills `destination`, `width` × `height` RGB pixels, with the pixels (x, y) at `source` + 3 (x·step_x + y·step_y).
void beitseg_gather_rgb(
    const uint8_t *source, ptrdiff_t step_x, ptrdiff_t step_y, uint8_t *destination, size_t width, size_t height);

/// The bits after the binary point of resampling weights, Pillow's PRECISION_BITS for 8-bit images.
enum { beitseg_weight_bits = 32 - 8 - 2 };

/// One output row of `width` RGB pixels: pixel x is the sum of `counts[x]` pixels of `source` from `starts[x]` on, by
/// the weights from `weights[x * stride]` on, rounded and clamped to 8 bits.
void beitseg_resample_across(
    const uint8_t *source, uint8_t *destination, size_t width, const int32_t *starts, const int32_t *counts,
    const int32_t *weights, size_t stride);

/// One output row: each byte is the weighted sum of the bytes below it in `count` rows of `source`.
void beitseg_resample_down(
    const uint8_t *source, size_t row_bytes, const int32_t *weights, size_t count, uint8_t *destination);

/// Mixes cyan, magenta, yellow and black into RGB: R = (255 - C)(255 - K) / 255. `is_inverted`: samples are 255 - ink.
void beitseg_mix_inks(const uint8_t *inks, uint8_t *rgb, size_t width, bool is_inverted);

/// Where samples are found and what becomes of them: output c of a pixel is made of sample `places[c]` of its `stride`.
typedef struct {
    size_t stride, outputs, places[4];
} beitseg_sample_layout;

/// Bytes by a table a output: of 256 bytes for u8, of 65536 for u16.
void beitseg_map_samples(
    const void *samples, beitseg_sample_type type, const beitseg_sample_layout *layout, const uint8_t *tables,
    uint8_t *bytes, size_t width);

/// Bytes of floating-point samples (f32, f64): (sample - `low[c]`) · `factor[c]`, rounded and clamped; 0 for NaN and for
/// `missing`.
void beitseg_scale_samples(
    const void *samples, beitseg_sample_type type, const beitseg_sample_layout *layout, const double *low,
    const double *factor, double missing, uint8_t *bytes, size_t width);
