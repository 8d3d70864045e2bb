/* io/containers/archive.c - see archive.h. */
#include "io/containers/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

#include "io/containers/fault.h"
#include "io/containers/names.h"

enum {
    END_SIZE = 22,
    COMMENT_LIMIT = 65535,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    PACKED_SIZE = 1 << 16,  /* deflated bytes are taken from libzip this many at a time */
    INFLATE_MOST = 1 << 30, /* zlib counts in 32 bits */
    SIGNATURE_END = 0x06054b50,
    SIGNATURE_LOCATOR = 0x07064b50,
    SIGNATURE_END64 = 0x06064b50,
    SIGNATURE_CENTRAL = 0x02014b50,
    SIGNATURE_LOCAL = 0x04034b50,
    EXTRA_ZIP64 = 1
};

/* Bits of an entry's flags: encrypted, patch data, strong encryption, masked headers. */
enum { FLAGS_REFUSED = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 13 };

struct archive {
    const struct source *source;
    struct archive_entry *entries;
    size_t count;
    uint64_t directory_at, directory_size;
    uint64_t end_at; /* of the end record */
    char *names;     /* of all entries, terminated */
    struct names index;
    zip_t *zip;
    uint64_t position; /* of libzip's reading */
    zip_error_t error; /* of its source */
    zip_file_t *open;  /* the entry being read */
    size_t open_number;
    struct inflation { /* of that entry if it is deflated */
        z_stream stream;
        bool made, ended;
        unsigned char *packed; /* what libzip gave and the stream has not taken */
        uint64_t left;         /* deflated bytes still with libzip */
        uint32_t crc;
    } inflation;
};

static uint16_t u16(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t u32(const unsigned char *at)
{
    return u16(at) | (uint32_t)u16(at + 2) << 16;
}

static uint64_t u64(const unsigned char *at)
{
    return u32(at) | (uint64_t)u32(at + 4) << 32;
}

/* ---------------------------------------------------------------- the end record */

struct end {
    uint64_t record_at; /* of the record that is found by its comment */
    uint64_t at;        /* the first byte of the records that end the file */
    uint64_t entries, directory_size, directory_at;
};

/* The only end record whose comment ends where the file does.  With two, one in the comment of the other, it would be up to
 * each reader which archive the file holds. */
static int search_end(const struct source *s, const unsigned char *tail, size_t span, unsigned char record[END_SIZE],
                      uint64_t *at, err *e)
{
    bool found = false, beyond = false, fits = false;

    for (size_t i = span - END_SIZE + 1; i-- > 0;) {
        size_t end = i + END_SIZE + u16(tail + i + 20);

        if (u32(tail + i) != SIGNATURE_END)
            continue;
        if (end == span && fits)
            return fault_set(e, FAULT_RANGE, "%s: a zip archive with two end records", s->name);
        if (end == span) {
            memcpy(record, tail + i, END_SIZE);
            *at = s->size - span + i;
            fits = true;
        }
        beyond = found ? beyond : end > span;
        found = true;
    }
    if (fits)
        return 0;
    if (found && !beyond)
        return fault_set(e, FAULT_RANGE, "%s: bytes follow the zip archive's end record", s->name);
    return fault_set(e, FAULT_TRUNC, "%s: ends without a zip archive's end record; it is cut off", s->name);
}

static int find_end(const struct source *s, unsigned char record[END_SIZE], uint64_t *at, err *e)
{
    size_t span = s->size < END_SIZE + COMMENT_LIMIT ? (size_t)s->size : END_SIZE + COMMENT_LIMIT;
    unsigned char *tail;

    if (s->size < END_SIZE)
        return fault_set(e, FAULT_TRUNC, "%s: %llu bytes are no zip archive", s->name, (unsigned long long)s->size);
    if (!(tail = malloc(span)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->name);
    if (!source_read(s, s->size - span, tail, span, e))
        search_end(s, tail, span, record, at, e);
    free(tail);
    return e->code;
}

static int disagree(const struct source *s, err *e)
{
    return fault_set(e, FAULT_RANGE,
                     "%s: the end records of the zip archive, before byte %llu, contradict each other or the file",
                     s->name, (unsigned long long)s->size);
}

/* A number of the plain record: saturated, or the same as in the zip64 record. */
static bool agrees(uint64_t plain, uint64_t saturated, uint64_t wide)
{
    return plain == saturated || plain == wide;
}

static int read_end64(const struct source *s, const unsigned char *plain, struct end *end, err *e)
{
    unsigned char locator[LOCATOR_SIZE] = {0}, record[END64_SIZE] = {0};
    uint64_t locator_at = end->at - LOCATOR_SIZE, at;

    if (source_read(s, locator_at, locator, sizeof locator, e))
        return e->code;
    at = u64(locator + 8);
    if (u32(locator + 4) || locator_at < END64_SIZE || at > locator_at - END64_SIZE)
        return disagree(s, e);
    if (source_read(s, at, record, sizeof record, e))
        return e->code;
    if (u32(record) != SIGNATURE_END64 || u32(record + 16) || u32(record + 20) || u64(record + 24) != u64(record + 32))
        return disagree(s, e);
    end->at = at;
    end->entries = u64(record + 32);
    end->directory_size = u64(record + 40);
    end->directory_at = u64(record + 48);
    if (!agrees(u16(plain + 10), UINT16_MAX, end->entries) ||
        !agrees(u32(plain + 12), UINT32_MAX, end->directory_size) ||
        !agrees(u32(plain + 16), UINT32_MAX, end->directory_at))
        return disagree(s, e);
    return 0;
}

static int read_end(const struct source *s, const struct container_limits *limits, struct end *end, err *e)
{
    unsigned char plain[END_SIZE] = {0}, signature[4];
    bool wide = false;

    if (find_end(s, plain, &end->record_at, e))
        return e->code;
    end->at = end->record_at;
    if (u16(plain + 4) || u16(plain + 6) || u16(plain + 8) != u16(plain + 10))
        return fault_set(e, FAULT_UNSUPPORTED, "%s: a zip archive of several disks", s->name);
    end->entries = u16(plain + 10);
    end->directory_size = u32(plain + 12);
    end->directory_at = u32(plain + 16);
    if (end->at >= LOCATOR_SIZE) {
        if (source_read(s, end->at - LOCATOR_SIZE, signature, sizeof signature, e))
            return e->code;
        wide = u32(signature) == SIGNATURE_LOCATOR;
    }
    if (wide && read_end64(s, plain, end, e))
        return e->code;
    if (!wide && (end->entries == UINT16_MAX || end->directory_size == UINT32_MAX || end->directory_at == UINT32_MAX))
        return disagree(s, e);
    if (end->directory_at > end->at || end->directory_size > end->at - end->directory_at ||
        end->entries > end->directory_size / CENTRAL_SIZE)
        return disagree(s, e);
    if (end->entries > limit_of(limits, LIMIT_ZIP_ENTRIES))
        return limit_fault(limits, LIMIT_ZIP_ENTRIES, e, "%s: a zip archive of %llu entries", s->name,
                           (unsigned long long)end->entries);
    if (end->directory_size > limit_of(limits, LIMIT_ZIP_DIRECTORY))
        return limit_fault(limits, LIMIT_ZIP_DIRECTORY, e, "%s: a zip archive's directory of %llu bytes", s->name,
                           (unsigned long long)end->directory_size);
    return 0;
}

/* ---------------------------------------------------------------- the directory */

static int entry_fault(const archive *a, enum fault kind, const struct archive_entry *entry, const char *what, err *e)
{
    char name[ESCAPED_SIZE];

    return fault_set(e, kind, "%s: entry '%s' at byte %llu %s", a->source->name,
                     escaped(name, entry->name, strlen(entry->name)), (unsigned long long)entry->at, what);
}

/* Whether a name is one: no '\0', not absolute, no ".." among its parts. */
static bool name_allowed(const unsigned char *name, size_t n)
{
    if (!n || name[0] == '/' || memchr(name, '\0', n))
        return false;
    for (size_t i = 0; i + 1 < n; i++)
        if (name[i] == '.' && name[i + 1] == '.' && (i == 0 || name[i - 1] == '/') &&
            (i + 2 == n || name[i + 2] == '/'))
            return false;
    return true;
}

/* What the plain fields leave to the zip64 extra, in its fixed order. */
static int read_extra64(const archive *a, const unsigned char *extra, size_t n, struct archive_entry *entry, err *e)
{
    uint64_t *const wanted[] = {&entry->size, &entry->stored, &entry->at};
    size_t used = 0, size = 0;
    const unsigned char *at = NULL;

    if (entry->size != UINT32_MAX && entry->stored != UINT32_MAX && entry->at != UINT32_MAX)
        return 0;
    for (size_t i = 0; i + 4 <= n; i += 4 + u16(extra + i + 2))
        if (u16(extra + i) == EXTRA_ZIP64 && u16(extra + i + 2) <= n - i - 4) {
            at = extra + i + 4;
            size = u16(extra + i + 2);
            break;
        }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (*wanted[i] != UINT32_MAX)
            continue;
        if (used + 8 > size)
            return entry_fault(a, FAULT_RANGE, entry, "leaves out a size that its zip64 field does not have", e);
        *wanted[i] = u64(at + used);
        used += 8;
    }
    return 0;
}

static int check_entry(const archive *a, const struct archive_entry *entry, uint16_t flags, err *e)
{
    if (flags & FLAGS_REFUSED)
        return entry_fault(a, FAULT_UNSUPPORTED, entry, "is encrypted or patched", e);
    if (entry->method != ZIP_CM_STORE && entry->method != ZIP_CM_DEFLATE)
        return entry_fault(a, FAULT_UNSUPPORTED, entry, "is neither stored nor deflated", e);
    if (entry->method == ZIP_CM_STORE && entry->size != entry->stored)
        return entry_fault(a, FAULT_RANGE, entry, "is stored in another size than it has", e);
    if (entry->size > ARCHIVE_ENTRY_LIMIT)
        return entry_fault(a, FAULT_LIMIT, entry, "is larger than 4 GiB", e);
    if (entry->at > a->directory_at || entry->stored > a->directory_at - entry->at)
        return entry_fault(a, FAULT_RANGE, entry, "reaches into the directory", e);
    return 0;
}

/* One central header at bytes[*at]; its name goes to *names. */
static int read_entry(archive *a, const unsigned char *bytes, uint64_t *at, char **names, err *e)
{
    struct archive_entry *entry = &a->entries[a->count];
    const unsigned char *h = bytes + *at;
    uint64_t left = a->directory_size - *at;
    size_t name, extra, comment;
    char text[ESCAPED_SIZE];
    uint32_t number = (uint32_t)a->count;

    if (left < CENTRAL_SIZE || u32(h) != SIGNATURE_CENTRAL)
        return fault_set(e, FAULT_SYNTAX, "%s: the directory of the zip archive is broken at entry %zu, byte %llu",
                         a->source->name, a->count, (unsigned long long)(a->directory_at + *at));
    name = u16(h + 28);
    extra = u16(h + 30);
    comment = u16(h + 32);
    if (name + extra + comment > left - CENTRAL_SIZE)
        return fault_set(e, FAULT_RANGE, "%s: entry %zu reaches out of the zip archive's directory", a->source->name,
                         a->count);
    if (!name_allowed(h + CENTRAL_SIZE, name))
        return fault_set(e, FAULT_PATH, "%s: an entry of the zip archive is called '%s'", a->source->name,
                         escaped(text, h + CENTRAL_SIZE, name));
    if (name > ARCHIVE_NAME_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s: a name of %zu bytes in the zip archive", a->source->name, name);
    memcpy(*names, h + CENTRAL_SIZE, name);
    (*names)[name] = '\0';
    *entry = (struct archive_entry){.name = *names,
                                    .size = u32(h + 24),
                                    .stored = u32(h + 20),
                                    .at = u32(h + 42),
                                    .crc = u32(h + 16),
                                    .method = u16(h + 10)};
    *names += name + 1;
    *at += CENTRAL_SIZE + name + extra + comment;
    if (read_extra64(a, h + CENTRAL_SIZE + name, extra, entry, e) || check_entry(a, entry, u16(h + 8), e))
        return e->code;
    switch (names_add(&a->index, entry->name, name, &number)) {
    case NAMES_TAKEN:
        return entry_fault(a, FAULT_DUP, entry, "is there twice", e);
    case NAMES_NOMEM:
        return err_set(e, ERR_NOMEM, "%s: out of memory for the directory", a->source->name);
    case NAMES_ADDED:
        break;
    }
    a->count++;
    return 0;
}

static int read_directory(archive *a, const struct end *end, err *e)
{
    unsigned char *bytes = malloc((size_t)end->directory_size + 1);
    uint64_t at = 0;
    char *names;

    a->directory_at = end->directory_at;
    a->directory_size = end->directory_size;
    a->end_at = end->record_at;
    a->entries = calloc((size_t)end->entries + 1, sizeof *a->entries);
    a->names = names = malloc((size_t)(end->directory_size + end->entries) + 1);
    if (!bytes || !a->entries || !a->names)
        err_set(e, ERR_NOMEM, "%s: out of memory for the directory", a->source->name);
    else if (!source_read(a->source, end->directory_at, bytes, (size_t)end->directory_size, e))
        while (a->count < end->entries && !read_entry(a, bytes, &at, &names, e))
            ;
    free(bytes);
    if (!e->code && at != end->directory_size)
        return fault_set(e, FAULT_RANGE,
                         "%s: the directory of the zip archive, at byte %llu, is larger than its entries",
                         a->source->name, (unsigned long long)end->directory_at);
    return e->code;
}

/* ---------------------------------------------------------------- local headers */

/* Where an entry ends; its local header must say the same name. */
static int local_end(const archive *a, const struct archive_entry *entry, uint64_t *end, err *e)
{
    unsigned char h[LOCAL_SIZE + ARCHIVE_NAME_LIMIT];
    size_t name = strlen(entry->name);

    if (source_read(a->source, entry->at, h, LOCAL_SIZE, e))
        return e->code;
    if (u32(h) != SIGNATURE_LOCAL)
        return entry_fault(a, FAULT_RANGE, entry, "is not where the directory says", e);
    if (u16(h + 26) != name)
        return entry_fault(a, FAULT_SYNTAX, entry, "has another name in its own header", e);
    if (source_read(a->source, entry->at + LOCAL_SIZE, h + LOCAL_SIZE, name, e))
        return e->code;
    if (memcmp(h + LOCAL_SIZE, entry->name, name) != 0)
        return entry_fault(a, FAULT_SYNTAX, entry, "has another name in its own header", e);
    *end = entry->at + LOCAL_SIZE + name + u16(h + 28) + entry->stored;
    if (*end > a->directory_at)
        return entry_fault(a, FAULT_RANGE, entry, "reaches into the directory", e);
    return 0;
}

struct extent {
    uint64_t from, to;
    size_t entry;
};

static int by_place(const void *x, const void *y)
{
    const struct extent *a = x, *b = y;

    return (a->from > b->from) - (a->from < b->from);
}

static int check_overlaps(const archive *a, err *e)
{
    struct extent *extents = malloc((a->count + 1) * sizeof *extents);

    if (!extents)
        return err_set(e, ERR_NOMEM, "%s: out of memory for the directory", a->source->name);
    for (size_t i = 0; i < a->count && !e->code; i++) {
        extents[i] = (struct extent){a->entries[i].at, 0, i};
        local_end(a, &a->entries[i], &extents[i].to, e);
    }
    if (!e->code)
        qsort(extents, a->count, sizeof *extents, by_place);
    for (size_t i = 1; i < a->count && !e->code; i++)
        if (extents[i].from < extents[i - 1].to)
            entry_fault(a, FAULT_RANGE, &a->entries[extents[i].entry], "overlaps another one", e);
    free(extents);
    return e->code;
}

/* ---------------------------------------------------------------- libzip over a source */

/* libzip 1.7 tries everything in the last 64 KiB that looks like an end record, and believes how many entries it says.  It is to
 * see only the one that was checked, in the read that it searches. */
static void hide_other_ends(const archive *a, unsigned char *data, size_t n)
{
    for (size_t i = 0; n - i >= 4; i++)
        if (u32(data + i) == SIGNATURE_END && a->position + i != a->end_at)
            data[i] = 0;
}

static zip_int64_t feed_read(archive *a, void *data, zip_uint64_t n)
{
    uint64_t left = a->source->size - a->position;
    err e = {0};

    n = n < left ? n : left;
    if (source_read(a->source, a->position, data, (size_t)n, &e)) {
        zip_error_set(&a->error, ZIP_ER_READ, 0);
        return -1;
    }
    if (!a->zip) /* it is opening the archive */
        hide_other_ends(a, data, (size_t)n);
    a->position += n;
    return (zip_int64_t)n;
}

static zip_int64_t feed_seek(archive *a, void *data, zip_uint64_t n)
{
    zip_int64_t to = zip_source_seek_compute_offset(a->position, a->source->size, data, n, &a->error);

    if (to < 0)
        return -1;
    a->position = (uint64_t)to;
    return 0;
}

static zip_int64_t feed_stat(const archive *a, void *data)
{
    zip_stat_t *stat = data;

    zip_stat_init(stat);
    stat->size = a->source->size;
    stat->valid = ZIP_STAT_SIZE;
    return sizeof *stat;
}

static zip_int64_t feed(void *context, void *data, zip_uint64_t n, zip_source_cmd_t command)
{
    archive *a = context;

    switch (command) {
    case ZIP_SOURCE_OPEN:
        a->position = 0;
        return 0;
    case ZIP_SOURCE_READ:
        return feed_read(a, data, n);
    case ZIP_SOURCE_SEEK:
        return feed_seek(a, data, n);
    case ZIP_SOURCE_TELL:
        return (zip_int64_t)a->position;
    case ZIP_SOURCE_STAT:
        return feed_stat(a, data);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
        return 0;
    case ZIP_SOURCE_ERROR:
        return zip_error_to_data(&a->error, data, n);
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT,
                                              ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
                                              ZIP_SOURCE_SUPPORTS, -1);
    default:
        zip_error_set(&a->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
    }
}

static enum fault kind_of(const zip_error_t *error)
{
    switch (zip_error_code_zip(error)) {
    case ZIP_ER_CRC:
    case ZIP_ER_ZLIB:
    case ZIP_ER_COMPRESSED_DATA:
        return FAULT_CRC;
    case ZIP_ER_EOF:
        return FAULT_TRUNC;
    case ZIP_ER_READ:
    case ZIP_ER_SEEK:
        return FAULT_IO;
    default:
        return FAULT_SYNTAX;
    }
}

/* Whether libzip sees the entry that was checked: what it reads must be that one. */
static bool agrees_on(const archive *a, size_t i)
{
    const zip_uint64_t all = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC | ZIP_STAT_COMP_METHOD;
    const struct archive_entry *entry = &a->entries[i];
    zip_stat_t stat;

    zip_stat_init(&stat);
    return !zip_stat_index(a->zip, i, ZIP_FL_ENC_RAW, &stat) && (stat.valid & all) == all &&
           !strcmp(stat.name, entry->name) && stat.size == entry->size && stat.comp_size == entry->stored &&
           stat.crc == entry->crc && stat.comp_method == entry->method;
}

static int open_zip(archive *a, err *e)
{
    zip_source_t *source;
    zip_error_t error;

    zip_error_init(&error);
    zip_error_init(&a->error);
    source = zip_source_function_create(feed, a, &error);
    if (source && !(a->zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error)))
        zip_source_free(source);
    if (!a->zip)
        fault_set(e, kind_of(&error), "%s: libzip refuses the archive: %s", a->source->name,
                  zip_error_strerror(&error));
    else if ((uint64_t)zip_get_num_entries(a->zip, 0) != a->count)
        fault_set(e, FAULT_SYNTAX, "%s: libzip counts other entries in the archive", a->source->name);
    for (size_t i = 0; i < a->count && !e->code; i++)
        if (!agrees_on(a, i))
            entry_fault(a, FAULT_SYNTAX, &a->entries[i], "is another one to libzip", e);
    zip_error_fini(&error);
    return e->code;
}

int archive_open(const struct source *source, const struct container_limits *limits, archive **out, err *e)
{
    archive *a = calloc(1, sizeof *a);
    struct end end = {0};

    *out = NULL;
    if (!a)
        return err_set(e, ERR_NOMEM, "%s: out of memory", source->name);
    a->source = source;
    if (read_end(source, limits, &end, e) || read_directory(a, &end, e) || check_overlaps(a, e) || open_zip(a, e)) {
        archive_close(a);
        return e->code;
    }
    *out = a;
    return 0;
}

void archive_close(archive *a)
{
    if (!a)
        return;
    if (a->open)
        zip_fclose(a->open);
    if (a->zip)
        zip_discard(a->zip);
    zip_error_fini(&a->error);
    if (a->inflation.made)
        inflateEnd(&a->inflation.stream);
    free(a->inflation.packed);
    names_free(&a->index);
    free(a->entries);
    free(a->names);
    free(a);
}

size_t archive_count(const archive *a)
{
    return a->count;
}

const struct archive_entry *archive_entry(const archive *a, size_t i)
{
    return &a->entries[i];
}

bool archive_find(const archive *a, const char *name, size_t *i)
{
    uint32_t number;

    if (!names_find(&a->index, name, strlen(name), &number))
        return false;
    *i = number;
    return true;
}

/* ---------------------------------------------------------------- reading */

static int open_fault(const archive *a, enum fault kind, const char *what, err *e)
{
    return entry_fault(a, kind, &a->entries[a->open_number], what, e);
}

/* n bytes of the open entry as libzip gives them: stored ones with their checksum, deflated ones as they are. */
static int take(archive *a, void *to, size_t n, err *e)
{
    char *at = to;

    while (n) {
        zip_int64_t done = zip_fread(a->open, at, n);

        if (done < 0)
            return open_fault(a, kind_of(zip_file_get_error(a->open)), "cannot be read", e);
        if (done == 0)
            return open_fault(a, FAULT_TRUNC, "ends too early", e);
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

/* libzip neither notices a stream without its end nor bytes behind it, so streams are inflated here. */
static int inflation_begin(archive *a, err *e)
{
    struct inflation *f = &a->inflation;

    if (!f->packed && !(f->packed = malloc(PACKED_SIZE)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", a->source->name);
    if (!f->made && inflateInit2(&f->stream, -MAX_WBITS) != Z_OK)
        return err_set(e, ERR_NOMEM, "%s: out of memory", a->source->name);
    f->made = true;
    inflateReset(&f->stream);
    f->stream.avail_in = 0;
    f->ended = false;
    f->left = a->entries[a->open_number].stored;
    f->crc = (uint32_t)crc32(0, NULL, 0);
    return 0;
}

/* Up to n bytes more of the open entry; fewer only where its stream ends, or is cut off. */
static int inflation_next(archive *a, void *to, size_t n, size_t *done, err *e)
{
    struct inflation *f = &a->inflation;

    for (*done = 0; *done < n && !f->ended;) {
        size_t most = n - *done < INFLATE_MOST ? n - *done : INFLATE_MOST, taken;
        int status;

        if (!f->stream.avail_in && f->left) {
            taken = f->left < PACKED_SIZE ? (size_t)f->left : PACKED_SIZE;
            if (take(a, f->packed, taken, e))
                return e->code;
            f->left -= taken;
            f->stream.next_in = f->packed;
            f->stream.avail_in = (uInt)taken;
        }
        f->stream.next_out = (unsigned char *)to + *done;
        f->stream.avail_out = (uInt)most;
        status = inflate(&f->stream, Z_NO_FLUSH);
        taken = most - f->stream.avail_out;
        f->crc = (uint32_t)crc32(f->crc, (unsigned char *)to + *done, (uInt)taken);
        *done += taken;
        f->ended = status == Z_STREAM_END;
        if (status == Z_BUF_ERROR && !f->left)
            return 0;
        if (status != Z_OK && status != Z_STREAM_END)
            return open_fault(a, FAULT_CRC, "does not inflate", e);
    }
    return 0;
}

/* The stream must end where the entry does, on both sides. */
static int inflation_end(archive *a, bool ignore_checksum, err *e)
{
    const struct inflation *f = &a->inflation;
    size_t more;
    char one;

    if (inflation_next(a, &one, 1, &more, e))
        return e->code;
    if (more)
        return open_fault(a, FAULT_RANGE, "is longer than it says", e);
    if (!f->ended)
        return open_fault(a, FAULT_TRUNC, "is deflated without an end", e);
    if (f->left || f->stream.avail_in)
        return open_fault(a, FAULT_RANGE, "has bytes behind what is deflated", e);
    if (f->crc != a->entries[a->open_number].crc && !ignore_checksum)
        return open_fault(a, FAULT_CRC, "has a wrong checksum (--ignore-crc reads it all the same)", e);
    return 0;
}

static int stored_end(archive *a, bool ignore_checksum, err *e)
{
    char more;
    zip_int64_t done = zip_fread(a->open, &more, 1);
    enum fault kind = done < 0 ? kind_of(zip_file_get_error(a->open)) : FAULT_NONE;

    if (done > 0)
        return open_fault(a, FAULT_RANGE, "is longer than it says", e);
    if (done < 0 && !(kind == FAULT_CRC && ignore_checksum))
        return open_fault(a, kind, "has a wrong checksum (--ignore-crc reads it all the same)", e);
    return 0;
}

static bool deflated(const archive *a)
{
    return a->entries[a->open_number].method == ZIP_CM_DEFLATE;
}

int archive_begin(archive *a, size_t i, err *e)
{
    if (a->open)
        zip_fclose(a->open);
    a->open_number = i;
    if (!(a->open = zip_fopen_index(a->zip, i, deflated(a) ? ZIP_FL_COMPRESSED : 0)))
        return open_fault(a, kind_of(zip_get_error(a->zip)), "cannot be opened", e);
    return deflated(a) ? inflation_begin(a, e) : 0;
}

int archive_next(archive *a, void *to, size_t n, err *e)
{
    size_t done;

    if (!deflated(a))
        return take(a, to, n, e);
    if (inflation_next(a, to, n, &done, e))
        return e->code;
    return done < n ? open_fault(a, FAULT_TRUNC, "ends too early", e) : 0;
}

int archive_end(archive *a, bool ignore_checksum, err *e)
{
    if (deflated(a))
        inflation_end(a, ignore_checksum, e);
    else
        stored_end(a, ignore_checksum, e);
    zip_fclose(a->open);
    a->open = NULL;
    return e->code;
}

int archive_read(archive *a, size_t i, void *to, bool ignore_checksum, err *e)
{
    if (archive_begin(a, i, e) || archive_next(a, to, (size_t)a->entries[i].size, e))
        return e->code;
    return archive_end(a, ignore_checksum, e);
}
