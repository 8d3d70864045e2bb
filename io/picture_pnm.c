/* io/picture_pnm.c - binary PGM and PPM: "P5" or "P6", width, height, the largest value, one white-space byte, then the
 * values, in two bytes each (the high one first) if the largest is above 255.  Comments run from '#' to the line's end. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/picture_formats.h"

size_t picture_pnm_header(char header[PICTURE_PNM_HEADER], int height, int width, int channels)
{
    return (size_t)snprintf(header, PICTURE_PNM_HEADER, "P%d\n%d %d\n255\n", channels == 1 ? 5 : 6, width, height);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number of the header and the one byte that ends it; false if there is none of up to 9 digits. */
static bool number(const uint8_t *bytes, size_t n, size_t *at, unsigned *value)
{
    int digits = 0;

    for (; *at < n && (is_space(bytes[*at]) || bytes[*at] == '#'); ++*at)
        if (bytes[*at] == '#')
            while (*at + 1 < n && bytes[*at] != '\n' && bytes[*at] != '\r')
                ++*at;
    for (*value = 0; *at < n && bytes[*at] >= '0' && bytes[*at] <= '9' && digits < 10; ++*at, digits++)
        *value = *value * 10 + (bytes[*at] - '0');
    if (!digits || digits > 9 || *at == n || !is_space(bytes[*at]))
        return false;
    ++*at;
    return true;
}

/* A stored value as a byte: Pillow scales colours to 255 and grey of up to 255, each to the nearest, halves to even; grey above
 * that is scaled to 65535 and cut off at 255. */
static uint8_t to_byte(unsigned value, unsigned largest, bool grey)
{
    double full = grey && largest > 255 ? 65535 : 255,
           v = largest == full ? value : rint((double)value / largest * full);

    return (uint8_t)fmin(v, 255);
}

int pnm_read(const uint8_t *bytes, size_t n, unsigned mode, struct picture *out, err *e)
{
    unsigned width, height, largest;
    size_t at = 2, values, wide;
    bool grey = bytes[1] == '5';

    (void)mode;
    if (!number(bytes, n, &at, &width) || !number(bytes, n, &at, &height) || !number(bytes, n, &at, &largest) ||
        !largest || largest > 65535)
        return fault_set(e, FAULT_SYNTAX, "PNM: it has no valid header");
    wide = largest > 255 ? 2 : 1;
    if (picture_check_size(PICTURE_PNM, height, width, e))
        return e->code;
    if ((uint64_t)width * height * (grey ? 1 : 3) * wide > n - at)
        return fault_set(e, FAULT_TRUNC, "PNM: it is cut short: its header claims %u by %u pixels", width, height);
    if (picture_reserve(out, height, width, grey ? 1 : 3, e))
        return e->code;
    values = (size_t)width * height * (size_t)out->channels;
    bytes += at;
    if (largest == 255)
        memcpy(out->pixels, bytes, values);
    else if (wide == 1)
        for (size_t i = 0; i < values; i++)
            out->pixels[i] = to_byte(bytes[i], largest, grey);
    else
        for (size_t i = 0; i < values; i++)
            out->pixels[i] = to_byte((unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1], largest, grey);
    return 0;
}
