/* io/datasets/mat5.c - see mat5.h. */
#include "io/datasets/mat5.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "io/containers/fault.h"
#include "io/h5.h"

enum { TYPE_I8 = 1, TYPE_I32 = 5, TYPE_U32 = 6, TYPE_MATRIX = 14, TYPE_COMPRESSED = 15, TAG = 8, INFLATE_RATIO = 1100 };
enum { FLAG_LOGICAL = 0x0200, FLAG_COMPLEX = 0x0800 };

/* Bytes of a number of each storage type; 0: no numbers. */
static const unsigned char type_sizes[] = {0, 1, 1, 2, 2, 4, 4, 4, 0, 8, 0, 0, 8, 8};

/* Bytes of an element in the order of the file, inflated on the way if it is compressed. */
struct stream {
    int fd;
    const char *where;
    uint64_t at, end; /* in the file */
    uint64_t left;    /* of the element that is being read */
    bool compressed, ended;
    z_stream z;
    unsigned char buffer[1 << 15];
};

static uint32_t u32(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static int pread_exactly(struct stream *s, void *to, size_t n, err *e)
{
    unsigned char *at = to;

    if (n > s->end - s->at)
        return fault_set(e, FAULT_TRUNC, "%s: ends at byte %llu within an element", s->where,
                         (unsigned long long)s->end);
    while (n) {
        ssize_t got = pread(s->fd, at, n, (off_t)s->at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fault_set(e, got ? FAULT_IO : FAULT_TRUNC, "%s: cannot be read at byte %llu: %s", s->where,
                             (unsigned long long)s->at, got ? strerror(errno) : "it became shorter");
        at += got;
        n -= (size_t)got;
        s->at += (uint64_t)got;
    }
    return 0;
}

/* Inflate what fits into the output that is set up; s->ended says whether the zlib stream is at its end. */
static int inflate_step(struct stream *s, err *e)
{
    int status;

    if (!s->z.avail_in && s->at < s->end) {
        size_t more = s->end - s->at < sizeof s->buffer ? (size_t)(s->end - s->at) : sizeof s->buffer;

        if (pread_exactly(s, s->buffer, more, e))
            return e->code;
        s->z.next_in = s->buffer;
        s->z.avail_in = (unsigned)more;
    }
    status = inflate(&s->z, Z_NO_FLUSH);
    s->ended = status == Z_STREAM_END;
    if (status == Z_BUF_ERROR)
        return fault_set(e, FAULT_TRUNC, "%s: a compressed variable ends too early", s->where);
    if (status == Z_MEM_ERROR)
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->where);
    if (status != Z_OK && status != Z_STREAM_END)
        return fault_set(e, FAULT_CRC, "%s: a compressed variable is damaged (%s)", s->where,
                         s->z.msg ? s->z.msg : "no reason given");
    return 0;
}

static int inflate_exactly(struct stream *s, void *to, size_t n, err *e)
{
    s->z.next_out = to;
    s->z.avail_out = (unsigned)n;
    while (s->z.avail_out) {
        if (s->ended)
            return fault_set(e, FAULT_TRUNC, "%s: a compressed variable is shorter than it says", s->where);
        if (inflate_step(s, e))
            return e->code;
    }
    return 0;
}

/* The zlib stream ends here, its checksum is right, and the element ends with it. */
static int inflate_end(struct stream *s, err *e)
{
    unsigned char more;

    s->z.next_out = &more;
    s->z.avail_out = 1;
    while (!s->ended && s->z.avail_out)
        if (inflate_step(s, e))
            return e->code;
    if (!s->z.avail_out)
        return fault_set(e, FAULT_LIMIT, "%s: a compressed variable inflates to more than it says", s->where);
    if (s->z.avail_in || s->at != s->end)
        return fault_set(e, FAULT_RANGE, "%s: bytes follow the zlib stream of a variable", s->where);
    return 0;
}

/* The next n bytes of the element. */
static int take(struct stream *s, void *to, size_t n, err *e)
{
    if (n > s->left)
        return fault_set(e, FAULT_RANGE, "%s: a part of a variable is longer than the variable", s->where);
    s->left -= n;
    return s->compressed ? inflate_exactly(s, to, n, e) : pread_exactly(s, to, n, e);
}

static int skip(struct stream *s, uint64_t n, err *e)
{
    unsigned char nowhere[4096];

    if (n > s->left)
        return fault_set(e, FAULT_RANGE, "%s: a part of a variable is longer than the variable", s->where);
    while (n) {
        size_t now = n < sizeof nowhere ? (size_t)n : sizeof nowhere;

        if (take(s, nowhere, now, e))
            return e->code;
        n -= now;
    }
    return 0;
}

/* A part of a variable: its tag, where data of up to four bytes may follow in the tag itself. */
struct part {
    uint32_t type, size;
    bool small;
    unsigned char bytes[4];
};

static int take_tag(struct stream *s, struct part *out, err *e)
{
    unsigned char tag[TAG];
    uint32_t first;

    if (take(s, tag, sizeof tag, e))
        return e->code;
    first = u32(tag);
    out->small = first >> 16;
    out->type = out->small ? first & 0xffff : first;
    out->size = out->small ? first >> 16 : u32(tag + 4);
    memcpy(out->bytes, tag + 4, sizeof out->bytes);
    if (out->small && out->size > 4)
        return fault_set(e, FAULT_RANGE, "%s: a small element claims %u bytes, it can hold 4", s->where, out->size);
    return 0;
}

/* The data of a part of the given type, and what pads them to eight bytes. */
static int take_part(struct stream *s, uint32_t type, void *to, size_t room, uint32_t *size, err *e)
{
    unsigned char padding[TAG];
    struct part part = {0};

    if (take_tag(s, &part, e))
        return e->code;
    *size = part.size;
    if (part.type != type)
        return fault_set(e, FAULT_SYNTAX, "%s: a variable has a part of type %u where %u belongs", s->where, part.type,
                         type);
    if (part.size > room)
        return fault_set(e, FAULT_LIMIT,
                         "%s: a name or the dimensions of a variable take %u bytes, at most %zu are read", s->where,
                         part.size, room);
    if (part.small) {
        memcpy(to, part.bytes, part.size);
        return 0;
    }
    if (take(s, to, part.size, e))
        return e->code;
    return take(s, padding, -part.size & 7, e);
}

static int take_shape(struct stream *s, struct mat5_variable *v, err *e)
{
    unsigned char sizes[4 * MAT5_RANK];
    uint32_t bytes;

    if (take_part(s, TYPE_I32, sizes, sizeof sizes, &bytes, e))
        return e->code;
    if (bytes < 8 || bytes % 4)
        return fault_set(e, FAULT_SYNTAX, "%s: the dimensions of a variable take %u bytes", s->where, bytes);
    v->rank = (int)(bytes / 4);
    v->count = 1;
    for (int i = 0; i < v->rank; i++) {
        uint32_t size = u32(sizes + 4 * i);

        if (size > INT32_MAX)
            return fault_set(e, FAULT_RANGE, "%s: dimension %d of a variable is negative", s->where, i);
        v->shape[i] = size;
        if (__builtin_mul_overflow(v->count, v->shape[i], &v->count))
            return fault_set(e, FAULT_OVERFLOW, "%s: a variable claims an impossible shape", s->where);
    }
    return 0;
}

/* The numbers: as many as the dimensions say, to the end of the variable.  They are passed over only to verify them. */
static int check_numbers(struct stream *s, struct mat5_variable *v, bool verify, err *e)
{
    uint64_t size, padding;
    struct part part = {0};

    if (take_tag(s, &part, e))
        return e->code;
    size = part.type < sizeof type_sizes ? type_sizes[part.type] : 0;
    padding = part.small ? 0 : -part.size & 7;
    if (!size)
        return fault_set(e, FAULT_DTYPE, "%s: the numbers of %s are stored as type %u", s->where, v->name, part.type);
    v->stored = (int)part.type;
    if (v->count > UINT32_MAX || part.size != v->count * size)
        return fault_set(e, FAULT_RANGE, "%s: %s has %u bytes for %llu numbers of %llu", s->where, v->name, part.size,
                         (unsigned long long)v->count, (unsigned long long)size);
    if (!part.small && s->left != part.size && s->left != part.size + padding) /* some leave out the last padding */
        return fault_set(e, FAULT_RANGE, "%s: the numbers of %s do not end where the variable does", s->where, v->name);
    if (s->compressed && part.size / INFLATE_RATIO > v->size)
        return fault_set(e, FAULT_TRUNC, "%s: %s claims %u bytes, which the file cannot hold", s->where, v->name,
                         part.size);
    return verify && !part.small ? skip(s, s->left, e) : 0;
}

static int read_matrix(struct stream *s, struct mat5_variable *v, bool verify, err *e)
{
    unsigned char flags[8];
    uint32_t size;

    if (take_part(s, TYPE_U32, flags, sizeof flags, &size, e))
        return e->code;
    if (size != sizeof flags)
        return fault_set(e, FAULT_SYNTAX, "%s: the flags of a variable take %u bytes", s->where, size);
    v->class = flags[0];
    v->plain = !(u32(flags) & (FLAG_COMPLEX | FLAG_LOGICAL));
    if (v->class > MAT5_UINT64)
        return 0;
    if (take_shape(s, v, e) || take_part(s, TYPE_I8, v->name, sizeof v->name - 1, &size, e))
        return e->code;
    return v->class < MAT5_DOUBLE || !v->plain ? 0 : check_numbers(s, v, verify, e);
}

/* A zlib stream of one miMATRIX. */
static int read_compressed(struct stream *s, struct mat5_variable *v, bool verify, err *e)
{
    unsigned char tag[TAG];

    s->compressed = true;
    if (inflate_exactly(s, tag, sizeof tag, e))
        return e->code;
    if (u32(tag) != TYPE_MATRIX)
        return fault_set(e, FAULT_SYNTAX, "%s: a compressed element is of type %u", s->where, u32(tag));
    s->left = u32(tag + 4);
    if (read_matrix(s, v, verify, e) || !verify)
        return e->code;
    return inflate_end(s, e);
}

static int read_element(struct stream *s, uint64_t size, struct mat5_variable *v, bool verify, err *e)
{
    unsigned char tag[TAG];
    uint32_t type, bytes;

    *v = (struct mat5_variable){.offset = s->at};
    s->end = size;
    if (pread_exactly(s, tag, sizeof tag, e))
        return e->code;
    type = u32(tag);
    bytes = u32(tag + 4);
    if (type != TYPE_MATRIX && type != TYPE_COMPRESSED)
        return fault_set(e, FAULT_SYNTAX, "%s: the element at byte %llu is of type %u, expected a variable", s->where,
                         (unsigned long long)v->offset, type);
    if (bytes > size - s->at)
        return fault_set(e, FAULT_TRUNC, "%s: the element at byte %llu claims %u bytes, %llu are left", s->where,
                         (unsigned long long)v->offset, bytes, (unsigned long long)(size - s->at));
    v->size = TAG + (uint64_t)bytes;
    s->end = s->at + bytes;
    s->left = bytes;
    s->compressed = s->ended = false;
    if (type == TYPE_MATRIX)
        return read_matrix(s, v, verify, e);
    s->z = (z_stream){0};
    if (inflateInit(&s->z) != Z_OK)
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->where);
    read_compressed(s, v, verify, e);
    inflateEnd(&s->z);
    return e->code;
}

static int fail_hdf5(const struct stream *s, err *e)
{
    return fault_set(e, FAULT_VERSION, "%s: is a MATLAB v7.3 file; save it with -v7", s->where);
}

/* MATLAB v7.3 puts 512 bytes of its own before an HDF5 file. */
static int check_no_hdf5(struct stream *s, err *e)
{
    enum { SIGNATURE_AT = 512 };
    unsigned char bytes[H5_SIGNATURE_BYTES];

    if (s->end < SIGNATURE_AT + sizeof bytes)
        return 0;
    s->at = SIGNATURE_AT;
    if (pread_exactly(s, bytes, sizeof bytes, e))
        return e->code;
    return memcmp(bytes, H5_SIGNATURE, sizeof bytes) ? 0 : fail_hdf5(s, e);
}

static int check_header(struct stream *s, err *e)
{
    unsigned char header[MAT5_HEADER];

    if (s->end < sizeof header)
        return fault_set(e, FAULT_TRUNC, "%s: has %llu bytes, a MATLAB v5 file begins with %d", s->where,
                         (unsigned long long)s->end, MAT5_HEADER);
    if (pread_exactly(s, header, sizeof header, e))
        return e->code;
    if (!memcmp(header, "MATLAB 7.3", 10))
        return fail_hdf5(s, e);
    if (check_no_hdf5(s, e))
        return e->code;
    if (header[126] == 'M' && header[127] == 'I')
        return fault_set(e, FAULT_UNSUPPORTED, "%s: is a big-endian MATLAB file", s->where);
    if (header[126] != 'I' || header[127] != 'M')
        return fault_set(e, FAULT_MAGIC, "%s: is not a MATLAB v5 file", s->where);
    if (header[124] != 0 || header[125] != 1)
        return fault_set(e, FAULT_VERSION, "%s: is of version 0x%02x%02x, read is 0x0100", s->where, header[125],
                         header[124]);
    return 0;
}

int mat5_list(int fd, uint64_t size, const char *where, struct mat5_index *out, err *e)
{
    struct stream s = {.fd = fd, .where = where, .end = size};

    *out = (struct mat5_index){0};
    if (check_header(&s, e))
        return e->code;
    for (s.at = MAT5_HEADER; s.at < size; s.at = s.end) {
        struct mat5_variable *v = &out->variables[out->count];

        if (out->count == MAT5_VARIABLES)
            return fault_set(e, FAULT_LIMIT, "%s: has more than %d variables", where, MAT5_VARIABLES);
        if (read_element(&s, size, v, false, e))
            return e->code;
        if (mat5_find(out, v->name) && *v->name)
            return fault_set(e, FAULT_DUP, "%s: the variable %s is there twice", where, v->name);
        out->count++;
    }
    return 0;
}

int mat5_verify(int fd, uint64_t size, const char *where, const struct mat5_variable *v, err *e)
{
    struct stream s = {.fd = fd, .where = where, .at = v->offset};
    struct mat5_variable again;

    return read_element(&s, size, &again, true, e);
}

const struct mat5_variable *mat5_find(const struct mat5_index *index, const char *name)
{
    for (size_t i = 0; i < index->count; i++)
        if (!strcmp(index->variables[i].name, name))
            return &index->variables[i];
    return NULL;
}
