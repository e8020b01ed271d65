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
    bool allows_damage, is_damaged;
    bool header_is_read, ends_early;
    char message[JMSG_LENGTH_MAX];
};

/// What libjpeg stumbles over behind the end of a file is that end's fault.
static void fail(j_common_ptr jpeg) {
    beitseg_jpeg_reader *reader = jpeg->client_data;
    if (reader->ends_early) {
        reader->is_damaged = true;
        jpeg->err->msg_code = JWRN_JPEG_EOF;
    }
    jpeg->err->format_message(jpeg, reader->message);
    longjmp(reader->jump, 1);
}

/// Takes note of the first damage: of several it is the cause.
static void note_damage(j_common_ptr jpeg) {
    beitseg_jpeg_reader *reader = jpeg->client_data;
    if (reader->is_damaged) return;
    reader->is_damaged = true;
    if (reader->ends_early) jpeg->err->msg_code = JWRN_JPEG_EOF;
    jpeg->err->format_message(jpeg, reader->message);
    if (!reader->allows_damage) longjmp(reader->jump, 1);
}

/// libjpeg warns where data are missing or wrong and fills the rest of the image with grey. Its other warnings (an odd
/// version number, a colour transform that Adobe never named, stray bytes before a marker, which cameras leave there)
/// lose no pixel.
///
/// The end of the file alone loses none either: the last marker of an image that is complete may be missing. Where a scan
/// lacks data "premature end of data segment" follows; where whole scans may be missing, see `is_complete`.
static void judge(j_common_ptr jpeg, int level) {
    beitseg_jpeg_reader *reader = jpeg->client_data;
    if (level >= 0) return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
        if (!reader->header_is_read) fail(jpeg);
        reader->ends_early = true;
        break;
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: note_damage(jpeg); break;
    default: break;
    }
}

/// Whether the scans that were there make the whole image: every component was seen, in a progressive file to the last
/// bit of each coefficient.
static bool is_complete(const struct jpeg_decompress_struct *jpeg) {
    for (int c = 0; c < jpeg->num_components; c++) {
        if (!jpeg->comp_info[c].quant_table) return false;
        if (!jpeg->progressive_mode || !jpeg->coef_bits) continue;
        for (int k = 0; k < DCTSIZE2; k++)
            if (jpeg->coef_bits[c][k] != 0) return false;
    }
    return true;
}

static void count_scans(j_common_ptr jpeg) {
    beitseg_jpeg_reader *reader = jpeg->client_data;
    if (reader->jpeg.input_scan_number <= maximum_scans) return;
    snprintf(reader->message, sizeof reader->message, "it has more than %d scans", maximum_scans);
    longjmp(reader->jump, 1);
}

beitseg_jpeg_reader *beitseg_jpeg_reader_open(FILE *file, bool allows_damage) {
    beitseg_jpeg_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    reader->allows_damage = allows_damage;
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

bool beitseg_jpeg_reader_is_damaged(const beitseg_jpeg_reader *reader) { return reader->is_damaged; }

bool beitseg_jpeg_reader_header(beitseg_jpeg_reader *reader, uint32_t *width, uint32_t *height) {
    if (setjmp(reader->jump)) return false;
    jpeg_save_markers(&reader->jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&reader->jpeg, TRUE);
    *width = reader->jpeg.image_width;
    *height = reader->jpeg.image_height;
    reader->header_is_read = true;
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
    if (reader->ends_early && jpeg_has_multiple_scans(jpeg) && !is_complete(jpeg)) note_damage((j_common_ptr)jpeg);
    if (four && !(reader->cmyk = malloc(4 * (size_t)jpeg->output_width))) ERREXIT1(jpeg, JERR_OUT_OF_MEMORY, 0);
    return true;
}

bool beitseg_jpeg_reader_rows(beitseg_jpeg_reader *reader, uint8_t *rows, size_t row_bytes, size_t count) {
    if (setjmp(reader->jump)) return false;
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    for (size_t y = 0; y < count; y++) {
        uint8_t *row = rows + y * row_bytes;
        JSAMPROW target = reader->cmyk ? reader->cmyk : row;
        jpeg_read_scanlines(jpeg, &target, 1);
        if (reader->cmyk) beitseg_mix_inks(reader->cmyk, row, jpeg->output_width, jpeg->saw_Adobe_marker);
    }
    return true;
}
