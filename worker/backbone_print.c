/* worker/backbone_print.c - see backbone_print.h. */
#include "worker/backbone_print.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "io/text.h"

/* ---------------------------------------------------------------- the store */

size_t backbone_numbers(const struct backbone_shape *s)
{
    struct backbone_tensor t;
    size_t numbers = 0;

    for (int k = 0; backbone_layout(s, k, &t); k++)
        numbers += t.count;
    return numbers;
}

static void look_at(struct stored_backbone *b)
{
    backbone_about(b->path, &b->shape, &b->digest, &b->provenance, &b->wrong);
}

static bool listed(const struct stored_backbone *list, int count, const char *name)
{
    while (count-- > 0)
        if (!strcmp(list[count].name, name))
            return true;
    return false;
}

/* NAME.h5 to NAME; false for other files. */
static bool name_of(const char *file, char name[64])
{
    size_t n = strlen(file);

    if (n <= 3 || n - 3 >= 64 || strcmp(file + n - 3, ".h5") != 0)
        return false;
    memcpy(name, file, n - 3);
    name[n - 3] = '\0';
    return place_name_valid(name);
}

static int list_folder(const char *folder, struct stored_backbone **list, int *count, err *e)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && !e->code && (entry = readdir(dir))) {
        struct stored_backbone b = {0}, *bigger;

        if (!name_of(entry->d_name, b.name) || listed(*list, *count, b.name) ||
            !place_find(folder, b.name, ".h5", false, b.path))
            continue;
        if (!(bigger = realloc(*list, (size_t)(*count + 1) * sizeof **list))) {
            err_set(e, ERR_NOMEM, "out of memory");
            break;
        }
        *list = bigger;
        look_at(&b);
        (*list)[(*count)++] = b;
    }
    if (dir)
        closedir(dir);
    return e->code;
}

static int by_name(const void *x, const void *y)
{
    const struct stored_backbone *a = x, *b = y;

    return strcmp(a->name, b->name);
}

int stored_backbones(struct stored_backbone **out, int *count, err *e)
{
    struct places places;

    *out = NULL;
    *count = 0;
    backbone_places(&places);
    for (int i = 0; i < places.count && !e->code; i++)
        list_folder(places.folder[i], out, count, e);
    if (*count)
        qsort(*out, (size_t)*count, sizeof **out, by_name);
    return e->code;
}

void stored_backbones_free(struct stored_backbone *list, int count)
{
    for (int i = 0; i < count; i++)
        free(list[i].provenance);
    free(list);
}

int stored_backbone_find(const char *name, struct stored_backbone *out, err *e)
{
    *out = (struct stored_backbone){0};
    if (backbone_locate(name, out->path, e))
        return e->code;
    snprintf(out->name, sizeof out->name, "%s", name);
    look_at(out);
    *e = out->wrong;
    return e->code;
}

/* ---------------------------------------------------------------- facts */

/* The value of a line "key: value" of a provenance; n 0 if there is none. */
static const char *provenance_value(const char *provenance, const char *key, int *n)
{
    size_t length = strlen(key);

    *n = 0;
    for (const char *line = provenance; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, key, length) && !strncmp(line + length, ": ", 2)) {
            *n = (int)strcspn(line + length + 2, "\n");
            return line + length + 2;
        }
    return "";
}

struct spread {
    double least, most, mean;
};

static struct spread spread_of(const struct backbone_tensor *t)
{
    struct spread s = {t->data[0], t->data[0], 0};

    for (size_t i = 0; i < t->count; i++) {
        s.least = t->data[i] < s.least ? t->data[i] : s.least;
        s.most = t->data[i] > s.most ? t->data[i] : s.most;
        s.mean += t->data[i];
    }
    s.mean /= (double)t->count;
    return s;
}

static const char *shape_text(char text[SIZES_TEXT], const struct backbone_tensor *t)
{
    uint64_t sizes[4];

    for (int i = 0; i < t->rank; i++)
        sizes[i] = t->shape[i];
    return sizes_text(text, t->rank, sizes);
}

static json_t *json_of_shape(const struct backbone_shape *s)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:I}", "side", s->side, "patch", s->patch, "width", s->width,
                     "blocks", s->depth, "heads", s->heads, "hidden", s->hidden, "parameters",
                     (json_int_t)backbone_numbers(s));
}

static json_t *json_of_tensors(const struct backbone_weights *w)
{
    json_t *list = json_array();

    for (int k = 0; k < w->count; k++) {
        const struct backbone_tensor *t = &w->tensors[k];
        struct spread s = spread_of(t);
        json_t *shape = json_array();

        for (int i = 0; i < t->rank; i++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
        json_array_append_new(list, json_pack("{s:s, s:o, s:f, s:f, s:f}", "name", t->name, "shape", shape, "min",
                                              s.least, "max", s.most, "mean", s.mean));
    }
    return list;
}

static void print_tensors(FILE *out, const struct backbone_weights *w)
{
    char text[SIZES_TEXT];

    fprintf(out, "\n%-28s %-18s %11s %11s %11s\n", "tensor", "shape", "min", "max", "mean");
    for (int k = 0; k < w->count; k++) {
        struct spread s = spread_of(&w->tensors[k]);

        fprintf(out, "%-28s %-18s %11.4g %11.4g %11.4g\n", w->tensors[k].name, shape_text(text, &w->tensors[k]),
                s.least, s.most, s.mean);
    }
}

static void dump(FILE *out, json_t *value)
{
    json_dumpf(value, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(value);
}

/* ---------------------------------------------------------------- list */

static json_t *json_of(const struct stored_backbone *b)
{
    char digest[DIGEST_HEX];
    json_t *o = b->wrong.code ? json_pack("{s:o}", "error", text_json(b->wrong.text)) : json_of_shape(&b->shape);

    json_object_set_new(o, "name", json_string(b->name));
    json_object_set_new(o, "path", text_json(b->path));
    if (b->wrong.code)
        return o;
    digest_to_hex(&b->digest, digest);
    json_object_set_new(o, "digest", json_string(digest));
    json_object_set_new(o, "provenance", text_json(b->provenance ? b->provenance : ""));
    return o;
}

static void print_row(FILE *out, const struct stored_backbone *b)
{
    int n;
    const char *profile = provenance_value(b->provenance, "profile", &n);

    if (b->wrong.code) {
        fprintf(out, "%-24s cannot be read: %s\n", b->name, b->wrong.text);
        return;
    }
    fprintf(out, "%-24s %4d %5d %5d %6d %5d %10zu  %-8.*s %s\n", b->name, b->shape.side, b->shape.patch, b->shape.width,
            b->shape.depth, b->shape.heads, backbone_numbers(&b->shape), n ? n : 1, n ? profile : "-", b->path);
}

void print_backbones(FILE *out, const struct stored_backbone *list, int count, bool json)
{
    if (json) {
        json_t *all = json_array();

        for (int i = 0; i < count; i++)
            json_array_append_new(all, json_of(&list[i]));
        dump(out, all);
        return;
    }
    fprintf(out, "%-24s %4s %5s %5s %6s %5s %10s  %-8s %s\n", "name", "side", "patch", "width", "blocks", "heads",
            "weights", "profile", "file");
    for (int i = 0; i < count; i++)
        print_row(out, &list[i]);
}

/* ---------------------------------------------------------------- show */

static void print_shape(FILE *out, const char *name, const struct backbone_shape *s)
{
    fprintf(out, "%s: %d x %d pixels in patches of %d, width %d, %d blocks, %d heads, hidden width %d, %zu weights\n",
            name, s->side, s->side, s->patch, s->width, s->depth, s->heads, s->hidden, backbone_numbers(s));
}

/* The lines of a text, indented. */
static void print_lines(FILE *out, const char *text)
{
    while (text && *text) {
        int n = (int)strcspn(text, "\n");

        fprintf(out, "  %.*s\n", n, text);
        text += n + (text[n] == '\n');
    }
}

void print_backbone(FILE *out, const struct stored_backbone *b, const struct backbone_weights *tensors, bool json)
{
    char digest[DIGEST_HEX];

    if (json) {
        json_t *o = json_of(b);

        if (tensors)
            json_object_set_new(o, "tensors", json_of_tensors(tensors));
        dump(out, o);
        return;
    }
    digest_to_hex(&b->digest, digest);
    print_shape(out, b->name, &b->shape);
    fprintf(out, "  file: %s\n  digest: %s\n", b->path, digest);
    print_lines(out, b->provenance);
    if (tensors)
        print_tensors(out, tensors);
}

/* ---------------------------------------------------------------- import */

static json_t *json_of_import(const char *path, const struct backbone_weights *w, const struct import_report *r)
{
    const struct {
        const char *key, *text;
    } texts[] = {{"name", w->name},
                 {"path", path},
                 {"container", r->container},
                 {"profile", r->profile->name},
                 {"root", r->root},
                 {"prefix", r->prefix},
                 {"dropped_names", r->dropped_names},
                 {"file_sha256", r->file_sum},
                 {"tensors_sha256", r->tensors_sum},
                 {"notes", r->notes}};
    json_t *o = json_of_shape(&w->shape);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        json_object_set_new(o, texts[i].key, text_json(texts[i].text));
    json_object_update_new(o, json_pack("{s:i, s:i, s:i, s:i, s:i}", "required", r->required, "found", r->found,
                                        "dropped", r->dropped, "foreign", r->foreign, "unknown", r->unknown));
    return o;
}

void print_import(FILE *out, const char *path, const struct backbone_weights *w, const struct import_report *r,
                  bool tensors, bool json)
{
    if (json) {
        json_t *o = json_of_import(path, w, r);

        if (tensors)
            json_object_set_new(o, "tensors", json_of_tensors(w));
        dump(out, o);
        return;
    }
    print_shape(out, w->name, &w->shape);
    fprintf(out, "  container  %s\n  profile    %s: %s\n", r->container, r->profile->name, r->profile->title);
    if (*r->root || *r->prefix)
        fprintf(out, "  taken from %s%s%s%s%s\n", *r->root ? "dict " : "", r->root, *r->root && *r->prefix ? ", " : "",
                *r->prefix ? "names that begin with " : "", r->prefix);
    fprintf(out, "  tensors    %d of %d found, %d dropped, %d foreign%s\n", r->found, r->required, r->dropped,
            r->foreign, r->unknown ? ", unknown ones ignored" : "");
    if (tensors && r->dropped)
        fprintf(out, "  dropped    %s\n", r->dropped_names);
    fprintf(out, "  sha256     %s\n  kept in    %s\n", r->tensors_sum, path);
    if (tensors)
        print_tensors(out, w);
}
