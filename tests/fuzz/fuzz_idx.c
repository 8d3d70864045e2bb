/* tests/fuzz/fuzz_idx.c - any bytes as an IDX file, plain or gzipped; the first byte says as which, and of how many
 * dimensions. */
#include "io/idx.h"

#include "dataset_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idx idx;
    size_t n = 1;
    err e = {0};
    int fd;

    if (!size)
        return 0;
    fd = file_of(data + 1, size - 1);
    if (!idx_read_open(fd, data[0] & 1 ? "input.gz" : "input", 1 + (data[0] >> 1) % 3, 1 << 20, &idx, &e)) {
        for (int i = 0; i < idx.rank; i++)
            n *= idx.shape[i];
        if (n > 1 << 20 || (n && idx.bytes[n - 1] + idx.bytes[0] > 510))
            abort();
    } else if (idx.bytes) {
        abort();
    }
    free(idx.bytes);
    close(fd);
    return 0;
}
