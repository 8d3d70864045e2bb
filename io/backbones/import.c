/* io/backbones/import.c - see import.h: the steps that all files have in common. */
#include "io/backbones/import.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/backbones/importing.h"

enum { LIST_LIMIT = 1 << 16, UNKNOWN_LIMIT = 2000, SIDE_LIMIT = 4096 };

/* ---------------------------------------------------------------- problems, notes, lists */

/* "<before><separator><what>" into a text that is replaced; false if there is no memory for it. */
static bool append(char **text, const char *separator, const char *what)
{
    char *both;

    if (asprintf(&both, "%s%s%s", *text, **text ? separator : "", what) < 0)
        return false;
    free(*text);
    *text = both;
    return true;
}

/* One entry more of a list that a file can make arbitrarily long; what comes after the limit is only counted. */
static void list_add(struct import_list *l, const char *what)
{
    if (l->left_out || strlen(*l->text) + strlen(what) > l->limit || !append(l->text, l->separator, what))
        l->left_out++;
}

/* What was only counted is told at the end. */
static void list_end(struct import_list *l)
{
    char more[40];

    snprintf(more, sizeof more, "... %d more", l->left_out);
    if (l->left_out)
        append(l->text, l->separator, more);
    l->left_out = 0;
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
    list_add(&m->problem_list, line);
    m->problems++;
    if (weight(kind) > weight(m->kind))
        m->kind = kind;
}

void import_note(struct importing *m, const char *format, ...)
{
    char *line;
    va_list args;

    va_start(args, format);
    if (vasprintf(&line, format, args) < 0)
        line = NULL;
    va_end(args);
    if (!line || !append(&m->report->notes, "\n", line))
        err_set(m->e, ERR_NOMEM, "%s: out of memory for what there is to say of it", m->file->source.name);
    free(line);
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

int import_size_of(const struct importing *m, const char *name, int rank, int axis)
{
    const struct tensor_info *t = import_find(m, name);

    return t && (rank < 0 ? t->rank > axis : t->rank == rank) ? import_size(t->shape[axis]) : 0;
}

void import_wrong(struct importing *m, const struct tensor_info *t, const char *why)
{
    char have[SIZES_TEXT];

    import_problem(m, FAULT_SHAPE, "%s has shape %s, %s", import_stripped(m, (size_t)(t - m->file->info)),
                   sizes_text(have, t->rank, t->shape), why);
    m->marks[t - m->file->info] |= MARK_TOLD;
}

int import_side(struct importing *m, const char *name, int patch)
{
    const struct tensor_info *t = import_find(m, name);
    uint64_t grid = 1;

    if (!t)
        return 0;
    if (t->rank != 3) {
        import_wrong(m, t, "expected 3 dimensions");
        return 0;
    }
    while (grid < SIDE_LIMIT && grid * grid + 1 < t->shape[1])
        grid++;
    if (grid * grid + 1 == t->shape[1])
        return (int)grid * patch;
    import_wrong(m, t, "whose positions are not a class token and a square of patches");
    return 0;
}

int import_depth(const struct importing *m, const char *before, char behind)
{
    size_t n = strlen(before);
    int depth = 0;

    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = import_stripped(m, i);
        char *end;
        long block;

        if (!name || strncmp(name, before, n) != 0 || name[n] < '0' || name[n] > '9')
            continue;
        block = strtol(name + n, &end, 10);
        if (*end == behind && block >= depth)
            depth = block < BACKBONE_MAX_DEPTH ? (int)block + 1 : BACKBONE_MAX_DEPTH + 1;
    }
    return depth;
}

/* Names behind the prefix -> number in the file. */
static int index_names(struct importing *m)
{
    if (!(m->marks = calloc(m->file->count + 1, sizeof *m->marks)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory for its names", m->file->source.name);
    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = import_stripped(m, i);
        uint32_t number = (uint32_t)i;
        char text[ESCAPED_SIZE];

        if (!name) {
            m->report->foreign++;
            continue;
        }
        switch (names_add(&m->names, name, strlen(name), &number)) {
        case NAMES_TAKEN:
            import_problem(m, FAULT_DUP, "%s is there twice", escaped(text, name, strlen(name)));
            m->marks[i] |= MARK_TOLD;
            break;
        case NAMES_NOMEM:
            return err_set(m->e, ERR_NOMEM, "%s: out of memory for its names", m->file->source.name);
        case NAMES_ADDED:
            break;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- comparing with the network */

/* Heads as far as the file or the user says them; 0: neither, and what the weights look like decides. */
static int said_heads(struct importing *m, int measured)
{
    int said = measured ? measured : m->file->heads, wanted = m->options->heads;

    if (said && wanted && said != wanted)
        import_problem(m, FAULT_SHAPE, "has %d heads, --heads says %d", said, wanted);
    return said ? said : wanted;
}

/* The shape to compare with.  A size that no tensor tells takes any value that makes a network: every tensor that has this
 * size is missing, or its problem is known. */
static struct backbone_shape whole_shape(struct backbone_shape s)
{
    s.channels = 3;
    s.patch = s.patch ? s.patch : 1;
    s.side = s.side ? s.side : s.patch;
    s.depth = s.depth ? s.depth : 1;
    s.hidden = s.hidden ? s.hidden : 1;
    s.heads = s.heads && s.width ? s.heads : 1;
    s.width = s.width ? s.width : 1;
    return s;
}

/* A tensor with that part as it must be; problems otherwise. */
static const struct tensor_info *check_part(struct importing *m, const struct part *part)
{
    const struct tensor_info *t = import_find(m, part->key);
    char have[SIZES_TEXT], want[SIZES_TEXT];

    if (t && m->marks[t - m->file->info] & MARK_TOLD)
        return NULL;
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
static void check_required(struct importing *m, const struct backbone_shape *shape)
{
    struct backbone_tensor t;

    for (int k = 0; backbone_layout(shape, k, &t); k++) {
        struct part parts[PARTS_MAX];
        int n = m->naming->parts(m, shape, &t, parts), good = 0;

        for (int i = 0; i < n; i++) {
            const struct tensor_info *found = import_find(m, parts[i].key);

            good += check_part(m, &parts[i]) != NULL;
            if (found)
                m->marks[found - m->file->info] |= MARK_USED;
        }
        m->report->required++;
        m->report->found += good == n;
        m->report->parameters += t.count;
    }
}

/* The rest behind the prefix: dropped, or a reason to refuse. */
static void check_others(struct importing *m)
{
    char *names = strdup("");
    struct import_list dropped = {&m->report->dropped_names, ", ", LIST_LIMIT, 0},
                       unknown = {&names, ", ", UNKNOWN_LIMIT, 0};

    for (size_t i = 0; i < m->file->count && names; i++) {
        const char *name = import_stripped(m, i);
        char text[ESCAPED_SIZE];

        if (!name || m->marks[i])
            continue;
        escaped(text, name, strlen(name));
        switch (m->naming->classify(name)) {
        case KEY_DROPPED:
            m->report->dropped++;
            list_add(&dropped, text);
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
                list_add(&unknown, text);
            else
                import_problem(m, FAULT_UNKNOWN_KEY, "%s is no tensor of this network (--allow-unknown ignores it)",
                               text);
            break;
        }
    }
    list_end(&dropped);
    list_end(&unknown);
    if (!names)
        err_set(m->e, ERR_NOMEM, "%s: out of memory", m->file->source.name);
    else if (*names)
        import_note(m, "ignored unknown tensors: %s", names);
    free(names);
}

/* Everything that is wrong with the tensors, in one go. */
static int compare(struct importing *m, const struct backbone_shape *shape)
{
    struct backbone_weights none;
    struct backbone_tensor first;
    err why = {0};

    if (backbone_layout(shape, 0, &first)) {
        check_required(m, shape);
        check_others(m);
    } else if (backbone_create(&none, shape, &why)) { /* says what is wrong with the shape */
        import_problem(m, FAULT_SHAPE, "%s", why.text);
    }
    return import_settle(m);
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

static int convert(struct importing *m, struct backbone_weights *out)
{
    struct backbone_shape measured = {0}, shape;

    if (m->naming->choose(m) || index_names(m))
        return m->e->code;
    m->naming->measure(m, &measured);
    measured.heads = said_heads(m, measured.heads);
    shape = whole_shape(measured);
    if (compare(m, &shape) || tensors_believed(m->file, m->report->parameters, m->e) ||
        backbone_create(out, &shape, m->e) || read_weights(m, out))
        return m->e->code;
    sum_of_weights(out, m->report->tensors_sum);
    out->shape.heads = measured.heads;
    return import_recognise(m, out);
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

/* What the reader of the container says, line by line. */
static void note_container(struct importing *m)
{
    for (const char *line = m->file->notes; *line; line += strcspn(line, "\n") + 1)
        import_note(m, "%.*s", (int)strcspn(line, "\n"), line);
}

/* Names the profile, reads, and says where it all came from. */
static int import(struct importing *m, struct backbone_weights *out)
{
    const struct import_options *o = m->options;

    m->report->container = m->file->container;
    m->report->file_bytes = m->file->source.size;
    note_container(m);
    if (o->profile && !(m->wanted = backbone_profile_by_name(o->profile)))
        return err_set(m->e, ERR_USAGE, "there is no profile '%s'", o->profile);
    m->naming = jax_recognised(m->file) ? &jax_naming : &torch_naming;
    if (convert(m, out))
        return m->e->code;
    snprintf(out->name, sizeof out->name, "%s", o->name);
    snprintf(out->profile, sizeof out->profile, "%s", m->report->profile->name);
    if (!(out->provenance = provenance(m)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory", m->file->source.name);
    return m->e->code;
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
    struct importing m = {.file = file,
                          .options = options,
                          .report = report,
                          .problem_list = {&report->problems, "\n", LIST_LIMIT, 0},
                          .e = e,
                          .root = ""};

    if (sum_of_source(&file->source, report->file_sum, e) || import(&m, out)) {
        fault_reader(e, file->container);
        backbone_close(out);
    }
    list_end(&m.problem_list);
    free(m.marks);
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
