/* io/backbones/import.c - see import.h: the steps that all files have in common. */
#include "io/backbones/import.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/backbones/importing.h"

enum { LIST_LIMIT = 1 << 16, MEMORY_FACTOR = 64, MEMORY_ALWAYS = 1 << 20, SIDE_LIMIT = 4096 };

/* ---------------------------------------------------------------- problems, notes, lists */

/* Append to a text of the report; what does not fit LIST_LIMIT is left out. */
static void append(char **text, const char *separator, const char *what)
{
    char *both;

    if (!*text || strlen(*text) + strlen(what) > LIST_LIMIT ||
        asprintf(&both, "%s%s%s", *text, **text ? separator : "", what) < 0)
        return;
    free(*text);
    *text = both;
}

/* Of several kinds of problems, the one that explains the others. */
static int weight(enum fault kind)
{
    static const enum fault order[] = {FAULT_NONE,    FAULT_NONFINITE,   FAULT_DTYPE, FAULT_SHAPE,
                                       FAULT_MISSING, FAULT_UNKNOWN_KEY, FAULT_DUP};
    int at = (int)(sizeof order / sizeof *order);

    while (at-- > 0 && order[at] != kind)
        ;
    return at;
}

void import_problem(struct importing *m, enum fault kind, const char *format, ...)
{
    char line[400];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    append(&m->report->problems, "\n", line);
    m->problems++;
    if (weight(kind) > weight(m->kind))
        m->kind = kind;
}

void import_note(struct importing *m, const char *format, ...)
{
    char line[400];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    append(&m->report->notes, "\n", line);
}

int import_settle(struct importing *m)
{
    const char *first = m->report->problems;
    int n = (int)strcspn(first, "\n");

    if (!m->problems)
        return 0;
    if (m->problems == 1)
        return fault_set(m->e, m->kind, "%s: %.*s", m->file->source.name, n, first);
    return fault_set(m->e, m->kind, "%s: %d problems with its tensors, the first: %.*s", m->file->source.name,
                     m->problems, n, first);
}

/* ---------------------------------------------------------------- finding tensors */

const char *import_stripped(const struct importing *m, size_t i)
{
    const struct tensor_info *t = &m->file->info[i];
    size_t n = strlen(m->report->prefix);

    return !strcmp(t->root, m->root) && !strncmp(t->name, m->report->prefix, n) ? t->name + n : NULL;
}

const struct tensor_info *import_find(const struct importing *m, const char *name)
{
    uint32_t number;

    return names_find(&m->names, name, strlen(name), &number) ? &m->file->info[number] : NULL;
}

const struct tensor_info *import_need(struct importing *m, const char *name, int rank)
{
    const struct tensor_info *t = import_find(m, name);
    char have[SIZES_TEXT];

    if (!t)
        import_problem(m, FAULT_MISSING, "%s is missing", name);
    else if (rank >= 0 && t->rank != rank)
        import_problem(m, FAULT_SHAPE, "%s has shape %s, expected %d dimensions", name,
                       sizes_text(have, t->rank, t->shape), rank);
    else
        return t;
    return NULL;
}

int import_side(struct importing *m, const char *name, uint64_t tokens, int patch)
{
    uint64_t grid = 1;

    if (patch < 1 || patch > SIDE_LIMIT) {
        import_problem(m, FAULT_SHAPE, "patches of %d pixels", patch);
        return 0;
    }
    while (grid < SIDE_LIMIT && grid * grid + 1 < tokens)
        grid++;
    if (grid * grid + 1 != tokens)
        import_problem(m, FAULT_SHAPE, "%s has %llu positions, which are not a class token and a square of patches",
                       name, (unsigned long long)tokens);
    return (int)grid * patch;
}

int import_depth(const struct importing *m, const char *before, char behind)
{
    bool seen[BACKBONE_MAX_DEPTH + 1] = {false};
    size_t n = strlen(before);
    int depth = 0;

    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = import_stripped(m, i);
        char *end;
        long block;

        if (!name || strncmp(name, before, n) != 0)
            continue;
        block = strtol(name + n, &end, 10);
        if (*end == behind && block >= 0 && block <= BACKBONE_MAX_DEPTH)
            seen[block] = true;
    }
    while (depth <= BACKBONE_MAX_DEPTH && seen[depth])
        depth++;
    return depth;
}

/* Names behind the prefix -> number in the file. */
static int index_names(struct importing *m)
{
    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = import_stripped(m, i);
        uint32_t number = (uint32_t)i;

        if (!name) {
            m->report->foreign++;
            continue;
        }
        switch (names_add(&m->names, name, strlen(name), &number)) {
        case NAMES_TAKEN:
            import_problem(m, FAULT_DUP, "%s is there twice", name);
            break;
        case NAMES_NOMEM:
            return err_set(m->e, ERR_NOMEM, "%s: out of memory for its names", m->file->source.name);
        case NAMES_ADDED:
            break;
        }
    }
    return import_settle(m);
}

/* ---------------------------------------------------------------- comparing with the network */

static int choose_heads(struct importing *m, struct backbone_shape *s)
{
    int said = s->heads ? s->heads : m->file->heads, profile = m->wanted ? m->wanted->heads : 0;

    if (said && m->options->heads && said != m->options->heads)
        return fault_set(m->e, FAULT_SHAPE, "%s: has %d heads, --heads says %d", m->file->source.name, said,
                         m->options->heads);
    s->heads = said ? said : m->options->heads ? m->options->heads : profile ? profile : backbone_usual_heads(s->width);
    if (s->heads)
        return 0;
    return fault_set(
        m->e, FAULT_MISSING,
        "%s: the file does not say how many attention heads a network of width %d has; say it with --heads N",
        m->file->source.name, s->width);
}

/* A tensor with that part as it must be; problems otherwise. */
static const struct tensor_info *check_part(struct importing *m, const struct part *part)
{
    const struct tensor_info *t = import_find(m, part->key);
    char have[SIZES_TEXT], want[SIZES_TEXT];

    if (!t)
        import_problem(m, FAULT_MISSING, "%s is missing", part->key);
    else if (t->rank != part->rank || memcmp(t->shape, part->shape, (size_t)t->rank * sizeof *t->shape) != 0)
        import_problem(m, FAULT_SHAPE, "%s has shape %s, expected %s", part->key, sizes_text(have, t->rank, t->shape),
                       sizes_text(want, part->rank, part->shape));
    else if (!element_is_real(t->element))
        import_problem(m, FAULT_DTYPE, "%s is of %s; weights are float32, float16, bfloat16 or float64", part->key,
                       element_name(t->element));
    else
        return t;
    return NULL;
}

/* All tensors of the network, and their names as used ones. */
static int check_required(struct importing *m, const struct backbone_shape *shape, bool *used, uint64_t *numbers)
{
    struct backbone_tensor t;

    for (int k = 0; backbone_layout(shape, k, &t); k++) {
        struct part parts[PARTS_MAX];
        int n = m->naming->parts(m, shape, &t, parts), good = 0;

        for (int i = 0; i < n; i++) {
            const struct tensor_info *found = import_find(m, parts[i].key);

            if (found)
                used[found - m->file->info] = true;
            good += check_part(m, &parts[i]) != NULL;
        }
        m->report->required++;
        m->report->found += good == n;
        *numbers += t.count;
    }
    m->report->parameters = *numbers;
    return 0;
}

/* The rest behind the prefix: dropped, or a reason to refuse. */
static void check_others(struct importing *m, const bool *used)
{
    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = import_stripped(m, i);
        char text[ESCAPED_SIZE];

        if (!name || used[i])
            continue;
        escaped(text, name, strlen(name));
        switch (m->naming->classify(name)) {
        case KEY_DROPPED:
            m->report->dropped++;
            append(&m->report->dropped_names, ", ", text);
            break;
        case KEY_CHANGES:
            import_problem(
                m, FAULT_UNKNOWN_KEY,
                "%s is function-changing: a network that has it is not the plain Vision Transformer computed here",
                text);
            break;
        case KEY_UNKNOWN:
            m->report->unknown++;
            if (m->options->allow_unknown)
                import_note(m, "ignored the unknown tensor %s", text);
            else
                import_problem(m, FAULT_UNKNOWN_KEY, "%s is no tensor of this network (--allow-unknown ignores it)",
                               text);
            break;
        }
    }
}

/* ---------------------------------------------------------------- numbers */

static void rearrange(const struct part *part, const float *from, float *to)
{
    size_t in = 1, out = 1, p = part->shape[0], c = part->shape[2], o = part->shape[3];

    if (part->how == PART_PATCHES) {
        for (size_t i = 0; i < p * p; i++)
            for (size_t k = 0; k < c; k++)
                for (size_t n = 0; n < o; n++)
                    to[(n * c + k) * p * p + i] = from[(i * c + k) * o + n];
        return;
    }
    for (int i = 0; i < part->rank; i++)
        *(i < part->inputs ? &in : &out) *= part->shape[i];
    for (size_t i = 0; i < in; i++)
        for (size_t k = 0; k < out; k++)
            to[k * in + i] = from[i * out + k];
}

static int read_part(struct importing *m, const struct part *part, float *to)
{
    const struct tensor_info *t = import_find(m, part->key);
    size_t number = (size_t)(t - m->file->info);
    float *scratch;

    if (part->how == PART_COPY)
        return tensors_read(m->file, number, to + part->at, m->e);
    if (!(scratch = malloc(t->count * sizeof *scratch)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory for %s", m->file->source.name, part->key);
    if (!tensors_read(m->file, number, scratch, m->e))
        rearrange(part, scratch, to + part->at);
    free(scratch);
    return m->e->code;
}

static void check_finite(struct importing *m, const struct backbone_tensor *t)
{
    size_t bad = 0;

    for (size_t i = 0; i < t->count; i++)
        bad += !isfinite(t->data[i]);
    if (bad)
        import_problem(m, FAULT_NONFINITE, "%s has %zu numbers that are not finite", t->name, bad);
}

/* A part, the tensor of the network that it belongs to, and where it lies in the file. */
struct reading {
    struct part part;
    int tensor;
    uint64_t place;
};

static int by_place(const void *x, const void *y)
{
    const struct reading *a = x, *b = y;

    return (a->place > b->place) - (a->place < b->place);
}

/* In the order of the file, so that it is read once. */
static int read_parts(struct importing *m, struct backbone_weights *w, struct reading *readings)
{
    struct part parts[PARTS_MAX];
    size_t count = 0;

    for (int k = 0; k < w->count; k++) {
        int n = m->naming->parts(m, &w->shape, &w->tensors[k], parts);

        for (int i = 0; i < n; i++)
            readings[count++] = (struct reading){parts[i], k, import_find(m, parts[i].key)->place};
    }
    qsort(readings, count, sizeof *readings, by_place);
    for (size_t i = 0; i < count; i++)
        if (read_part(m, &readings[i].part, w->tensors[readings[i].tensor].data))
            return m->e->code;
    return tensors_finish(m->file, m->e);
}

static int read_weights(struct importing *m, struct backbone_weights *w)
{
    struct reading *readings = malloc((size_t)w->count * PARTS_MAX * sizeof *readings + 1);

    if (!readings)
        return err_set(m->e, ERR_NOMEM, "%s: out of memory", m->file->source.name);
    read_parts(m, w, readings);
    free(readings);
    if (m->e->code)
        return m->e->code;
    for (int k = 0; k < w->count; k++)
        check_finite(m, &w->tensors[k]);
    return import_settle(m);
}

/* ---------------------------------------------------------------- the whole */

/* A file can claim numbers that it does not have only through tensors that repeat one; no backbone does. */
static int create(struct importing *m, const struct backbone_shape *shape, uint64_t numbers,
                  struct backbone_weights *out)
{
    uint64_t bytes = numbers * sizeof(float);
    err e = {0};

    if (bytes > MEMORY_ALWAYS && bytes / MEMORY_FACTOR > m->file->source.size)
        return fault_set(m->e, FAULT_LIMIT, "%s: claims %llu numbers in a file of %llu bytes", m->file->source.name,
                         (unsigned long long)numbers, (unsigned long long)m->file->source.size);
    if (!backbone_create(out, shape, &e))
        return 0;
    if (e.code == ERR_SHAPE)
        return fault_set(m->e, FAULT_SHAPE, "%s: %s", m->file->source.name, e.text);
    *m->e = e;
    return e.code;
}

static int convert(struct importing *m, struct backbone_weights *out)
{
    struct backbone_shape shape = {0};
    struct backbone_tensor last;
    uint64_t numbers = 0;
    bool *used;

    if (m->naming->choose(m) || index_names(m) || m->naming->measure(m, &shape) || choose_heads(m, &shape))
        return m->e->code;
    if (!backbone_layout(&shape, 0, &last))
        return create(m, &shape, 0, out); /* says what is wrong with the shape */
    if (!(used = calloc(m->file->count + 1, sizeof *used)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory", m->file->source.name);
    check_required(m, &shape, used, &numbers);
    check_others(m, used);
    free(used);
    if (import_settle(m) || create(m, &shape, numbers, out) || read_weights(m, out))
        return m->e->code;
    sum_of_weights(out, m->report->tensors_sum);
    m->report->profile = import_recognise(m, out);
    return 0;
}

static char *provenance(const struct importing *m)
{
    const struct import_report *r = m->report;
    const char *name = strrchr(m->file->source.name, '/');
    char *text;

    if (asprintf(&text,
                 "imported from: %s\nfile bytes: %llu\nfile sha256: %s\ncontainer: %s\nprofile: %s\nroot: %s\nprefix: "
                 "%s\ntensors sha256: %s\ndropped: %s\nforeign: %d tensors\nignored as unknown: %d tensors",
                 name ? name + 1 : m->file->source.name, (unsigned long long)r->file_bytes, r->file_sum, r->container,
                 r->profile->name, r->root, r->prefix, r->tensors_sum, r->dropped_names, r->foreign, r->unknown) < 0)
        return NULL;
    return text;
}

/* Names the profile, reads, and says where it all came from. */
static int import(struct importing *m, struct backbone_weights *out)
{
    const struct import_options *o = m->options;

    m->report->container = m->file->container;
    m->report->file_bytes = m->file->source.size;
    if (*m->file->notes)
        import_note(m, "%.*s", (int)strlen(m->file->notes) - 1, m->file->notes);
    if (o->profile && !(m->wanted = backbone_profile_by_name(o->profile)))
        return err_set(m->e, ERR_USAGE, "there is no profile '%s'", o->profile);
    m->naming = jax_recognised(m->file) ? &jax_naming : &torch_naming;
    if (convert(m, out))
        return m->e->code;
    snprintf(out->name, sizeof out->name, "%s", o->name);
    if (!(out->provenance = provenance(m)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory", m->file->source.name);
    return 0;
}

static int start_report(struct import_report *r, err *e)
{
    *r = (struct import_report){0};
    r->dropped_names = strdup("");
    r->problems = strdup("");
    r->notes = strdup("");
    return r->dropped_names && r->problems && r->notes ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int import_from(struct tensor_file *file, const struct import_options *options, struct backbone_weights *out,
                       struct import_report *report, err *e)
{
    struct importing m = {.file = file, .options = options, .report = report, .e = e, .root = ""};

    if (sum_of_source(&file->source, report->file_sum, e) || import(&m, out))
        backbone_close(out);
    names_free(&m.names);
    tensors_close(file);
    return e->code;
}

int backbone_import(const char *path, const struct import_options *options, struct backbone_weights *out,
                    struct import_report *report, err *e)
{
    struct tensor_file file;

    *out = (struct backbone_weights){0};
    if (start_report(report, e) || tensors_open(path, &options->container, &file, e))
        return e->code;
    return import_from(&file, options, out, report, e);
}

int backbone_import_memory(const char *name, const void *bytes, size_t size, const struct import_options *options,
                           struct backbone_weights *out, struct import_report *report, err *e)
{
    struct tensor_file file;

    *out = (struct backbone_weights){0};
    if (start_report(report, e) || tensors_open_memory(name, bytes, size, &options->container, &file, e))
        return e->code;
    return import_from(&file, options, out, report, e);
}

void import_report_free(struct import_report *r)
{
    free(r->dropped_names);
    free(r->problems);
    free(r->notes);
    *r = (struct import_report){0};
}
