/* tests/fuzz/fuzz_pth.c - any bytes as the pickle inside a .pth of PyTorch, with a few storages beside it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STORAGES = 4, LARGEST_INPUT = 1 << 18, ROOM = LARGEST_INPUT + (1 << 16) };
static const size_t storage_bytes[STORAGES] = {24, 32, 64, 768};

struct archive_bytes {
    uint8_t bytes[ROOM], central[1024];
    size_t used, central_used;
    int entries;
};

static void put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* A stored entry, as any writer of zip files makes it. */
static void add(struct archive_bytes *a, const char *name, const uint8_t *data, size_t size)
{
    size_t n = strlen(name), at = a->used;
    uint8_t *local = a->bytes + at, *central = a->central + a->central_used;

    put(local, 0x04034b50, 4);
    put(local + 14, crc32(0, data, (unsigned)size), 4);
    put(local + 18, size, 4);
    put(local + 22, size, 4);
    put(local + 26, n, 2);
    memcpy(local + 30, name, n);
    memcpy(local + 30 + n, data, size);
    put(central, 0x02014b50, 4);
    memcpy(central + 16, local + 14, 12);
    put(central + 28, n, 2);
    put(central + 42, at, 4);
    memcpy(central + 46, name, n);
    a->used += 30 + n + size;
    a->central_used += 46 + n;
    a->entries++;
}

static void finish(struct archive_bytes *a)
{
    uint8_t *end = a->bytes + a->used + a->central_used;

    memcpy(a->bytes + a->used, a->central, a->central_used);
    put(end, 0x06054b50, 4);
    put(end + 8, (uint64_t)a->entries, 2);
    put(end + 10, (uint64_t)a->entries, 2);
    put(end + 12, a->central_used, 4);
    put(end + 16, a->used, 4);
    a->used += a->central_used + 22;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t numbers[768] = {0, 0, 0x80, 0x3f};
    struct archive_bytes *a = size <= LARGEST_INPUT ? calloc(1, sizeof *a) : NULL;

    if (!a)
        return 0;
    add(a, "a/data.pkl", data, size);
    for (int i = 0; i < STORAGES; i++) {
        char name[] = "a/data/0";

        name[7] = (char)('0' + i);
        add(a, name, numbers, storage_bytes[i]);
    }
    finish(a);
    fuzz_tensors(a->bytes, a->used, false);
    free(a);
    return 0;
}
