#ifdef BEITSEG_TIFF

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tiffio.h>

#include "CBEiTImageShim.h"

/// What libtiff may reserve at once, and what rows or tiles may take.
static const tmsize_t maximum_piece = (tmsize_t)256 << 20;
static const uint64_t maximum_band = (uint64_t)1 << 30;

/// Directories that are looked through for pages.
enum { maximum_directories = 65535 };

/// A file as one handle of libtiff sees it.
typedef struct {
    struct beitseg_tiff_reader *reader;
    uint64_t position;
    TIFF *tiff;
} view;

struct beitseg_tiff_reader {
    int descriptor, error_number;
    uint64_t start, size;
    /// One; for strips that hold one band each, one a band that is read: each goes through its strips in order.
    view views[beitseg_tiff_maximum_bands];
    beitseg_tiff_header header;
    int directory;
    /// Bytes of one directory's palette.
    uint8_t *palette;
    size_t colors;
    bool tiled, planar, converts, finds_damage, is_damaged;
    uint32_t tile_width, tile_height, rows_per_strip;
    int bands[beitseg_tiff_maximum_bands], band_count;
    size_t sample_size;  // of a delivered sample
    uint8_t *raw;        // a row or tile as libtiff gives it
    size_t raw_size;
    uint8_t *band;       // delivered rows of the tiles (or the converted strip) that the next row lies in
    uint32_t band_row, band_rows, next_row;
    double filling;      // of what the file leaves out
    char message[beitseg_message_size];
};

// MARK: Input

static tmsize_t read_bytes(thandle_t handle, void *bytes, tmsize_t size) {
    view *view = handle;
    tmsize_t done = 0;
    while (done < size) {
        const beitseg_tiff_reader *reader = view->reader;
        if (view->position >= reader->size) break;
        const uint64_t left = reader->size - view->position, wanted = (uint64_t)(size - done);
        const ssize_t count = pread(reader->descriptor, (char *)bytes + done, wanted < left ? wanted : left,
                                    (off_t)(reader->start + view->position));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) view->reader->error_number = errno;
        if (count <= 0) break;
        done += count;
        view->position += (uint64_t)count;
    }
    return done;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t size) {
    (void)handle, (void)bytes, (void)size;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    view *view = handle;
    if (whence == SEEK_SET) view->position = offset;
    else if (whence == SEEK_CUR) view->position += offset;
    else view->position = view->reader->size + offset;
    return view->position;
}

static int keep_open(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of_file(thandle_t handle) { return ((view *)handle)->reader->size; }

/// Keeps the first message: what follows is its consequence.
static int note_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    beitseg_tiff_reader *reader = user;
    if (reader->message[0]) return 1;
    vsnprintf(reader->message, sizeof reader->message, format, arguments);
    for (char *c = reader->message; *c; c++)
        if (*c == '\n') *c = ' ';
    return 1;
}

/// Where these decoders warn pixels are wrong: they fill in what is missing.
static int note_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    beitseg_tiff_reader *reader = user;
    const bool fills_in = module && (strncmp(module, "LibJpeg", 7) == 0 || strncmp(module, "Fax", 3) == 0);
    if (!reader->finds_damage || !fills_in) return 1;
    reader->is_damaged = true;
    return note_error(tiff, user, module, format, arguments);
}

static bool fail(beitseg_tiff_reader *reader, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!reader->message[0]) vsnprintf(reader->message, sizeof reader->message, format, arguments);
    va_end(arguments);
    return false;
}

static bool open_view(beitseg_tiff_reader *reader, view *view) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return fail(reader, "out of memory");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, maximum_piece);
    TIFFOpenOptionsSetErrorHandlerExtR(options, note_error, reader);
    TIFFOpenOptionsSetWarningHandlerExtR(options, note_warning, reader);
    view->reader = reader;
    view->position = 0;
    // No map of the file into memory; whole strips are not cut into pieces.
    view->tiff = TIFFClientOpenExt(
        "TIFF", "rm", view, read_bytes, write_nothing, seek, keep_open, size_of_file, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return view->tiff ? true : fail(reader, "it is no TIFF after all");
}

beitseg_tiff_reader *beitseg_tiff_reader_open(int descriptor, size_t start, size_t size) {
    beitseg_tiff_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    reader->descriptor = descriptor;
    reader->start = start;
    reader->size = size;
    return reader;
}

void beitseg_tiff_reader_close(beitseg_tiff_reader *reader) {
    for (int i = 0; i < beitseg_tiff_maximum_bands; i++)
        if (reader->views[i].tiff) TIFFClose(reader->views[i].tiff);
    free(reader->palette);
    free(reader->raw);
    free(reader->band);
    free(reader);
}

const char *beitseg_tiff_reader_error(const beitseg_tiff_reader *reader) {
    return reader->message[0] ? reader->message : "its data make no sense";
}

int beitseg_tiff_reader_disk_error(const beitseg_tiff_reader *reader) { return reader->error_number; }

bool beitseg_tiff_reader_is_damaged(const beitseg_tiff_reader *reader) { return reader->is_damaged; }

// MARK: Header

/// Reduced copies and transparency masks accompany a page; they are none.
static bool is_page(TIFF *tiff) {
    uint32_t kind = 0;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SUBFILETYPE, &kind);
    return (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) == 0;
}

/// Goes to a page, counted from 0; where there is none, leaves `header.pages` at those that were met.
static bool find_page(beitseg_tiff_reader *reader, int page) {
    TIFF *tiff = reader->views[0].tiff;
    int pages = 0;
    for (int directory = 0; directory < maximum_directories; directory++) {
        if (is_page(tiff) && pages++ == page) {
            reader->directory = directory;
            return true;
        }
        if (TIFFLastDirectory(tiff)) break;
        if (!TIFFReadDirectory(tiff)) return fail(reader, "its directory %d cannot be read", directory + 2);
    }
    if (pages == 0) return fail(reader, "it holds nothing but previews, as camera raw files do; convert it to PNG");
    reader->header.pages = pages;
    return fail(reader, "it has no page %d, only %d", page + 1, pages);
}

int beitseg_tiff_reader_pages(beitseg_tiff_reader *reader) {
    if (!open_view(reader, &reader->views[0])) return -1;
    TIFF *tiff = reader->views[0].tiff;
    int pages = 0;
    for (int directory = 0; directory < maximum_directories; directory++) {
        pages += is_page(tiff);
        if (TIFFLastDirectory(tiff)) return pages;
        if (!TIFFReadDirectory(tiff)) {
            fail(reader, "its directory %d cannot be read", directory + 2);
            return -1;
        }
    }
    fail(reader, "it has more than %d directories", maximum_directories);
    return -1;
}

/// Compressions whose decoders are in use everywhere; the rest of libtiff's are left alone.
static bool check_compression(beitseg_tiff_reader *reader, uint16_t compression) {
    static const uint16_t read[] = {
        COMPRESSION_NONE, COMPRESSION_CCITTRLE, COMPRESSION_CCITTRLEW, COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4,
        COMPRESSION_LZW, COMPRESSION_JPEG, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE, COMPRESSION_PACKBITS,
        COMPRESSION_LZMA, COMPRESSION_ZSTD, COMPRESSION_WEBP,
    };
    if (compression == COMPRESSION_OJPEG)
        return fail(reader, "it is compressed by the old scheme for JPEG (6); save it anew (tiffcp -c lzw)");
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        if (read[i] == compression && TIFFIsCODECConfigured(compression)) return true;
    return fail(reader, "its compression (%d) is not read; save it with another (tiffcp -c lzw)", compression);
}

/// How a sample is delivered: bits up to 8 as bytes, up to 16 as uint16_t, what float holds as float, else double.
static bool choose_type(beitseg_tiff_reader *reader, uint16_t bits, uint16_t format) {
    beitseg_tiff_header *header = &reader->header;
    header->bits = bits;
    header->kind = format == SAMPLEFORMAT_IEEEFP ? beitseg_float
        : format == SAMPLEFORMAT_INT             ? beitseg_signed
                                                 : beitseg_unsigned;
    const bool whole = bits == 8 || bits == 16 || bits == 32 || bits == 64;
    if (format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_VOID) {
        if (bits >= 1 && bits <= 8) header->type = beitseg_u8;
        else if (bits > 8 && bits <= 16) header->type = beitseg_u16;
        else if (whole) header->type = beitseg_f64;
        else return fail(reader, "samples of %d bits are not read", bits);
    } else if (format == SAMPLEFORMAT_INT && whole) {
        header->type = bits <= 16 ? beitseg_f32 : beitseg_f64;
    } else if (format == SAMPLEFORMAT_IEEEFP && whole && bits > 8) {
        header->type = bits <= 32 ? beitseg_f32 : beitseg_f64;
    } else {
        return fail(reader, "samples of %d bits in format %d are not read", bits, format);
    }
    return true;
}

/// The palette of a page, three bytes a colour.
static bool read_palette(beitseg_tiff_reader *reader, uint16_t bits) {
    uint16_t *red = NULL, *green = NULL, *blue = NULL;
    const bool found = TIFFGetField(reader->views[0].tiff, TIFFTAG_COLORMAP, &red, &green, &blue);
    if (bits > 16 || !found || !red || !green || !blue)
        return fail(reader, "its palette is missing");
    const size_t count = (size_t)1 << bits;
    // Some write 8 bits where the format has 16.
    uint16_t shift = 0;
    for (size_t i = 0; i < count; i++)
        if (red[i] > 255 || green[i] > 255 || blue[i] > 255) shift = 8;
    if (!(reader->palette = malloc(3 * count))) return fail(reader, "out of memory");
    for (size_t i = 0; i < count; i++) {
        reader->palette[3 * i] = (uint8_t)(red[i] >> shift);
        reader->palette[3 * i + 1] = (uint8_t)(green[i] >> shift);
        reader->palette[3 * i + 2] = (uint8_t)(blue[i] >> shift);
    }
    reader->colors = count;
    return true;
}

/// What the samples mean.
static bool choose_color(beitseg_tiff_reader *reader, uint16_t photometric, uint16_t compression) {
    beitseg_tiff_header *header = &reader->header;
    TIFF *tiff = reader->views[0].tiff;
    uint16_t ink_set = INKSET_CMYK;
    switch (photometric) {
    case PHOTOMETRIC_MINISWHITE: header->color = beitseg_inverted; break;
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MASK: header->color = beitseg_grey; break;
    case PHOTOMETRIC_RGB: header->color = header->samples < 3 ? beitseg_grey : beitseg_rgb; break;
    case PHOTOMETRIC_PALETTE:
        header->color = beitseg_palette;
        return read_palette(reader, (uint16_t)header->bits);
    case PHOTOMETRIC_SEPARATED:
        TIFFGetFieldDefaulted(tiff, TIFFTAG_INKSET, &ink_set);
        header->color = ink_set == INKSET_CMYK && header->samples >= 4 ? beitseg_inks : beitseg_grey;
        break;
    case PHOTOMETRIC_YCBCR:
        header->color = beitseg_rgb;
        if (compression == COMPRESSION_JPEG && !reader->planar) break;  // libjpeg converts
        if (compression == COMPRESSION_WEBP) break;
        reader->converts = true;
        break;
    case PHOTOMETRIC_CIELAB:
        header->color = beitseg_rgb;
        reader->converts = true;
        break;
    case PHOTOMETRIC_CFA:
    case 34892:  // LinearRaw
        return fail(reader, "it is a camera's raw file; convert it to PNG");
    default: return fail(reader, "its colours (photometric interpretation %d) are not read", photometric);
    }
    return true;
}

static void find_alpha(beitseg_tiff_reader *reader) {
    uint16_t count = 0, *kinds = NULL;
    TIFFGetFieldDefaulted(reader->views[0].tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds);
    for (uint16_t i = 0; kinds && i < count; i++) reader->header.alphas += kinds[i] != EXTRASAMPLE_UNSPECIFIED;
}

static void use_rgb_of_jpeg(TIFF *tiff) {
    uint16_t compression = 0, photometric = 0, planar = PLANARCONFIG_CONTIG;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
    if (compression == COMPRESSION_JPEG && planar == PLANARCONFIG_CONTIG
        && TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric) && photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
}

static bool read_layout(beitseg_tiff_reader *reader) {
    TIFF *tiff = reader->views[0].tiff;
    beitseg_tiff_header *header = &reader->header;
    uint16_t compression = COMPRESSION_NONE, bits = 1, format = SAMPLEFORMAT_UINT, samples = 1, orientation = 1;
    uint16_t planar = PLANARCONFIG_CONTIG, photometric;
    uint32_t depth = 1;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &header->width)
        || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &header->height))
        return fail(reader, "its size is missing");
    if (!header->width || !header->height || header->width > beitseg_maximum_side
        || header->height > beitseg_maximum_side)
        return fail(reader, "%u × %u pixels make no image", header->width, header->height);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_IMAGEDEPTH, &depth);
    if (depth > 1) return fail(reader, "it is a volume of %u layers; save them as pages", depth);
    if (samples == 0) return fail(reader, "its pixels have no samples");
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric))
        photometric = samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    header->samples = samples;
    header->orientation = orientation;
    header->lossy = compression == COMPRESSION_JPEG || compression == COMPRESSION_WEBP;
    reader->tiled = TIFFIsTiled(tiff) != 0;
    reader->planar = planar == PLANARCONFIG_SEPARATE && samples > 1;
    find_alpha(reader);
    return check_compression(reader, compression) && choose_type(reader, bits, format)
        && choose_color(reader, photometric, compression);
}

bool beitseg_tiff_reader_header(beitseg_tiff_reader *reader, int page, beitseg_tiff_header *header) {
    if (!open_view(reader, &reader->views[0]) || !find_page(reader, page) || !read_layout(reader)) {
        header->pages = reader->header.pages;
        return false;
    }
    if (reader->converts) {
        // libtiff's own conversion gives three samples of 8 bits.
        char reason[1024];
        if (!TIFFRGBAImageOK(reader->views[0].tiff, reason)) return fail(reader, "%s", reason);
        reader->header.samples = 3;
        reader->header.alphas = 0;
        reader->header.bits = 8;
        reader->header.kind = beitseg_unsigned;
        reader->header.type = beitseg_u8;
    }
    use_rgb_of_jpeg(reader->views[0].tiff);
    *header = reader->header;
    return true;
}

const uint8_t *beitseg_tiff_reader_palette(const beitseg_tiff_reader *reader, size_t *count) {
    *count = reader->colors;
    return reader->palette;
}

const void *beitseg_tiff_reader_tag(beitseg_tiff_reader *reader, uint32_t tag, int *type, size_t *count) {
    TIFF *tiff = reader->views[0].tiff;
    const TIFFField *field = TIFFFindField(tiff, tag, TIFF_ANY);
    uint32_t values = 0;
    const void *data = NULL;
    // A tag that libtiff does not know it keeps as an array with its length.
    if (!field || !TIFFFieldPassCount(field) || TIFFFieldReadCount(field) != TIFF_VARIABLE2) return NULL;
    if (!TIFFGetField(tiff, tag, &values, &data) || !data) return NULL;
    *type = TIFFFieldDataType(field);
    *count = values;
    return data;
}

// MARK: Pixels

static bool reserve(beitseg_tiff_reader *reader, uint8_t **memory, uint64_t size, uint64_t limit) {
    if (size == 0 || size > limit)
        return fail(reader, "its rows or tiles are too large (%llu bytes)", (unsigned long long)size);
    if (!(*memory = calloc(1, (size_t)size))) return fail(reader, "out of memory");
    return true;
}

/// Bits that a row of a strip or tile has.
static uint64_t row_bytes_of(const beitseg_tiff_reader *reader, uint64_t width) {
    const uint64_t samples = reader->planar ? 1 : (uint64_t)reader->header.samples;
    return (width * samples * (uint64_t)reader->header.bits + 7) / 8;
}

/// Reserves what rows are read into, and checks libtiff's sizes against what is taken out of them.
static bool reserve_rows(beitseg_tiff_reader *reader) {
    TIFF *tiff = reader->views[0].tiff;
    const uint64_t pixel = reader->sample_size * (uint64_t)reader->band_count;
    uint64_t width = reader->header.width, raw;
    if (reader->tiled) {
        if (!TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &reader->tile_width)
            || !TIFFGetField(tiff, TIFFTAG_TILELENGTH, &reader->tile_height) || !reader->tile_width
            || !reader->tile_height)
            return fail(reader, "the size of its tiles is missing");
        reader->band_rows = reader->tile_height < reader->header.height ? reader->tile_height : reader->header.height;
        if (width > maximum_band / pixel / reader->band_rows) return fail(reader, "its tiles are too large");
        raw = TIFFTileSize64(tiff);
        if (!reader->converts
            && (raw > (uint64_t)maximum_piece
                || raw / reader->tile_height < row_bytes_of(reader, reader->tile_width)))
            return fail(reader, "its tiles are too large or too small for their pixels");
        if (reader->converts) raw = 4 * (uint64_t)reader->tile_width * reader->tile_height;
        return reserve(reader, &reader->raw, reader->raw_size = raw, (uint64_t)maximum_piece)
            && reserve(reader, &reader->band, width * reader->band_rows * pixel, maximum_band);
    }
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &reader->rows_per_strip);
    if (reader->rows_per_strip == 0) return fail(reader, "its strips have no rows");
    if (reader->rows_per_strip > reader->header.height) reader->rows_per_strip = reader->header.height;
    if (reader->converts) {
        reader->band_rows = reader->rows_per_strip;
        return reserve(reader, &reader->raw, reader->raw_size = 4 * width * reader->band_rows, (uint64_t)maximum_piece)
            && reserve(reader, &reader->band, 3 * width * reader->band_rows, maximum_band);
    }
    raw = TIFFScanlineSize64(tiff);
    if (raw < row_bytes_of(reader, width)) return fail(reader, "its rows are too short for their pixels");
    return reserve(reader, &reader->raw, reader->raw_size = raw, (uint64_t)maximum_piece);
}

bool beitseg_tiff_reader_begin(beitseg_tiff_reader *reader, const int *bands, int count) {
    static const size_t sizes[] = {1, 2, 4, 8};
    if (count < 1 || count > beitseg_tiff_maximum_bands) return fail(reader, "%d bands are not read", count);
    for (int i = 0; i < count; i++) {
        if (bands[i] < 0 || bands[i] >= reader->header.samples)
            return fail(reader, "it has no band %d, only %d", bands[i] + 1, reader->header.samples);
        reader->bands[i] = bands[i];
    }
    reader->band_count = count;
    reader->sample_size = sizes[reader->header.type];
    if (reader->planar && !reader->tiled && !reader->converts)
        for (int i = 1; i < count; i++) {
            view *view = &reader->views[i];
            if (!open_view(reader, view)) return false;
            if (!TIFFSetDirectory(view->tiff, (tdir_t)reader->directory))
                return fail(reader, "its directory cannot be read again");
        }
    reader->band_row = UINT32_MAX;
    reader->message[0] = 0;
    reader->finds_damage = true;
    return reserve_rows(reader);
}

static float half_to_float(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 1023;
    uint32_t bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 0x7F800000 : (exponent + 112) << 23) | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// `bits` (at most 16) of a row that is packed from the highest bit on.
static inline uint16_t packed_bits(const uint8_t *row, uint64_t bit, int bits) {
    uint32_t value = 0;
    const uint64_t last = (bit + (uint64_t)bits - 1) / 8;
    for (uint64_t byte = bit / 8; byte <= last; byte++) value = value << 8 | row[byte];
    return (uint16_t)(value >> (8 * (last + 1) - bit - (uint64_t)bits) & ((1u << bits) - 1));
}

#define COPY(from, to, convert) \
    for (size_t x = 0; x < width; x++) { \
        from value; \
        memcpy(&value, row + (x * samples + first) * sizeof value, sizeof value); \
        ((to *)target)[x * step] = (to)convert; \
    }

/// Takes sample `first` of each of `width` pixels of `samples` samples out of a row of libtiff's.
static void take(
    const beitseg_tiff_reader *reader, const uint8_t *row, size_t width, size_t samples, size_t first, void *target) {
    const size_t step = (size_t)reader->band_count;
    const int bits = reader->header.bits;
    switch (reader->header.kind) {
    case beitseg_unsigned:
        switch (bits) {
        case 8: COPY(uint8_t, uint8_t, value); return;
        case 16: COPY(uint16_t, uint16_t, value); return;
        case 32: COPY(uint32_t, double, value); return;
        case 64: COPY(uint64_t, double, value); return;
        default:
            for (size_t x = 0; x < width; x++) {
                const uint16_t value = packed_bits(row, (uint64_t)(x * samples + first) * (uint64_t)bits, bits);
                if (bits <= 8) ((uint8_t *)target)[x * step] = (uint8_t)value;
                else ((uint16_t *)target)[x * step] = value;
            }
            return;
        }
    case beitseg_signed:
        switch (bits) {
        case 8: COPY(int8_t, float, value); return;
        case 16: COPY(int16_t, float, value); return;
        case 32: COPY(int32_t, double, value); return;
        default: COPY(int64_t, double, value); return;
        }
    default:
        switch (bits) {
        case 16: COPY(uint16_t, float, half_to_float(value)); return;
        case 32: COPY(float, float, value); return;
        default: COPY(double, double, value); return;
        }
    }
}

/// Band `i` of a row of `width` pixels; `target` is the row's first delivered sample.
static void take_band(const beitseg_tiff_reader *reader, const uint8_t *row, size_t width, int i, uint8_t *target) {
    const size_t samples = reader->planar ? 1 : (size_t)reader->header.samples;
    const size_t first = reader->planar ? 0 : (size_t)reader->bands[i];
    take(reader, row, width, samples, first, target + (size_t)i * reader->sample_size);
}

static void take_row(const beitseg_tiff_reader *reader, const uint8_t *row, size_t width, uint8_t *target) {
    const int bits = reader->header.bits;
    const bool is_plain = reader->header.kind == beitseg_unsigned && (bits == 8 || bits == 16);
    if (is_plain && reader->header.samples == reader->band_count && !reader->planar) {
        bool in_order = true;
        for (int i = 0; i < reader->band_count; i++) in_order = in_order && reader->bands[i] == i;
        if (in_order) {
            memcpy(target, row, width * (size_t)reader->band_count * reader->sample_size);
            return;
        }
    }
    for (int i = 0; i < reader->band_count; i++) take_band(reader, row, width, i, target);
}

/// Whether a piece was never written: GDAL leaves out those that are empty.
static bool is_absent(TIFF *tiff, uint32_t piece) {
    return TIFFGetStrileByteCount(tiff, piece) == 0 && TIFFGetStrileOffset(tiff, piece) == 0;
}

static void fill(const beitseg_tiff_reader *reader, uint8_t *target, size_t width, int band) {
    const double value = reader->filling;
    const size_t step = (size_t)reader->band_count;
    for (size_t x = 0; x < width; x++) {
        const size_t i = x * step + (size_t)band;
        switch (reader->header.type) {
        case beitseg_u8: target[i] = (uint8_t)value; break;
        case beitseg_u16: ((uint16_t *)target)[i] = (uint16_t)value; break;
        case beitseg_f32: ((float *)target)[i] = (float)value; break;
        default: ((double *)target)[i] = value; break;
        }
    }
}

void beitseg_tiff_reader_fill_with(beitseg_tiff_reader *reader, double value) { reader->filling = value; }

static bool read_strip_row(beitseg_tiff_reader *reader, uint32_t y, uint8_t *target) {
    const size_t width = reader->header.width;
    const int views = reader->planar ? reader->band_count : 1;
    for (int i = 0; i < views; i++) {
        TIFF *tiff = reader->views[i].tiff;
        const uint16_t plane = reader->planar ? (uint16_t)reader->bands[i] : 0;
        const bool absent = is_absent(tiff, TIFFComputeStrip(tiff, y, plane));
        if (absent) {
            for (int band = reader->planar ? i : 0; band < (reader->planar ? i + 1 : reader->band_count); band++)
                fill(reader, target, width, band);
        } else if (TIFFReadScanline(tiff, reader->raw, y, plane) < 0) {
            return fail(reader, "row %u cannot be decoded", y + 1);
        } else if (reader->planar) {
            take_band(reader, reader->raw, width, i, target);
        } else {
            take_row(reader, reader->raw, width, target);
        }
    }
    return true;
}

/// libtiff's conversion puts the lowest row first.
static void take_converted(const uint8_t *rgba, size_t width, uint8_t *target) {
    const uint32_t *pixels = (const uint32_t *)(const void *)rgba;
    for (size_t x = 0; x < width; x++) {
        target[3 * x] = (uint8_t)TIFFGetR(pixels[x]);
        target[3 * x + 1] = (uint8_t)TIFFGetG(pixels[x]);
        target[3 * x + 2] = (uint8_t)TIFFGetB(pixels[x]);
    }
}

static bool read_tile(beitseg_tiff_reader *reader, uint32_t x, uint32_t y, size_t width, uint32_t rows) {
    TIFF *tiff = reader->views[0].tiff;
    const size_t pixel = reader->sample_size * (size_t)reader->band_count;
    const size_t row_bytes = pixel * reader->header.width;
    uint8_t *target = reader->band + pixel * x;
    if (reader->converts) {
        if (!TIFFReadRGBATileExt(tiff, x, y, (uint32_t *)(void *)reader->raw, 1))
            return fail(reader, "a tile cannot be decoded");
        const size_t tile_row = 4 * (size_t)reader->tile_width;
        for (uint32_t row = 0; row < rows; row++)
            take_converted(reader->raw + tile_row * (reader->tile_height - 1 - row), width, target + row * row_bytes);
        return true;
    }
    const size_t raw_row = reader->raw_size / reader->tile_height;
    for (int i = 0; i < (reader->planar ? reader->band_count : 1); i++) {
        const uint32_t tile = TIFFComputeTile(tiff, x, y, 0, reader->planar ? (uint16_t)reader->bands[i] : 0);
        const bool absent = is_absent(tiff, tile);
        if (!absent && TIFFReadEncodedTile(tiff, tile, reader->raw, (tmsize_t)reader->raw_size) < 0)
            return fail(reader, "tile %u cannot be decoded", tile + 1);
        for (uint32_t row = 0; row < rows; row++) {
            const uint8_t *source = reader->raw + row * raw_row;
            uint8_t *to = target + row * row_bytes;
            if (absent)
                for (int band = reader->planar ? i : 0; band < (reader->planar ? i + 1 : reader->band_count); band++)
                    fill(reader, to, width, band);
            else if (reader->planar) take_band(reader, source, width, i, to);
            else take_row(reader, source, width, to);
        }
    }
    return true;
}

/// Reads the tiles, or the strip to be converted, in which row `y` lies.
static bool read_band(beitseg_tiff_reader *reader, uint32_t y) {
    const uint32_t first = y / reader->band_rows * reader->band_rows;
    const uint32_t left = reader->header.height - first;
    const uint32_t rows = left < reader->band_rows ? left : reader->band_rows;
    if (reader->tiled) {
        for (uint64_t x = 0; x < reader->header.width; x += reader->tile_width) {
            const uint64_t beside = reader->header.width - x;
            const size_t width = beside < reader->tile_width ? (size_t)beside : reader->tile_width;
            if (!read_tile(reader, (uint32_t)x, first, width, rows)) return false;
        }
    } else {
        if (!TIFFReadRGBAStripExt(reader->views[0].tiff, first, (uint32_t *)(void *)reader->raw, 1))
            return fail(reader, "a strip cannot be decoded");
        const size_t width = reader->header.width;
        for (uint32_t row = 0; row < rows; row++)
            take_converted(reader->raw + 4 * width * (rows - 1 - row), width, reader->band + 3 * width * row);
    }
    reader->band_row = first;
    return true;
}

bool beitseg_tiff_reader_rows(beitseg_tiff_reader *reader, void *rows, size_t row_bytes, size_t count) {
    const size_t delivered = reader->sample_size * (size_t)reader->band_count * reader->header.width;
    if (row_bytes < delivered) return fail(reader, "rows of %zu bytes do not fit", delivered);
    for (size_t i = 0; i < count; i++) {
        const uint32_t y = reader->next_row++;
        if (y >= reader->header.height) return fail(reader, "it has no more rows");
        uint8_t *row = (uint8_t *)rows + i * row_bytes;
        if (!reader->band) {
            if (!read_strip_row(reader, y, row)) return false;
            continue;
        }
        const bool is_there = reader->band_row != UINT32_MAX && y - reader->band_row < reader->band_rows;
        if (!is_there && !read_band(reader, y)) return false;
        memcpy(row, reader->band + (y - reader->band_row) * delivered, delivered);
    }
    return true;
}

#endif
