/* tests/fuzz/fuzz_image_pack.c - any bytes as a pack of images: what opens can be read to its end, or says which image cannot. */
#include "fuzz_file.h"
#include "io/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
