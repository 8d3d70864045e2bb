/* tests/fuzz/dataset_target.h - what the fuzz targets of data set readers share: inputs as files, and looking at every
 * image. */
#ifndef TESTS_FUZZ_DATASET_TARGET_H
#define TESTS_FUZZ_DATASET_TARGET_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/datasets/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An open file with these bytes. */
static inline int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size) || lseek(fd, 0, SEEK_SET))
        abort();
    return fd;
}

/* Every image of what was read has a label that is a class, and pixels can be read. */
static inline void look_at(struct image_source *s, err *e)
{
    struct source_image image = {0};

    for (int part = 0; part < DATASET_PARTS && !e->code; part++)
        for (size_t i = 0; i < s->part[part].count; i++) {
            if (s->part[part].labels[i] < 0 || s->part[part].labels[i] >= s->classes)
                abort();
            if (s->part[part].pixels && image_source_read(s, (enum dataset_part)part, i, &image, e))
                abort();
            if (s->part[part].files && below_name_check("input", s->part[part].files[i], e))
                abort(); /* a name that leads out of the folder was let through */
        }
    bytes_free(&image.bytes);
    image_source_close(s);
}

#endif
