/* tests/fuzz/fuzz_zip.c - any bytes as a zip archive: what its directory promises can be read, or is refused. */
#include <stdint.h>

#include "fuzz_tensors.h"
#include "io/containers/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t to[FUZZ_NUMBERS];
    struct source source = source_memory("fuzz", data, size);
    bool deflated = false;
    archive *a;
    int status;
    err e = {0};

    fuzz_memory_limit(limit_memory(size));
    status = archive_open(&source, NULL, &a, &e);
    fuzz_memory_free();
    if (status) {
        fuzz_failed(&e);
        return 0;
    }
    for (size_t i = 0; i < archive_count(a); i++)
        deflated = deflated || archive_entry(a, i)->method;
    for (size_t i = 0; i < archive_count(a) && i < 64; i++) {
        size_t found;

        e = (err){0};
        if (!archive_find(a, archive_entry(a, i)->name, &found) || found != i)
            abort();
        if (archive_entry(a, i)->size <= sizeof to && archive_read(a, i, to, i % 2, &e))
            fuzz_failed(&e);
    }
    archive_close(a);
    fuzz_tensors(data, size, deflated);
    return 0;
}
