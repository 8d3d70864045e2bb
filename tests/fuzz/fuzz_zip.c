/* tests/fuzz/fuzz_zip.c - any bytes as a zip archive: what its directory promises can be read, or is refused. */
#include <stdint.h>

#include "fuzz_tensors.h"
#include "io/containers/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t to[FUZZ_NUMBERS];
    struct source source = source_memory("fuzz", data, size);
    archive *a;
    err e = {0};

    if (archive_open(&source, NULL, &a, &e)) {
        fuzz_failed(&e);
        return 0;
    }
    for (size_t i = 0; i < archive_count(a) && i < 64; i++) {
        size_t found;

        e = (err){0};
        if (!archive_find(a, archive_entry(a, i)->name, &found) || found != i)
            abort();
        if (archive_entry(a, i)->size <= sizeof to && archive_read(a, i, to, i % 2, &e))
            fuzz_failed(&e);
    }
    archive_close(a);
    fuzz_tensors(data, size, true);
    return 0;
}
