#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

#include "CBEiTImageShim.h"

struct beitseg_png_writer {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    char message[200];
};

static void fail(png_structp png, png_const_charp message) {
    beitseg_png_writer *writer = png_get_error_ptr(png);
    snprintf(writer->message, sizeof writer->message, "%s", message);
    longjmp(writer->jump, 1);
}

static void ignore(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

beitseg_png_writer *beitseg_png_writer_open(FILE *file) {
    beitseg_png_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return NULL;
    if (setjmp(writer->jump) == 0) {
        writer->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, fail, ignore);
        if (writer->png) writer->info = png_create_info_struct(writer->png);
        if (writer->info) {
            png_init_io(writer->png, file);
            return writer;
        }
    }
    beitseg_png_writer_close(writer);
    return NULL;
}

void beitseg_png_writer_close(beitseg_png_writer *writer) {
    if (writer->png) png_destroy_write_struct(&writer->png, &writer->info);
    free(writer);
}

const char *beitseg_png_writer_error(const beitseg_png_writer *writer) { return writer->message; }

bool beitseg_png_writer_begin(beitseg_png_writer *writer, const beitseg_png_layout *layout) {
    png_color colors[256];
    if (setjmp(writer->jump)) return false;
    png_set_IHDR(
        writer->png, writer->info, layout->width, layout->height, layout->bit_depth, layout->color_type,
        PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (layout->color_type == PNG_COLOR_TYPE_PALETTE) {
        for (int i = 0; i < layout->palette_count && i < 256; i++)
            colors[i] = (png_color){layout->palette[3 * i], layout->palette[3 * i + 1], layout->palette[3 * i + 2]};
        png_set_PLTE(writer->png, writer->info, colors, layout->palette_count);
    }
    png_set_compression_level(writer->png, layout->compression);
    // Neighbouring colours are close, which prediction uses; neighbouring indices are equal or unrelated.
    const bool photo = layout->color_type == PNG_COLOR_TYPE_RGB;
    png_set_filter(writer->png, PNG_FILTER_TYPE_BASE, photo ? PNG_FILTER_SUB : PNG_FILTER_NONE);
    png_write_info(writer->png, writer->info);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (layout->bit_depth == 16) png_set_swap(writer->png);
#endif
    return true;
}

bool beitseg_png_writer_rows(beitseg_png_writer *writer, const uint8_t *rows, size_t row_bytes, size_t count) {
    if (setjmp(writer->jump)) return false;
    for (size_t y = 0; y < count; y++) png_write_row(writer->png, rows + y * row_bytes);
    return true;
}

bool beitseg_png_writer_end(beitseg_png_writer *writer) {
    if (setjmp(writer->jump)) return false;
    png_write_end(writer->png, writer->info);
    return true;
}
