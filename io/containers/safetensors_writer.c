/* io/containers/safetensors_writer.c - an open file of tensors written as .safetensors; see reader.h. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/containers/reader.h"

/* Of a type that is written: real numbers as they were or as float32; of others, which nobody reads, only the size. */
static const char *dtype_of(enum element element, uint64_t *bytes)
{
    *bytes = element == ELEMENT_BF16 ? 2 : element_is_real(element) ? 4 : 1;
    return element == ELEMENT_BF16 ? "BF16" : element_is_real(element) ? "F32" : "U8";
}

static int add_entry(const struct tensor_file *f, const struct tensor_info *t, json_t *header, uint64_t *at, err *e)
{
    json_t *shape = json_array(), *entry;
    char shown[ESCAPED_SIZE];
    uint64_t bytes;
    const char *dtype = dtype_of(t->element, &bytes);

    bytes *= t->count;
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)*at,
                      (json_int_t)(*at + bytes));
    *at += bytes;
    if (json_object_get(header, t->name)) {
        json_decref(entry);
        return fault_set(e, FAULT_DUP, "%s: '%s' is there twice", f->source.name,
                         escaped(shown, t->name, strlen(t->name)));
    }
    if (json_object_set_new(header, t->name, entry)) /* takes UTF-8 alone */
        return fault_set(e, FAULT_SYNTAX, "%s: the name '%s' is not UTF-8", f->source.name,
                         escaped(shown, t->name, strlen(t->name)));
    return 0;
}

static int write_all(const struct tensor_file *f, int fd, const void *bytes, size_t n, err *e)
{
    const char *at = bytes;

    while (n) {
        ssize_t done = write(fd, at, n);

        if (done < 0 && errno != EINTR)
            return err_errno(e, "%s: its copy", f->source.name);
        at += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

static int write_header(const struct tensor_file *f, int fd, err *e)
{
    json_t *header = json_object();
    unsigned char prefix[8];
    char heads[16], *text = NULL;
    uint64_t at = 0, n;

    snprintf(heads, sizeof heads, "%d", f->heads);
    if (json_object_set_new(header, "__metadata__",
                            json_pack("{s:s, s:s}", "heads", f->heads ? heads : "", "profile", f->profile)))
        err_set(e, ERR_NOMEM, "%s: out of memory for a copy", f->source.name);
    for (size_t i = 0; i < f->count && !e->code; i++)
        add_entry(f, &f->info[i], header, &at, e);
    if (!e->code && !(text = json_dumps(header, JSON_COMPACT)))
        err_set(e, ERR_NOMEM, "%s: out of memory for a copy", f->source.name);
    json_decref(header);
    if (e->code)
        return e->code;
    n = strlen(text);
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(n >> (8 * i));
    if (!write_all(f, fd, prefix, sizeof prefix, e))
        write_all(f, fd, text, n, e);
    free(text);
    return e->code;
}

/* Numbers in place, from float32 to the upper halves of it. */
static void to_bfloat16(float *numbers, uint64_t count)
{
    unsigned char *bytes = (unsigned char *)numbers;

    for (uint64_t i = 0; i < count; i++)
        memmove(bytes + 2 * i, bytes + 4 * i + 2, 2); /* little-endian, see io/h5_internal.h */
}

static int write_numbers(struct tensor_file *f, size_t i, int fd, err *e)
{
    const struct tensor_info *t = &f->info[i];
    float *numbers;
    uint64_t bytes;

    dtype_of(t->element, &bytes);
    if (!element_is_real(t->element))
        return ftruncate(fd, lseek(fd, (off_t)(bytes * t->count), SEEK_CUR))
                   ? err_errno(e, "%s: its copy", f->source.name)
                   : 0;
    if (!(numbers = malloc(t->count * sizeof *numbers + 1)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for %s", f->source.name, t->name);
    if (!tensors_read(f, i, numbers, e)) {
        if (t->element == ELEMENT_BF16)
            to_bfloat16(numbers, t->count);
        write_all(f, fd, numbers, bytes * t->count, e);
    }
    free(numbers);
    return e->code;
}

int safetensors_write(struct tensor_file *f, int fd, err *e)
{
    e->code = ERR_NONE;
    if (write_header(f, fd, e))
        return e->code;
    for (size_t i = 0; i < f->count && !e->code; i++)
        write_numbers(f, i, fd, e);
    return e->code;
}
