/* tests/fuzz/fuzz_image_pack.c - any bytes as a pack of images: what opens can be read to its end, or says which image cannot.
 *
 * libhdf5 reads packs in a child process, of which a fuzzer sees nothing.  Here it does so only where metadata has no checksums,
 * which is where libhdf5 1.10 has errors of its own; other files are read in this process. */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz_file.h"
#include "io/containers/quarantine.h"
#include "io/dataset.h"
#include "io/h5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The linker puts this in the place of quarantine(), and that in the place of the other. */
int __wrap_quarantine(const char *name, quarantined work, void *context, unsigned seconds, int *fd, err *e);
int __real_quarantine(const char *name, quarantined work, void *context, unsigned seconds, int *fd, err *e);

static bool has_checksums;

int __wrap_quarantine(const char *name, quarantined work, void *context, unsigned seconds, int *fd, err *e)
{
    if (!has_checksums)
        return __real_quarantine(name, work, context, seconds, fd, e);
    e->code = ERR_NONE;
    *fd = memfd_create("pack", MFD_CLOEXEC);
    if (*fd < 0)
        abort();
    if (work(context, *fd, e)) {
        close(*fd);
        *fd = -1;
    }
    return e->code;
}

enum { IMAGES_READ = 20 };

static void must_be_damaged(const err *e)
{
    if (e->code != ERR_DAMAGED && e->code != ERR_NOMEM)
        abort();
}

static void read_images(const struct image_set *set)
{
    struct image_reader reader = {0};

    for (size_t i = 0; i < set->count && i < IMAGES_READ; i++) {
        struct image image;
        err e = {0};

        if (image_set_read(set, i, &reader, &image, &e))
            must_be_damaged(&e);
        else if (image.height < 1 || image.width < 1 || (image.channels != 1 && image.channels != 3))
            abort();
    }
    image_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct dataset d;
    err e = {0};

    has_checksums = size > H5_SIGNATURE_BYTES && !memcmp(data, H5_SIGNATURE, H5_SIGNATURE_BYTES) &&
                    data[H5_SIGNATURE_BYTES] >= 2; /* the version of the superblock */
    if (dataset_open_pack(path, &d, &e)) {
        must_be_damaged(&e);
    } else {
        for (int part = 0; part < DATASET_PARTS; part++)
            read_images(&d.part[part]);
        if (dataset_verify(&d, &e))
            must_be_damaged(&e);
        dataset_close(&d);
    }
    unlink(path);
    return 0;
}
