/* tests/fuzz/fuzz_csv.c - any text as a manifest; what stands before a byte 0x1e, if there is one, is its classes.txt.
 * */
#include "io/datasets/manifest.h"

#include "dataset_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memchr(data, 0x1e, size), *from = cut ? cut + 1 : data;
    size_t n = size - (size_t)(from - data);
    struct image_source s = {.root.fd = -1};
    struct text_lines classes = {0};
    char *text = malloc(n + 1);
    err e = {0};

    if (!text)
        return 0;
    memcpy(text, from, n);
    text[n] = 0;
    if (cut && !text_lines_split("classes.txt", data, (size_t)(cut - data), &classes, &e))
        text_lines_trim(&classes);
    if (!e.code)
        manifest_read(&s, "input", text, n, cut ? &classes : NULL, &e);
    look_at(&s, &e);
    text_lines_free(&classes);
    free(text);
    return 0;
}
