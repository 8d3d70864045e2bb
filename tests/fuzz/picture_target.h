/* tests/fuzz/picture_target.h - any bytes as a picture: what is accepted has the pixels that it says, what is not is damaged. */
#ifndef TESTS_FUZZ_PICTURE_TARGET_H
#define TESTS_FUZZ_PICTURE_TARGET_H

#include <stdint.h>
#include <stdlib.h>

#include "io/picture.h"

/* The bytes, in a block of exactly their size, strictly and leniently. */
static inline void decode_both_ways(const uint8_t *data, size_t size, enum picture_format format)
{
    if (picture_format_of(data, size) != format)
        return;
    for (int mode = PICTURE_STRICT; mode <= PICTURE_LENIENT; mode++) {
        struct picture p = {0};
        unsigned sum = 0;
        err e = {0};

        if (!picture_decode(data, size, mode, &p, &e)) {
            size_t bytes = (size_t)p.height * (size_t)p.width * (size_t)p.channels;

            if (p.height < 1 || p.width < 1 || (p.channels != 1 && p.channels != 3) || bytes > p.room)
                abort();
            for (size_t i = 0; i < bytes; i += 1 + bytes / 5000) /* each must be there */
                sum += p.pixels[i];
            if (sum > 5001 * 255)
                abort();
        } else if (e.code != ERR_DAMAGED && e.code != ERR_NOMEM) {
            abort();
        }
        picture_free(&p);
    }
}

#endif
