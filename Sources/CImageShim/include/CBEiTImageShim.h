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

/// Asks for rows of the stored samples: a byte each up to 8 bits (fewer are not scaled up), else native uint16_t.
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

// MARK: JPEG output

enum { beitseg_message_size = 200 };

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
