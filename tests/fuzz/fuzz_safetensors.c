/* tests/fuzz/fuzz_safetensors.c - any bytes as a .safetensors file. */
#include <stdint.h>

#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_tensors(data, size, false);
    return 0;
}
