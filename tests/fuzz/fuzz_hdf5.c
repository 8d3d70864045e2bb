/* tests/fuzz/fuzz_hdf5.c - any bytes as weights in HDF5, of the store or of h5py: listed, read, imported.  libhdf5 reads them
 * in a child process, whose coverage the fuzzer does not see. */
#include "fuzz_file.h"
#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct import_report report;
    struct backbone_weights w;
    struct tensor_file f;
    err e = {0};

    fuzz_listed(tensors_open(path, &fuzz_options.container, &f, &e), &f, &e);
    e = (err){0};
    fuzz_imported(backbone_import(path, &fuzz_options, &w, &report, &e), &w, &report, &e);
    unlink(path);
    return 0;
}
