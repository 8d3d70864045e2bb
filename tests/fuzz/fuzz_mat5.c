/* tests/fuzz/fuzz_mat5.c - any bytes as a file of SVHN, through our own checks and libmatio. */
#include "io/datasets/svhn.h"

#include "dataset_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_source s = {.root.fd = -1};
    const struct source_options options = {.allow_partial = true};
    int fd = file_of(data, size);
    err e = {0};

    if (!svhn_start(&s, &e))
        svhn_add(&s, DATASET_TRAIN, "input", fd, size, &options, &e);
    look_at(&s, &e);
    close(fd);
    return 0;
}
