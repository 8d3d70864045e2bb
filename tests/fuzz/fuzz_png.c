/* tests/fuzz/fuzz_png.c - any bytes as a PNG, as they are and with the checksums of their chunks put right: a fuzzer would not
 * find those. */
#include <string.h>
#include <zlib.h>

#include "picture_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void correct_checksums(uint8_t *png, size_t size)
{
    size_t at = 8;

    while (at + 12 <= size) {
        size_t n = number(png + at);

        if (n > size - at - 12)
            return;
        uint32_t sum = (uint32_t)crc32(0, png + at + 4, (unsigned)n + 4);
        for (int i = 0; i < 4; i++)
            png[at + 8 + n + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
        at += n + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    if (!copy)
        abort();
    decode_both_ways(data, size, PICTURE_PNG);
    memcpy(copy, data, size);
    correct_checksums(copy, size);
    decode_both_ways(copy, size, PICTURE_PNG);
    free(copy);
    return 0;
}
