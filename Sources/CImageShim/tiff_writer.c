#ifdef BEITSEG_TIFF

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tiffio.h>

#include "CBEiTImageShim.h"

/// The side of a tile, in pixels.
enum { tile_side = 256 };

struct beitseg_tiff_writer {
    int descriptor, error_number;
    uint64_t position, size;
    TIFF *tiff;
    uint32_t width, height;
    size_t sample_size;
    uint8_t *band;  // the rows of one row of tiles
    uint8_t *tile;
    uint32_t row;   // that comes next
    char message[beitseg_message_size];
};

// MARK: The file

static tmsize_t read_back(thandle_t handle, void *bytes, tmsize_t size) {
    beitseg_tiff_writer *writer = handle;
    const ssize_t count = pread(writer->descriptor, bytes, (size_t)size, (off_t)writer->position);
    if (count > 0) writer->position += (uint64_t)count;
    return count;
}

static tmsize_t write_bytes(thandle_t handle, void *bytes, tmsize_t size) {
    beitseg_tiff_writer *writer = handle;
    tmsize_t done = 0;
    while (done < size) {
        const ssize_t count = pwrite(
            writer->descriptor, (const char *)bytes + done, (size_t)(size - done), (off_t)writer->position);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            writer->error_number = count < 0 ? errno : EIO;
            break;
        }
        done += count;
        writer->position += (uint64_t)count;
    }
    if (writer->position > writer->size) writer->size = writer->position;
    return done;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    beitseg_tiff_writer *writer = handle;
    if (whence == SEEK_SET) writer->position = offset;
    else if (whence == SEEK_CUR) writer->position += offset;
    else writer->position = writer->size + offset;
    return writer->position;
}

static int keep_open(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of_file(thandle_t handle) { return ((beitseg_tiff_writer *)handle)->size; }

/// Keeps the first message: what follows is its consequence.
static int note_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    beitseg_tiff_writer *writer = user;
    if (!writer->message[0]) vsnprintf(writer->message, sizeof writer->message, format, arguments);
    return 1;
}

static int ignore_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

static bool fail(beitseg_tiff_writer *writer, const char *reason) {
    if (!writer->message[0]) strncpy(writer->message, reason, sizeof writer->message - 1);
    return false;
}

beitseg_tiff_writer *beitseg_tiff_writer_open(int descriptor) {
    beitseg_tiff_writer *writer = calloc(1, sizeof *writer);
    if (writer) writer->descriptor = descriptor;
    return writer;
}

void beitseg_tiff_writer_close(beitseg_tiff_writer *writer) {
    if (writer->tiff) TIFFCleanup(writer->tiff);
    free(writer->band);
    free(writer->tile);
    free(writer);
}

const char *beitseg_tiff_writer_error(const beitseg_tiff_writer *writer) {
    return writer->message[0] ? writer->message : "libtiff could not write it";
}

int beitseg_tiff_writer_disk_error(const beitseg_tiff_writer *writer) { return writer->error_number; }

// MARK: Tags

/// Tags that libtiff does not know itself: GeoTIFF 1.1 (OGC 19-008r4) and GDAL.
static const TIFFFieldInfo more_tags[] = {
    {33550, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, "ModelPixelScale"},
    {33922, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, "ModelTiepoint"},
    {34264, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, "ModelTransformation"},
    {34735, -1, -1, TIFF_SHORT, FIELD_CUSTOM, 1, 1, "GeoKeyDirectory"},
    {34736, -1, -1, TIFF_DOUBLE, FIELD_CUSTOM, 1, 1, "GeoDoubleParams"},
    {34737, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, "GeoAsciiParams"},
    {42112, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, "GDAL_METADATA"},
    {42113, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, "GDAL_NODATA"},
};

static bool set_layout(beitseg_tiff_writer *writer, const uint16_t *colors) {
    TIFF *tiff = writer->tiff;
    const int bits = 8 * (int)writer->sample_size;
    const size_t count = (size_t)1 << bits;
    return TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, writer->width)
        && TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, writer->height)
        && TIFFSetField(tiff, TIFFTAG_TILEWIDTH, (uint32_t)tile_side)
        && TIFFSetField(tiff, TIFFTAG_TILELENGTH, (uint32_t)tile_side)
        && TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits) && TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1)
        && TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT)
        && TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG)
        && TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE)
        && TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, colors ? PHOTOMETRIC_PALETTE : PHOTOMETRIC_MINISBLACK)
        && (!colors || TIFFSetField(tiff, TIFFTAG_COLORMAP, colors, colors + count, colors + 2 * count));
}

static bool set_list(beitseg_tiff_writer *writer, uint32_t tag, const void *values, size_t count) {
    if (count == 0) return true;
    return (count <= UINT16_MAX && TIFFSetField(writer->tiff, tag, (int)count, values))
        || fail(writer, "libtiff could not set a tag");
}

bool beitseg_tiff_writer_numbers(beitseg_tiff_writer *writer, uint32_t tag, const double *numbers, size_t count) {
    return set_list(writer, tag, numbers, count);
}

bool beitseg_tiff_writer_words(beitseg_tiff_writer *writer, uint32_t tag, const uint16_t *words, size_t count) {
    return set_list(writer, tag, words, count);
}

bool beitseg_tiff_writer_text(beitseg_tiff_writer *writer, uint32_t tag, const char *text) {
    return !text[0] || TIFFSetField(writer->tiff, tag, text) || fail(writer, "libtiff could not set a tag");
}

// MARK: Pixels

bool beitseg_tiff_writer_begin(
    beitseg_tiff_writer *writer, uint32_t width, uint32_t height, int bits, const uint16_t *colors) {
    writer->width = width;
    writer->height = height;
    writer->sample_size = (size_t)bits / 8;
    writer->band = malloc((size_t)width * tile_side * writer->sample_size);
    writer->tile = malloc((size_t)tile_side * tile_side * writer->sample_size);
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!writer->band || !writer->tile || !options) {
        if (options) TIFFOpenOptionsFree(options);
        writer->error_number = ENOMEM;
        return fail(writer, "out of memory");
    }
    TIFFOpenOptionsSetErrorHandlerExtR(options, note_error, writer);
    TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, NULL);
    // Offsets of 32 bits reach 4 GiB; what deflate cannot compress grows by less than a hundredth.
    const uint64_t bytes = (uint64_t)width * height * writer->sample_size;
    const char *mode = bytes < (uint64_t)4000000000 ? "wl" : "wl8";
    writer->tiff = TIFFClientOpenExt(
        "TIFF", mode, writer, read_back, write_bytes, seek, keep_open, size_of_file, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (!writer->tiff) return fail(writer, "libtiff could not begin it");
    return (TIFFMergeFieldInfo(writer->tiff, more_tags, sizeof more_tags / sizeof *more_tags) == 0
            && set_layout(writer, colors))
        || fail(writer, "libtiff could not set its tags");
}

/// Writes the tiles whose rows are there.
static bool write_tiles(beitseg_tiff_writer *writer) {
    const uint32_t rows = (writer->row - 1) % tile_side + 1, top = writer->row - rows;
    const size_t sample = writer->sample_size, tile_row = tile_side * sample;
    for (uint32_t left = 0; left < writer->width; left += tile_side) {
        const uint32_t beside = writer->width - left, columns = beside < tile_side ? beside : tile_side;
        if (rows < tile_side || columns < tile_side) memset(writer->tile, 0, tile_side * tile_row);
        for (uint32_t y = 0; y < rows; y++)
            memcpy(
                writer->tile + y * tile_row, writer->band + ((size_t)y * writer->width + left) * sample,
                columns * sample);
        const uint32_t index = TIFFComputeTile(writer->tiff, left, top, 0, 0);
        if (TIFFWriteEncodedTile(writer->tiff, index, writer->tile, (tmsize_t)(tile_side * tile_row)) < 0)
            return fail(writer, "a tile could not be written");
    }
    return true;
}

bool beitseg_tiff_writer_rows(beitseg_tiff_writer *writer, const void *rows, size_t count) {
    const size_t row_bytes = writer->width * writer->sample_size;
    for (size_t i = 0; i < count; i++) {
        if (writer->row == writer->height) return fail(writer, "it has no more rows");
        memcpy(
            writer->band + writer->row % tile_side * row_bytes, (const uint8_t *)rows + i * row_bytes, row_bytes);
        writer->row++;
        if ((writer->row % tile_side == 0 || writer->row == writer->height) && !write_tiles(writer)) return false;
    }
    return true;
}

bool beitseg_tiff_writer_end(beitseg_tiff_writer *writer) {
    if (writer->row < writer->height) return fail(writer, "rows are missing");
    const bool done = TIFFWriteDirectory(writer->tiff) != 0;
    TIFFCleanup(writer->tiff);
    writer->tiff = NULL;
    return (done && !writer->error_number) || fail(writer, "its directory was not written");
}

#endif
