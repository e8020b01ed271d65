#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

#include "CBEiTImageShim.h"

struct beitseg_png_reader {
    png_structp png;
    png_infop info;
    int passes;
    jmp_buf jump;
    char warning[100], message[200];
};

/// libpng often says in a warning what it then calls "Invalid IHDR data".
static void fail(png_structp png, png_const_charp message) {
    beitseg_png_reader *reader = png_get_error_ptr(png);
    const char *separator = reader->warning[0] ? ": " : "";
    snprintf(reader->message, sizeof reader->message, "%s%s%s", message, separator, reader->warning);
    longjmp(reader->jump, 1);
}

static void warn(png_structp png, png_const_charp message) {
    beitseg_png_reader *reader = png_get_error_ptr(png);
    snprintf(reader->warning, sizeof reader->warning, "%s", message);
}

/// Reads as libpng does by itself, but says what is wrong.
static void read_exactly(png_structp png, png_bytep bytes, size_t size) {
    if (fread(bytes, 1, size, png_get_io_ptr(png)) != size) png_error(png, "the file ends too early");
}

beitseg_png_reader *beitseg_png_reader_open(FILE *file) {
    beitseg_png_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    if (setjmp(reader->jump) == 0) {
        reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, fail, warn);
        if (reader->png) reader->info = png_create_info_struct(reader->png);
        if (reader->info) {
            png_set_read_fn(reader->png, file, read_exactly);
            return reader;
        }
    }
    beitseg_png_reader_close(reader);
    return NULL;
}

void beitseg_png_reader_close(beitseg_png_reader *reader) {
    if (reader->png) png_destroy_read_struct(&reader->png, &reader->info, NULL);
    free(reader);
}

const char *beitseg_png_reader_error(const beitseg_png_reader *reader) { return reader->message; }

bool beitseg_png_reader_header(beitseg_png_reader *reader, beitseg_png_header *header) {
    if (setjmp(reader->jump)) return false;
    // Pixels are used as stored: colour profiles, gamma and texts are skipped unread, however large they claim to be.
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
    png_read_info(reader->png, reader->info);
    header->width = png_get_image_width(reader->png, reader->info);
    header->height = png_get_image_height(reader->png, reader->info);
    header->bit_depth = png_get_bit_depth(reader->png, reader->info);
    header->color_type = png_get_color_type(reader->png, reader->info);
    header->interlaced = png_get_interlace_type(reader->png, reader->info) != PNG_INTERLACE_NONE;
    return true;
}

const uint8_t *beitseg_png_reader_exif(beitseg_png_reader *reader, size_t *size) {
    png_uint_32 count = 0;
    png_bytep bytes = NULL;
    if (png_get_eXIf_1(reader->png, reader->info, &count, &bytes) == 0) return NULL;
    *size = count;
    return bytes;
}

int beitseg_png_reader_palette(beitseg_png_reader *reader, uint8_t rgb[256 * 3]) {
    png_colorp colors = NULL;
    int count = 0;
    if (png_get_PLTE(reader->png, reader->info, &colors, &count) == 0) return 0;
    for (int i = 0; i < count; i++) {
        rgb[3 * i] = colors[i].red;
        rgb[3 * i + 1] = colors[i].green;
        rgb[3 * i + 2] = colors[i].blue;
    }
    return count;
}

/// Starts decompression once the transformations are chosen; rows must then have `bytes_per_pixel`.
static void begin(beitseg_png_reader *reader, size_t bytes_per_pixel) {
    reader->passes = png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    size_t row_bytes = bytes_per_pixel * png_get_image_width(reader->png, reader->info);
    if (png_get_rowbytes(reader->png, reader->info) != row_bytes) png_error(reader->png, "unexpected row size");
}

bool beitseg_png_reader_begin_rgb(beitseg_png_reader *reader) {
    if (setjmp(reader->jump)) return false;
    png_set_expand(reader->png);
    png_set_scale_16(reader->png);
    png_set_strip_alpha(reader->png);
    png_set_gray_to_rgb(reader->png);
    begin(reader, 3);
    return true;
}

bool beitseg_png_reader_begin_samples(beitseg_png_reader *reader) {
    if (setjmp(reader->jump)) return false;
    const bool wide = png_get_bit_depth(reader->png, reader->info) == 16;
    png_set_packing(reader->png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (wide) png_set_swap(reader->png);
#endif
    begin(reader, (wide ? 2 : 1) * (size_t)png_get_channels(reader->png, reader->info));
    return true;
}

bool beitseg_png_reader_rows(beitseg_png_reader *reader, uint8_t *rows, size_t row_bytes, size_t count) {
    if (setjmp(reader->jump)) return false;
    for (int pass = 0; pass < reader->passes; pass++)
        for (size_t y = 0; y < count; y++) png_read_row(reader->png, rows + y * row_bytes, NULL);
    return true;
}
