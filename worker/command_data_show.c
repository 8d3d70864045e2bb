/* worker/command_data_show.c - sluice data list and show: what data sets there are, and what is in one. */
#include <dirent.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/dataset.h"
#include "io/places.h"
#include "io/text.h"
#include "worker/command_data.h"

enum { SIZES_LOOKED_AT = 200 };

static const char list_help[] = "usage: sluice data list [--json]\n"
                                "\n"
                                "The data sets that dataset.name can name on this machine, and where they lie.\n"
                                "\n"
                                "Example: sluice data list --json\n";

static const char show_help[] =
    "usage: sluice data show NAME [--verify] [--json]\n"
    "\n"
    "One data set: where it lies and comes from, its digest, the sizes of its images, and how many each class has.\n"
    "\n"
    "  --verify   read every byte and compare with the digest\n"
    "\n"
    "Example: sluice data show fashion-mnist\n";

/* Options that both have, and as many names as `positional`: 0: go on; otherwise the command ends with that status less
 * one. */
static int parse(int argc, char **argv, const char *help, int positional, bool *json, bool *verify)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"verify", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;

    *json = *verify = false;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        if (c == 'j')
            *json = true;
        else if (c == 'v' && positional)
            *verify = true;
        else if (c == 'h')
            return fputs(help, stdout), 1;
        else
            return 3;
    if (optind + positional == argc)
        return 0;
    fprintf(stderr, "%s: give %s; see %s --help\n", argv[0],
            positional ? "the name of one data set" : "no arguments but --json", argv[0]);
    return 3;
}

static void print_json(json_t *root)
{
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
}

/* ---------------------------------------------------------------- list */

struct names {
    char (*name)[64];
    size_t count;
};

static void names_add(struct names *n, const char *name)
{
    char(*more)[64];

    for (size_t i = 0; i < n->count; i++)
        if (!strcmp(n->name[i], name))
            return;
    if (!(more = realloc(n->name, (n->count + 1) * sizeof *more)))
        return;
    n->name = more;
    snprintf(n->name[n->count++], sizeof *n->name, "%s", name);
}

/* Packs of a folder. */
static void names_of_folder(struct names *n, const char *folder)
{
    DIR *stream = opendir(folder);
    struct dirent *entry;

    while (stream && (entry = readdir(stream))) {
        size_t size = strlen(entry->d_name);
        char name[64];

        if (size <= 3 || size >= sizeof name + 3 || strcmp(entry->d_name + size - 3, ".h5"))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)size - 3, entry->d_name);
        if (place_name_valid(name))
            names_add(n, name);
    }
    if (stream)
        closedir(stream);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Every name under which something may be found, sorted. */
static void collect(struct names *n)
{
    struct places *p = calloc(1, sizeof *p);

    if (p)
        dataset_places(p);
    for (int i = 0; p && i < p->count; i++)
        names_of_folder(n, p->folder[i]);
    for (size_t i = 0; dataset_known(i); i++)
        names_add(n, dataset_known(i));
    if (n->count)
        qsort(n->name, n->count, sizeof *n->name, by_name);
    free(p);
}

static void list_one(const char *name, json_t *rows)
{
    char path[PATH_SIZE], hex[DIGEST_HEX] = "";
    struct dataset d;
    err e = {0};

    if (dataset_locate(name, path, &e))
        return; /* a known name of what is not here */
    if (!dataset_open(name, &d, &e))
        digest_to_hex(&d.digest, hex);
    if (rows)
        json_array_append_new(rows, json_pack("{s:s, s:i, s:I, s:I, s:s, s:o, s:o}", "name", name, "classes", d.classes,
                                              "train", (json_int_t)d.part[DATASET_TRAIN].count, "test",
                                              (json_int_t)d.part[DATASET_TEST].count, "digest", hex, "path",
                                              text_json(path), "error", text_json(e.text)));
    else if (e.code)
        printf("%-20s cannot be read: %s\n", name, e.text);
    else
        printf("%-20s %7d %9zu %8zu  %.12s  %s\n", name, d.classes, d.part[DATASET_TRAIN].count,
               d.part[DATASET_TEST].count, hex, path);
    dataset_close(&d);
}

int data_list(int argc, char **argv)
{
    bool json, verify;
    int status = parse(argc, argv, list_help, 0, &json, &verify);
    struct names names = {0};
    json_t *rows;

    if (status)
        return status - 1;
    rows = json ? json_array() : NULL;
    if (!json)
        printf("%-20s %7s %9s %8s  %-12s  %s\n", "name", "classes", "training", "test", "digest", "where");
    collect(&names);
    for (size_t i = 0; i < names.count; i++)
        list_one(names.name[i], rows);
    free(names.name);
    if (json)
        print_json(rows);
    return 0;
}

/* ---------------------------------------------------------------- show */

struct sizes {
    int least[2], most[2]; /* width, height */
    size_t looked_at;
};

/* The sizes of some images of a part, evenly chosen. */
static int look_at_sizes(const struct image_set *set, struct sizes *out, err *e)
{
    size_t step = set->count / SIZES_LOOKED_AT + 1;
    struct image_reader reader = {0};
    struct image image;

    *out = (struct sizes){.least = {1 << 30, 1 << 30}};
    for (size_t i = 0; i < set->count && !image_set_read(set, i, &reader, &image, e); i += step) {
        const int size[] = {image.width, image.height};

        for (int k = 0; k < 2; k++) {
            out->least[k] = size[k] < out->least[k] ? size[k] : out->least[k];
            out->most[k] = size[k] > out->most[k] ? size[k] : out->most[k];
        }
        out->looked_at++;
    }
    image_reader_free(&reader);
    return e->code;
}

static void count_classes(const struct dataset *d, size_t (*counts)[DATASET_PARTS])
{
    for (int part = 0; part < DATASET_PARTS; part++)
        for (size_t i = 0; i < d->part[part].count; i++)
            counts[d->part[part].labels[i]][part]++;
}

struct view {
    const struct dataset *d;
    const char *path;
    struct sizes sizes[DATASET_PARTS];
    size_t (*counts)[DATASET_PARTS];
    char hex[DIGEST_HEX];
};

/* A line of what a pack says: n bytes that may be anything. */
static void show_line(const char *before, const char *line, size_t n)
{
    char *text = strndup(line, n);

    if (text)
        text_clean(text);
    printf("  %-8s %s\n", before, text ? text : "");
    free(text);
}

static void show_lines(const char *label, const char *lines)
{
    for (const char *line = lines; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
        show_line(line == lines ? label : "", line, strcspn(line, "\n"));
}

static void show_text(const struct view *v)
{
    const struct dataset *d = v->d;

    printf("%s: %d classes\n  where    %s\n  digest   %s\n", d->name, d->classes, v->path, v->hex);
    for (int part = 0; part < DATASET_PARTS; part++) {
        const struct sizes *s = &v->sizes[part];

        printf("  %-8s %zu images, %d x %d", part == DATASET_TRAIN ? "training" : "test", d->part[part].count,
               s->least[0], s->least[1]);
        if (s->least[0] != s->most[0] || s->least[1] != s->most[1])
            printf(" to %d x %d", s->most[0], s->most[1]);
        printf(d->part[part].channels || s->looked_at == d->part[part].count ? "\n" : " among %zu looked at\n",
               s->looked_at);
    }
    show_lines("from", d->provenance);
    show_lines("note", d->notes);
    if (d->sequence)
        show_line("tasks    dataset.sequence:", d->sequence, strlen(d->sequence));
    printf("\n%7s %9s %8s  %s\n", "class", "training", "test", "name");
    for (int c = 0; c < d->classes; c++)
        printf("%7d %9zu %8zu  %s\n", c, v->counts[c][DATASET_TRAIN], v->counts[c][DATASET_TEST], d->class_names[c]);
}

static json_t *part_json(const struct view *v, enum dataset_part part)
{
    const struct sizes *s = &v->sizes[part];

    return json_pack("{s:I, s:[i,i], s:[i,i], s:I}", "images", (json_int_t)v->d->part[part].count, "least_size",
                     s->least[0], s->least[1], "largest_size", s->most[0], s->most[1], "sizes_of",
                     (json_int_t)s->looked_at);
}

static json_t *text_or_empty(const char *text)
{
    return text_json(text ? text : "");
}

static void show_json(const struct view *v)
{
    json_t *classes = json_array();

    for (int c = 0; c < v->d->classes; c++)
        json_array_append_new(classes, json_pack("{s:s, s:I, s:I}", "name", v->d->class_names[c], "train",
                                                 (json_int_t)v->counts[c][DATASET_TRAIN], "test",
                                                 (json_int_t)v->counts[c][DATASET_TEST]));
    print_json(json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", v->d->name, "path",
                         text_json(v->path), "digest", v->hex, "provenance", text_or_empty(v->d->provenance), "notes",
                         text_or_empty(v->d->notes), "sequence", text_or_empty(v->d->sequence), "train",
                         part_json(v, DATASET_TRAIN), "test", part_json(v, DATASET_TEST), "classes", classes));
}

static int show(const struct dataset *d, const char *path, bool json, err *e)
{
    struct view v = {.d = d, .path = path, .counts = calloc((size_t)d->classes, sizeof *v.counts)};

    if (!v.counts)
        return err_set(e, ERR_NOMEM, "out of memory for %d classes", d->classes);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++)
        look_at_sizes(&d->part[part], &v.sizes[part], e);
    if (!e->code) {
        count_classes(d, v.counts);
        digest_to_hex(&d->digest, v.hex);
        (json ? show_json : show_text)(&v);
    }
    free(v.counts);
    return e->code;
}

int data_show(int argc, char **argv)
{
    bool json, verify;
    int status = parse(argc, argv, show_help, 1, &json, &verify);
    char path[PATH_SIZE];
    struct dataset d = {0};
    err e = {0};

    if (status)
        return status - 1;
    if (!dataset_locate(argv[optind], path, &e) && !dataset_open(argv[optind], &d, &e) &&
        !(verify && dataset_verify(&d, &e)))
        show(&d, path, json, &e);
    dataset_close(&d);
    if (e.code)
        fprintf(stderr, "sluice data show: %s\n", e.text);
    return err_exit_status(e.code);
}
