/* tests/fuzz/fuzz_pnm.c - any bytes as a binary PGM or PPM file. */
#include "picture_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_both_ways(data, size, PICTURE_PNM);
    return 0;
}
