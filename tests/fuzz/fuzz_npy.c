/* tests/fuzz/fuzz_npy.c - any bytes as an array of NumPy; what the header says is what the numbers are read by. */
#include <stdint.h>
#include <stdlib.h>

#include "fuzz_tensors.h"
#include "io/containers/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy npy;
    size_t header;
    uint64_t count;
    err e = {0};

    if (npy_header_size("fuzz", data, size, size, NULL, &header, &e) ||
        npy_parse("fuzz", data, header, size, size % 2, &npy, &e)) {
        fuzz_failed(&e);
        return 0;
    }
    if (header + npy.bytes != size || !sizes_product(npy.rank, npy.shape, &count))
        abort();
    if (element_is_real(npy.element)) {
        float *to = malloc(count * sizeof *to + 1);

        if (to)
            npy_to_f32(&npy, data + header, to);
        free(to);
    }
    return 0;
}
