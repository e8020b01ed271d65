#include <assert.h>
#include <setjmp.h>
#include <stdio.h>  // which jpeglib.h needs and does not include
#include <stdlib.h>

#include <jpeglib.h>

#include "CBEiTImageShim.h"

static_assert(beitseg_message_size >= JMSG_LENGTH_MAX, "messages of libjpeg do not fit");

/// On the heap, because automatic variables that change after setjmp are lost by longjmp.
typedef struct {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    char *message;
} writer;

static void fail(j_common_ptr jpeg) {
    writer *writer = jpeg->client_data;
    jpeg->err->format_message(jpeg, writer->message);
    longjmp(writer->jump, 1);
}

static void ignore(j_common_ptr jpeg, int level) { (void)jpeg, (void)level; }

bool beitseg_jpeg_write(FILE *file, const uint8_t *rgb, size_t width, size_t height, int quality, char *message) {
    writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        snprintf(message, beitseg_message_size, "out of memory");
        return false;
    }
    struct jpeg_compress_struct *jpeg = &writer->jpeg;
    jpeg->err = jpeg_std_error(&writer->errors);
    writer->errors.error_exit = fail;
    writer->errors.emit_message = ignore;
    writer->message = message;
    jpeg->client_data = writer;
    volatile bool failed = false;
    if (setjmp(writer->jump)) {
        failed = true;
    } else {
        jpeg_create_compress(jpeg);
        jpeg_stdio_dest(jpeg, file);
        jpeg->image_width = (JDIMENSION)width;
        jpeg->image_height = (JDIMENSION)height;
        jpeg->input_components = 3;
        jpeg->in_color_space = JCS_RGB;
        jpeg_set_defaults(jpeg);
        jpeg_set_quality(jpeg, quality, TRUE);
        jpeg->optimize_coding = TRUE;
        jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;  // 4:4:4: colours keep their edges
        jpeg_start_compress(jpeg, TRUE);
        while (jpeg->next_scanline < jpeg->image_height) {
            JSAMPROW row = (JSAMPROW)(rgb + 3 * width * jpeg->next_scanline);
            jpeg_write_scanlines(jpeg, &row, 1);
        }
        jpeg_finish_compress(jpeg);
    }
    jpeg_destroy_compress(jpeg);
    free(writer);
    return !failed;
}
