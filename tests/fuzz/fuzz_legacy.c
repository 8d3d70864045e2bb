/* tests/fuzz/fuzz_legacy.c - any bytes as a legacy .pth of PyTorch. */
#include <stdint.h>

#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_tensors(data, size, false);
    return 0;
}
