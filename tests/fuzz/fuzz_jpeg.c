/* tests/fuzz/fuzz_jpeg.c - any bytes as a JPEG file. */
#include "picture_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode_both_ways(data, size, PICTURE_JPEG);
    return 0;
}
