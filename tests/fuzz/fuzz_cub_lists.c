/* tests/fuzz/fuzz_cub_lists.c - any text as the four lists of CUB-200-2011, with a byte 0x1e between them. */
#include "io/datasets/cub200.h"

#include "dataset_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[CUB_LISTS] = {"classes.txt", "images.txt", "train_test_split.txt",
                                                 "image_class_labels.txt"};
    struct image_source s = {.root.fd = -1};
    struct text_lines lists[CUB_LISTS] = {0};
    err e = {0};

    for (int k = 0; k < CUB_LISTS && !e.code; k++) {
        const uint8_t *cut = memchr(data, 0x1e, size);
        size_t n = cut ? (size_t)(cut - data) : size;

        text_lines_split(names[k], data, n, &lists[k], &e);
        data += n + (cut != NULL);
        size -= n + (cut != NULL);
    }
    if (!e.code)
        cub200_join(&s, lists, &e);
    look_at(&s, &e);
    for (int k = 0; k < CUB_LISTS; k++)
        text_lines_free(&lists[k]);
    return 0;
}
