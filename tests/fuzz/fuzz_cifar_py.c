/* tests/fuzz/fuzz_cifar_py.c - any bytes as a file of CIFAR's Python version; the first byte says of which data set,
 * and which file. */
#include "io/datasets/cifar.h"

#include "dataset_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char names[CIFAR100_CLASSES][4];
    const char *list[CIFAR100_CLASSES];
    struct image_source s = {.root.fd = -1, .height = 32, .width = 32, .channels = 3, .layout = PIXELS_PLANES};
    err e = {0};

    if (!size)
        return 0;
    for (int i = 0; i < CIFAR100_CLASSES; i++) {
        names[i][0] = (char)('0' + i / 10);
        names[i][1] = (char)('0' + i % 10);
        list[i] = names[i];
    }
    if (data[0] & 2)
        cifar_python_classes(&s, "input", data + 1, size - 1, &e);
    else if (!source_classes(&s, "input", list, data[0] & 1 ? CIFAR100_CLASSES : CIFAR10_CLASSES, &e))
        cifar_python_add(&s, DATASET_TRAIN, "input", data + 1, size - 1, &e);
    look_at(&s, &e);
    return 0;
}
