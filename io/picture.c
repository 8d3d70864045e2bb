/* io/picture.c - see picture.h: formats by their first bytes, and the memory of pixels. */
#include "io/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/picture_formats.h"

static const struct {
    const char *name;
    int (*read)(const uint8_t *bytes, size_t n, unsigned mode, struct picture *out, err *e);
} formats[PICTURE_FORMAT_COUNT] = {
#define F(id, name, function) [PICTURE_##id] = {name, function},
    PICTURE_FORMATS(F)
#undef F
};

const char *picture_format_name(enum picture_format format)
{
    return format < PICTURE_FORMAT_COUNT ? formats[format].name : "unknown";
}

enum picture_format picture_format_of(const void *bytes, size_t n)
{
    static const struct {
        enum picture_format format;
        size_t n;
        const char *bytes;
    } starts[] = {{PICTURE_JPEG, 3, "\xff\xd8\xff"},
                  {PICTURE_PNG, 8, "\x89PNG\r\n\x1a\n"},
                  {PICTURE_PNM, 2, "P5"},
                  {PICTURE_PNM, 2, "P6"}};

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (n >= starts[i].n && !memcmp(bytes, starts[i].bytes, starts[i].n))
            return starts[i].format;
    return PICTURE_FORMAT_COUNT;
}

/* The formats of image folders that are not read, by their first bytes; '?' may be any. */
static const char *unread_format(const uint8_t *bytes, size_t n)
{
    static const struct {
        const char *name;
        size_t n;
        const char *bytes;
    } starts[] = {
        {"BMP", 2, "BM"}, {"GIF", 4, "GIF8"}, {"TIFF", 4, "II*\0"}, {"TIFF", 4, "MM\0*"}, {"WebP", 12, "RIFF????WEBP"}};

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t equal = 0;

        while (equal < starts[i].n && equal < n &&
               (starts[i].bytes[equal] == '?' || (uint8_t)starts[i].bytes[equal] == bytes[equal]))
            equal++;
        if (equal == starts[i].n)
            return starts[i].name;
    }
    return NULL;
}

void picture_free(struct picture *p)
{
    free(p->pixels);
    *p = (struct picture){0};
}

int picture_check_size(enum picture_format format, uint64_t height, uint64_t width, err *e)
{
    if (!height || !width || height > PICTURE_SIDE_MAX || width > PICTURE_SIDE_MAX ||
        height * width > PICTURE_PIXELS_MAX)
        return fault_set(e, FAULT_LIMIT,
                         "%s: it claims %llu by %llu pixels; read are sides of 1 to %d and up to %d million pixels",
                         picture_format_name(format), (unsigned long long)width, (unsigned long long)height,
                         PICTURE_SIDE_MAX, PICTURE_PIXELS_MAX / 1000000);
    return 0;
}

int picture_reserve(struct picture *p, uint64_t height, uint64_t width, int channels, err *e)
{
    size_t bytes;

    if (picture_check_size(p->format, height, width, e))
        return e->code;
    bytes = (size_t)(height * width) * (size_t)channels;
    if (p->room < bytes) {
        free(p->pixels);
        *p = (struct picture){.format = p->format};
        if (!(p->pixels = malloc(bytes)))
            return err_set(e, ERR_NOMEM, "no memory for a picture of %zu bytes", bytes);
        p->room = bytes;
    }
    p->height = (int)height;
    p->width = (int)width;
    p->channels = channels;
    return 0;
}

int picture_decode(const void *bytes, size_t n, unsigned mode, struct picture *out, err *e)
{
    out->format = picture_format_of(bytes, n);
    out->warnings = 0;
    const char *unread = unread_format(bytes, n);
    if (!n)
        return fault_set(e, FAULT_TRUNC, "it is empty");
    if (unread)
        return fault_set(e, FAULT_UNSUPPORTED, "%s is not read; convert it to PNG", unread);
    if (out->format == PICTURE_FORMAT_COUNT)
        return fault_set(e, FAULT_MAGIC, "it is not a JPEG, PNG, PGM or PPM file");
    return formats[out->format].read(bytes, n, mode, out, e);
}
