/* io/datasets/cub200.c - CUB-200-2011: as published, with lists, or as the official code leaves it, in train/ and
 * test/.
 *
 * A label is the number of the class less one, which is also the place of its folder in the sorted list. */
#include "io/datasets/cub200.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/datasets/folder.h"
#include "io/datasets/kinds.h"

enum { PUBLISHED_IMAGES = 11788 };

static const char *const list_names[CUB_LISTS] = {
    [CUB_CLASSES] = "classes.txt",
    [CUB_IMAGES] = "images.txt",
    [CUB_SPLIT] = "train_test_split.txt",
    [CUB_LABELS] = "image_class_labels.txt",
};

/* Read a list of "number text": out[number - 1] is the text, each number from 1 to the list's length once. */
static int number_lines(struct text_lines *l, const char **out, err *e)
{
    for (size_t i = 0; i < l->count; i++) {
        char *fields[2];
        uint32_t id;

        if (text_fields(l, i, ' ', 2, fields, e) || text_number(l, i, fields[0], 1, UINT32_MAX, &id, e))
            return e->code;
        if (id > l->count)
            return fault_set(e, FAULT_MISSING, "%s:%zu: number %u in a list of %zu, so that others are missing",
                             l->name, i + 1, id, l->count);
        if (out[id - 1])
            return fault_set(e, FAULT_DUP, "%s:%zu: number %u is there twice", l->name, i + 1, id);
        out[id - 1] = fields[1];
    }
    return 0;
}

struct joined {
    const char **text[CUB_LISTS]; /* by number */
    size_t count[CUB_LISTS];
};

struct cub_image {
    const char *file; /* below images/ */
    uint32_t label;
    bool training;
};

static int check_counts(const struct text_lines *lists, const struct joined *j, err *e)
{
    for (int k = CUB_SPLIT; k < CUB_LISTS; k++)
        if (j->count[k] != j->count[CUB_IMAGES])
            return fault_set(e, FAULT_MISSING, "%s has %zu lines and %s %zu", lists[k].name, j->count[k],
                             lists[CUB_IMAGES].name, j->count[CUB_IMAGES]);
    for (size_t i = 1; i < j->count[CUB_CLASSES]; i++)
        if (strcmp(j->text[CUB_CLASSES][i - 1], j->text[CUB_CLASSES][i]) >= 0)
            return fault_set(e, FAULT_RANGE, "%s: the classes %zu and %zu are not in the order of their names",
                             lists[CUB_CLASSES].name, i, i + 1);
    return 0;
}

/* What the lists say of image number id + 1. */
static int join_one(const struct text_lines *lists, const struct joined *j, size_t id, struct cub_image *out, err *e)
{
    const char *file = j->text[CUB_IMAGES][id], *slash = strchr(file, '/');
    uint32_t class, training;
    const char *folder;

    if (below_name_check(lists[CUB_IMAGES].name, file, e))
        return e->code;
    if (!slash || strchr(slash + 1, '/'))
        return fault_set(e, FAULT_PATH, "%s: image %zu is '%.80s', expected a class and a file", lists[CUB_IMAGES].name,
                         id + 1, file);
    if (text_number(&lists[CUB_LABELS], id, j->text[CUB_LABELS][id], 1, (uint32_t)j->count[CUB_CLASSES], &class, e) ||
        text_number(&lists[CUB_SPLIT], id, j->text[CUB_SPLIT][id], 0, 1, &training, e))
        return e->code;
    folder = j->text[CUB_CLASSES][class - 1];
    if (strncmp(folder, file, (size_t)(slash - file)) || folder[slash - file])
        return fault_set(e, FAULT_RANGE, "%s: image %zu lies in %.*s, but its class is %s", lists[CUB_LABELS].name,
                         id + 1, (int)(slash - file), file, folder);
    *out = (struct cub_image){file, class - 1, training == 1};
    return 0;
}

static int in_folder_order(const void *a, const void *b)
{
    const struct cub_image *x = a, *y = b;

    return x->label != y->label ? (x->label < y->label ? -1 : 1) : strcmp(x->file, y->file);
}

static int add_images(struct image_source *s, const struct text_lines *lists, const struct joined *j, err *e)
{
    size_t n = j->count[CUB_IMAGES];
    struct cub_image *images = malloc((n + 1) * sizeof *images);

    if (!images)
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    for (size_t i = 0; i < n && !e->code; i++)
        join_one(lists, j, i, &images[i], e);
    if (!e->code)
        qsort(images, n, sizeof *images, in_folder_order);
    for (size_t i = 0; i < n && !e->code; i++) {
        char name[BELOW_NAME_SIZE];

        snprintf(name, sizeof name, "images/%s", images[i].file);
        if (i && !strcmp(images[i - 1].file, images[i].file))
            fault_set(e, FAULT_DUP, "%s: %s is there twice", lists[CUB_IMAGES].name, images[i].file);
        else
            source_add_file(s, images[i].training ? DATASET_TRAIN : DATASET_TEST, name, (int32_t)images[i].label, e);
    }
    free(images);
    return e->code;
}

int cub200_join(struct image_source *s, struct text_lines lists[CUB_LISTS], err *e)
{
    struct joined j = {0};

    for (int k = 0; k < CUB_LISTS && !e->code; k++) {
        text_lines_trim(&lists[k]);
        j.count[k] = lists[k].count;
        j.text[k] = calloc(lists[k].count + 1, sizeof *j.text[k]);
        if (!j.text[k])
            err_set(e, ERR_NOMEM, "%s: out of memory", lists[k].name);
        else
            number_lines(&lists[k], j.text[k], e);
    }
    if (!e->code && !source_classes(s, lists[CUB_CLASSES].name, j.text[CUB_CLASSES], j.count[CUB_CLASSES], e) &&
        !check_counts(lists, &j, e))
        add_images(s, lists, &j, e);
    for (int k = 0; k < CUB_LISTS; k++)
        free(j.text[k]);
    return e->code;
}

static int open_listed(struct image_source *s, err *e)
{
    struct text_lines lists[CUB_LISTS] = {0};

    for (int k = 0; k < CUB_LISTS && !e->code; k++)
        text_lines_read(&s->root, list_names[k], &lists[k], e);
    if (!e->code)
        cub200_join(s, lists, e);
    for (int k = 0; k < CUB_LISTS; k++)
        text_lines_free(&lists[k]);
    return e->code;
}

int kind_cub200_open(struct image_source *s, const struct source_options *options, err *e)
{
    if (below_has_folder(&s->root, "train") && below_has_folder(&s->root, "test"))
        folder_add_both(s, "test", e);
    else
        open_listed(s, e);
    if (!e->code)
        source_published(s, options, s->root.path, s->part[DATASET_TRAIN].count + s->part[DATASET_TEST].count,
                         PUBLISHED_IMAGES, e);
    return e->code;
}
