#ifdef BEITSEG_WEBP

#include <webp/decode.h>

#include "CBEiTImageShim.h"

bool beitseg_webp_header(
    const uint8_t *head, size_t size, int *width, int *height, bool *is_animated, bool *is_lossless) {
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(head, size, &features) != VP8_STATUS_OK) return false;
    *width = features.width;
    *height = features.height;
    *is_animated = features.has_animation != 0;
    *is_lossless = features.format == 2;
    return true;
}

const char *beitseg_webp_decode(
    const uint8_t *bytes, size_t size, uint8_t *rows, size_t row_bytes, int width, int height) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return "the library libwebp is of another version";
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = rows;
    config.output.u.RGBA.stride = (int)row_bytes;
    config.output.u.RGBA.size = row_bytes * (size_t)height;
    config.output.width = width;
    config.output.height = height;
    switch (WebPDecode(bytes, size, &config)) {
    case VP8_STATUS_OK: return NULL;
    case VP8_STATUS_OUT_OF_MEMORY: return "out of memory";
    case VP8_STATUS_NOT_ENOUGH_DATA: return "the file ends too early";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "it uses what libwebp does not read";
    default: return "its data make no sense";
    }
}

#endif
