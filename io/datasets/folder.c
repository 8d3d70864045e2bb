/* io/datasets/folder.c - see folder.h. */
#include "io/datasets/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/containers/fault.h"
#include "io/mt19937.h"

static bool is_image(const char *name)
{
    static const char *const suffixes[] = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof suffixes / sizeof *suffixes; i++)
        if (!strcasecmp(dot, suffixes[i]))
            return true;
    return false;
}

/* Whether an entry is none of the data set's, with a note. */
static bool passed_over(struct image_source *s, const char *folder, const char *name)
{
    char shown[ESCAPED_SIZE];

    if (name[0] != '.' && strcmp(name, "__MACOSX"))
        return false;
    source_note(s, "%s%s%s was passed over", folder, *folder ? "/" : "", escaped(shown, name, strlen(name)));
    return true;
}

/* ---------------------------------------------------------------- classes */

void folder_names_free(struct folder_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->names[i]);
    free(n->names);
    *n = (struct folder_names){0};
}

static bool one_of(const char *const *list, const char *name)
{
    while (list && *list)
        if (!strcmp(*list++, name))
            return true;
    return false;
}

int folder_classes(struct image_source *s, const char *folder, const char *const *but, struct folder_names *out, err *e)
{
    struct below_list list;

    *out = (struct folder_names){0};
    if (below_list(&s->root, folder, &list, e))
        return e->code;
    if (!(out->names = malloc((list.count + 1) * sizeof *out->names)))
        err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    for (size_t i = 0; i < list.count && !e->code; i++) {
        struct below_entry *entry = &list.entries[i];

        if (!entry->folder || one_of(but, entry->name) || passed_over(s, folder, entry->name))
            continue;
        out->names[out->count++] = entry->name;
        entry->name = NULL;
    }
    if (!e->code && !out->count)
        fault_set(e, FAULT_MISSING, "%s/%s: holds no folder that could be a class", s->root.path, folder);
    below_list_free(&list);
    if (e->code)
        folder_names_free(out);
    return e->code;
}

bool folder_names_equal(const struct folder_names *a, const struct folder_names *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->names[i], b->names[i]))
            return false;
    return a->count == b->count;
}

/* ---------------------------------------------------------------- the images of one class */

/* Folders still to be listed, and those found, by their whole names. */
struct walk {
    char **folders;
    size_t count, room;
};

static int walk_push(struct walk *w, char *name, err *e)
{
    if (w->count == w->room) {
        size_t room = w->room ? 2 * w->room : 16;
        char **folders = realloc(w->folders, room * sizeof *folders);

        if (folders) {
            w->folders = folders;
            w->room = room;
        }
    }
    if (!name || w->count == w->room) {
        free(name);
        return err_set(e, ERR_NOMEM, "out of memory for a list of folders");
    }
    w->folders[w->count++] = name;
    return 0;
}

static void walk_free(struct walk *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->folders[i]);
    free(w->folders);
}

static char *join(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s%s%s", folder, *folder ? "/" : "", name) < 0 ? NULL : path;
}

static int depth(const char *name)
{
    int n = 0;

    for (; *name; name++)
        n += *name == '/';
    return n;
}

/* Push the folders in folder `at`. */
static int walk_below(struct image_source *s, struct walk *w, size_t at, int deepest, err *e)
{
    struct below_list list;

    if (below_list(&s->root, w->folders[at], &list, e))
        return e->code;
    for (size_t i = 0; i < list.count && !e->code; i++) {
        if (!list.entries[i].folder || passed_over(s, w->folders[at], list.entries[i].name))
            continue;
        if (depth(w->folders[at]) >= deepest || w->count == FOLDER_COUNT_LIMIT)
            fault_set(e, FAULT_LIMIT, "%s/%s: folders are nested more than %d deep, or are more than %d", s->root.path,
                      w->folders[at], FOLDER_DEPTH_LIMIT, FOLDER_COUNT_LIMIT);
        else
            walk_push(w, join(w->folders[at], list.entries[i].name), e);
    }
    below_list_free(&list);
    return e->code;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_files(struct image_source *s, enum dataset_part part, const char *folder, int32_t label, err *e)
{
    struct below_list list;

    if (below_list(&s->root, folder, &list, e))
        return e->code;
    for (size_t i = 0; i < list.count && !e->code; i++) {
        char *path;

        if (list.entries[i].folder || !is_image(list.entries[i].name) || passed_over(s, folder, list.entries[i].name))
            continue;
        if (!(path = join(folder, list.entries[i].name)))
            err_set(e, ERR_NOMEM, "%s: out of memory", folder);
        else if (!below_name_check(s->root.path, path, e))
            source_add_file(s, part, path, label, e);
        free(path);
    }
    below_list_free(&list);
    return e->code;
}

int folder_add_class(struct image_source *s, enum dataset_part part, const char *folder, const char *name,
                     int32_t label, err *e)
{
    size_t before = s->part[part].count;
    struct walk walk = {0};
    char *top = join(folder, name);
    int deepest = top ? depth(top) + FOLDER_DEPTH_LIMIT : 0;

    if (!walk_push(&walk, top, e))
        for (size_t at = 0; at < walk.count && !e->code; at++)
            walk_below(s, &walk, at, deepest, e);
    if (!e->code)
        qsort(walk.folders, walk.count, sizeof *walk.folders, compare_texts);
    for (size_t i = 0; i < walk.count && !e->code; i++)
        add_files(s, part, walk.folders[i], label, e);
    walk_free(&walk);
    if (!e->code && s->part[part].count == before)
        fault_set(e, FAULT_MISSING, "%s/%s%s%s: holds no image", s->root.path, folder, *folder ? "/" : "", name);
    return e->code;
}

int folder_add_classes(struct image_source *s, enum dataset_part part, const char *folder,
                       const struct folder_names *classes, err *e)
{
    for (size_t i = 0; i < classes->count; i++)
        if (folder_add_class(s, part, folder, classes->names[i], (int32_t)i, e))
            return e->code;
    return 0;
}

/* ---------------------------------------------------------------- train/ and test/ */

static int fail_classes(const struct image_source *s, const char *test, const struct folder_names *a,
                        const struct folder_names *b, err *e)
{
    size_t i = 0;
    bool train_only;

    while (i < a->count && i < b->count && !strcmp(a->names[i], b->names[i]))
        i++;
    train_only = i == b->count || (i < a->count && strcmp(a->names[i], b->names[i]) < 0);
    return fault_set(e, FAULT_MISSING, "%s: the class '%s' is in %s/ and not in %s/", s->root.path,
                     train_only ? a->names[i] : b->names[i], train_only ? "train" : test, train_only ? test : "train");
}

int folder_add_both(struct image_source *s, const char *test, err *e)
{
    struct folder_names train = {0}, other = {0};

    if (!folder_classes(s, "train", NULL, &train, e) && !folder_classes(s, test, NULL, &other, e)) {
        if (!folder_names_equal(&train, &other))
            fail_classes(s, test, &train, &other, e);
        else if (!source_classes(s, s->root.path, (const char *const *)train.names, train.count, e) &&
                 !folder_add_classes(s, DATASET_TRAIN, "train", &train, e))
            folder_add_classes(s, DATASET_TEST, test, &train, e);
    }
    folder_names_free(&train);
    folder_names_free(&other);
    return e->code;
}

int folder_check_divided(struct image_source *s, const char *const *parts, err *e)
{
    struct below_list list;
    char shown[ESCAPED_SIZE];

    if (below_list(&s->root, "", &list, e))
        return e->code;
    for (size_t i = 0; i < list.count && !e->code; i++) {
        const char *name = list.entries[i].name;

        if (list.entries[i].folder && !one_of(parts, name) && !passed_over(s, "", name))
            fault_set(e, FAULT_UNSUPPORTED,
                      "%s: the folder '%s' lies beside train/, so the images are divided only in part; move it away",
                      s->root.path, escaped(shown, name, strlen(name)));
    }
    below_list_free(&list);
    return e->code;
}

/* ---------------------------------------------------------------- a split of one list */

/* Of n images from `first` on, say which are for testing. */
static int draw(const struct image_source *s, size_t first, size_t n, uint32_t seed, bool *test, err *e)
{
    size_t training = (size_t)(0.8 * (double)n);
    uint32_t *order = malloc((n + 1) * sizeof *order);

    if (!order)
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    torch_randperm(order, (uint32_t)n, seed);
    for (size_t i = training; i < n; i++)
        test[first + order[i]] = true;
    free(order);
    return 0;
}

/* Move the images that are for testing. */
static int divide(struct image_source *s, const bool *test, err *e)
{
    struct source_part all = s->part[DATASET_TRAIN];

    s->part[DATASET_TRAIN] = (struct source_part){0};
    for (size_t i = 0; i < all.count && !e->code; i++)
        source_add_file(s, test[i] ? DATASET_TEST : DATASET_TRAIN, all.files[i], all.labels[i], e);
    for (size_t i = 0; i < all.count; i++)
        free(all.files[i]);
    free(all.files);
    free(all.labels);
    return e->code;
}

static int draw_classes(const struct image_source *s, uint32_t seed, bool *test, err *e)
{
    const struct source_part *all = &s->part[DATASET_TRAIN];

    for (size_t first = 0, next; first < all->count; first = next) {
        int32_t label = all->labels[first];

        for (next = first; next < all->count && all->labels[next] == label;)
            next++;
        if (next - first == 1)
            return fault_set(e, FAULT_MISSING,
                             "%s: the class '%s' has one image, which cannot be for training and for testing",
                             s->root.path, s->class_names[label]);
        if (draw(s, first, next - first, seed + (uint32_t)label, test, e))
            return e->code;
    }
    return 0;
}

static int split(struct image_source *s, bool by_class, uint32_t seed, err *e)
{
    size_t n = s->part[DATASET_TRAIN].count;
    bool *test = calloc(n + 1, sizeof *test);

    if (!test)
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    if (!(by_class ? draw_classes(s, seed, test, e) : draw(s, 0, n, seed, test, e)))
        divide(s, test, e);
    s->drawn = true;
    free(test);
    return e->code;
}

int folder_split(struct image_source *s, uint32_t seed, err *e)
{
    return split(s, false, seed, e);
}

int folder_split_classes(struct image_source *s, uint32_t seed, err *e)
{
    return split(s, true, seed, e);
}
