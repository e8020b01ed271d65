#include <string.h>

#include "CBEiTImageShim.h"

void beitseg_gather_rgb(
    const uint8_t *source, ptrdiff_t step_x, ptrdiff_t step_y, uint8_t *destination, size_t width, size_t height) {
    for (size_t y = 0; y < height; y++, source += 3 * step_y) {
        const uint8_t *pixel = source;
        if (step_x == 1) memcpy(destination, pixel, 3 * width), destination += 3 * width;
        else
            for (size_t x = 0; x < width; x++, pixel += 3 * step_x, destination += 3) memcpy(destination, pixel, 3);
    }
}

static inline uint8_t round_to_byte(int32_t sum) {
    const int32_t value = sum >> beitseg_weight_bits;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

enum { half = 1 << (beitseg_weight_bits - 1) };

void beitseg_resample_across(
    const uint8_t *source, uint8_t *destination, size_t width, const int32_t *starts, const int32_t *counts,
    const int32_t *weights, size_t stride) {
    for (size_t x = 0; x < width; x++, weights += stride, destination += 3) {
        const uint8_t *pixel = source + 3 * (size_t)starts[x];
        int32_t red = half, green = half, blue = half;
        for (int32_t i = 0; i < counts[x]; i++, pixel += 3) {
            red += pixel[0] * weights[i];
            green += pixel[1] * weights[i];
            blue += pixel[2] * weights[i];
        }
        destination[0] = round_to_byte(red);
        destination[1] = round_to_byte(green);
        destination[2] = round_to_byte(blue);
    }
}

void beitseg_resample_down(
    const uint8_t *source, size_t row_bytes, const int32_t *weights, size_t count, uint8_t *destination) {
    enum { block = 1024 };
    int32_t sums[block];
    for (size_t begin = 0; begin < row_bytes; begin += block) {
        const size_t size = row_bytes - begin < block ? row_bytes - begin : block;
        for (size_t i = 0; i < size; i++) sums[i] = half;
        for (size_t row = 0; row < count; row++) {
            const uint8_t *samples = source + row * row_bytes + begin;
            const int32_t weight = weights[row];
            for (size_t i = 0; i < size; i++) sums[i] += samples[i] * weight;
        }
        for (size_t i = 0; i < size; i++) destination[begin + i] = round_to_byte(sums[i]);
    }
}

void beitseg_mix_inks(const uint8_t *inks, uint8_t *rgb, size_t width, bool is_inverted) {
    const int flip = is_inverted ? 0 : 255;
    for (size_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) {
            const int product = (inks[4 * x + c] ^ flip) * (inks[4 * x + 3] ^ flip);
            rgb[3 * x + c] = (uint8_t)((product + 127) / 255);
        }
}

void beitseg_map_samples(
    const void *samples, beitseg_sample_type type, const beitseg_sample_layout *layout, const uint8_t *tables,
    uint8_t *bytes, size_t width) {
    for (size_t c = 0; c < layout->outputs; c++) {
        uint8_t *target = bytes + c;
        if (type == beitseg_u8) {
            const uint8_t *source = (const uint8_t *)samples + layout->places[c], *table = tables + 256 * c;
            for (size_t x = 0; x < width; x++) target[x * layout->outputs] = table[source[x * layout->stride]];
        } else {
            const uint16_t *source = (const uint16_t *)samples + layout->places[c];
            const uint8_t *table = tables + 65536 * c;
            for (size_t x = 0; x < width; x++) target[x * layout->outputs] = table[source[x * layout->stride]];
        }
    }
}

static inline uint8_t scaled(double sample, double low, double factor, double missing) {
    const double value = (sample - low) * factor;
    if (sample == missing || !(value > 0)) return 0;
    return value >= 255 ? 255 : (uint8_t)(value + 0.5);
}

void beitseg_scale_samples(
    const void *samples, beitseg_sample_type type, const beitseg_sample_layout *layout, const double *low,
    const double *factor, double missing, uint8_t *bytes, size_t width) {
    for (size_t c = 0; c < layout->outputs; c++) {
        uint8_t *target = bytes + c;
        for (size_t x = 0; x < width; x++) {
            const size_t i = x * layout->stride + layout->places[c];
            const double sample = type == beitseg_f32 ? ((const float *)samples)[i] : ((const double *)samples)[i];
            target[x * layout->outputs] = scaled(sample, low[c], factor[c], missing);
        }
    }
}
