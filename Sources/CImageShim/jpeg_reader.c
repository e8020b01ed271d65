#include <setjmp.h>
#include <stdio.h>  // which jpeglib.h needs and does not include
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "CBEiTImageShim.h"

/// A progressive file of many thousand empty scans takes hours; real ones have about ten.
enum { maximum_scans = 100 };

struct beitseg_jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    uint8_t *cmyk;  // one row, where the image has four components
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
};

static void fail(j_common_ptr jpeg) {
    beitseg_jpeg_reader *reader = jpeg->client_data;
    jpeg->err->format_message(jpeg, reader->message);
    longjmp(reader->jump, 1);
}

/// libjpeg fills the rest of a broken image with grey and warns; here such warnings are errors. Others (an odd version
/// number, stray bytes between markers) leave the pixels whole and are ignored.
static void judge(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: fail(jpeg);
    default: break;
    }
}

static void count_scans(j_common_ptr jpeg) {
    beitseg_jpeg_reader *reader = jpeg->client_data;
    if (reader->jpeg.input_scan_number <= maximum_scans) return;
    snprintf(reader->message, sizeof reader->message, "it has more than %d scans", maximum_scans);
    longjmp(reader->jump, 1);
}

beitseg_jpeg_reader *beitseg_jpeg_reader_open(FILE *file) {
    beitseg_jpeg_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    reader->jpeg.err = jpeg_std_error(&reader->errors);
    reader->errors.error_exit = fail;
    reader->errors.emit_message = judge;
    reader->jpeg.client_data = reader;
    if (setjmp(reader->jump)) {
        beitseg_jpeg_reader_close(reader);
        return NULL;
    }
    jpeg_create_decompress(&reader->jpeg);
    reader->progress.progress_monitor = count_scans;
    reader->jpeg.progress = &reader->progress;
    jpeg_stdio_src(&reader->jpeg, file);
    return reader;
}

void beitseg_jpeg_reader_close(beitseg_jpeg_reader *reader) {
    jpeg_destroy_decompress(&reader->jpeg);
    free(reader->cmyk);
    free(reader);
}

const char *beitseg_jpeg_reader_error(const beitseg_jpeg_reader *reader) { return reader->message; }

bool beitseg_jpeg_reader_header(beitseg_jpeg_reader *reader, uint32_t *width, uint32_t *height) {
    if (setjmp(reader->jump)) return false;
    jpeg_save_markers(&reader->jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&reader->jpeg, TRUE);
    *width = reader->jpeg.image_width;
    *height = reader->jpeg.image_height;
    return true;
}

const uint8_t *beitseg_jpeg_reader_exif(const beitseg_jpeg_reader *reader, size_t *size) {
    static const char prefix[6] = "Exif\0";
    for (jpeg_saved_marker_ptr marker = reader->jpeg.marker_list; marker; marker = marker->next) {
        if (marker->data_length <= sizeof prefix || memcmp(marker->data, prefix, sizeof prefix) != 0) continue;
        *size = marker->data_length - sizeof prefix;
        return marker->data + sizeof prefix;
    }
    return NULL;
}

bool beitseg_jpeg_reader_has_scans(beitseg_jpeg_reader *reader) { return jpeg_has_multiple_scans(&reader->jpeg); }

bool beitseg_jpeg_reader_begin_rgb(beitseg_jpeg_reader *reader, int shrink) {
    if (setjmp(reader->jump)) return false;
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    const bool four = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)shrink;
    jpeg_start_decompress(jpeg);
    if (four && !(reader->cmyk = malloc(4 * (size_t)jpeg->output_width))) ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
    return true;
}

/// Mixes four inks into RGB: R = (255 - C)(255 - K) / 255. Adobe's files store 255 - ink.
static void mix_inks(const uint8_t *cmyk, uint8_t *rgb, size_t width, bool inverted) {
    const int flip = inverted ? 0 : 255;
    for (size_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) {
            const int product = (cmyk[4 * x + c] ^ flip) * (cmyk[4 * x + 3] ^ flip);
            rgb[3 * x + c] = (uint8_t)((product + 127) / 255);
        }
}

bool beitseg_jpeg_reader_rows(beitseg_jpeg_reader *reader, uint8_t *rows, size_t row_bytes, size_t count) {
    if (setjmp(reader->jump)) return false;
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    for (size_t y = 0; y < count; y++) {
        uint8_t *row = rows + y * row_bytes;
        JSAMPROW target = reader->cmyk ? reader->cmyk : row;
        jpeg_read_scanlines(jpeg, &target, 1);
        if (reader->cmyk) mix_inks(reader->cmyk, row, jpeg->output_width, jpeg->saw_Adobe_marker);
    }
    return true;
}
