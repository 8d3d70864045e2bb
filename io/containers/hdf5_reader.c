/* io/containers/hdf5_reader.c - tensors in HDF5 files that came from elsewhere.
 *
 * libhdf5 1.10 reads beyond its buffers where a file's metadata is wrong and has no checksums, and what h5py writes by itself has
 * none.  So the library works in a child process (quarantine.h), which copies the tensors into a safetensors file in memory; that
 * is read here like any other. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/containers/fault.h"
#include "io/containers/quarantine.h"
#include "io/containers/reader.h"

/* Processor time for a file: a hundred times what it takes. */
enum { SECONDS_ALWAYS = 20, BYTES_A_SECOND = 4 << 20 };

/* In the child: the file as safetensors. */
static int copy(void *context, int fd, err *e)
{
    const struct tensor_file *f = context;
    struct tensor_file inside = {.source = f->source, .reader = &hdf5_inside_reader, .options = f->options};

    if (!inside.reader->open(&inside, e))
        safetensors_write(&inside, fd, e);
    return e->code;
}

static int open_copy(struct tensor_file *f, int fd, err *e)
{
    struct tensor_file *copied = f->state;
    struct stat status;

    *copied = (struct tensor_file){
        .source = {.name = f->source.name, .fd = fd}, .reader = &safetensors_reader, .options = f->options};
    if (fstat(fd, &status))
        return err_errno(e, "%s: its copy", f->source.name);
    copied->source.size = (uint64_t)status.st_size;
    if (copied->reader->open(copied, e))
        return e->code;
    for (size_t i = 0; i < copied->count; i++) {
        const struct tensor_info *t = &copied->info[i];

        if (tensors_add(f, "", 0, t->name, strlen(t->name), t->element, t->rank, t->shape, e))
            return e->code;
    }
    f->heads = copied->heads;
    memcpy(f->profile, copied->profile, sizeof f->profile);
    return 0;
}

static int hdf5_open(struct tensor_file *f, err *e)
{
    uint64_t seconds = SECONDS_ALWAYS + f->source.size / BYTES_A_SECOND;
    int fd;

    if (f->source.fd < 0)
        return fault_set(e, FAULT_UNSUPPORTED, "%s: HDF5 is read from files alone", f->source.name);
    if (!(f->state = calloc(1, sizeof(struct tensor_file))))
        return err_set(e, ERR_NOMEM, "%s: out of memory", f->source.name);
    ((struct tensor_file *)f->state)->source.fd = -1;
    if (!quarantine(f->source.name, copy, f, (unsigned)seconds, &fd, e))
        open_copy(f, fd, e);
    return e->code;
}

static int hdf5_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    struct tensor_file *copied = f->state;

    return copied->reader->read(copied, i, to, e);
}

static void hdf5_close(struct tensor_file *f)
{
    tensors_close(f->state);
    free(f->state);
}

const struct tensor_reader hdf5_reader = {"hdf5", hdf5_open, hdf5_read, hdf5_close, NULL};
