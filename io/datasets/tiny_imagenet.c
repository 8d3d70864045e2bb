/* io/datasets/tiny_imagenet.c - Tiny-ImageNet-200: train/<wnid>/images/, and val/images/ with val/val_annotations.txt.
 *
 * The published test images have no labels; the validation images are the test part, as in the official code, which
 * sorts them into test/<wnid>/images/: that layout is taken too.  A label is the place of the wnid in the sorted list,
 * which is not the order of wnids.txt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/datasets/folder.h"
#include "io/datasets/kinds.h"
#include "io/datasets/lists.h"

enum { ANNOTATION_FIELDS = 6, PUBLISHED_TRAINING = 100000, PUBLISHED_TEST = 10000 };

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int find_class(const struct folder_names *classes, const char *wnid)
{
    const char **at = bsearch(&wnid, classes->names, classes->count, sizeof *classes->names, compare_texts);

    return at ? (int)(at - (const char **)classes->names) : -1;
}

/* wnids.txt, where it is there, must name the classes of train/. */
static int check_wnids(struct image_source *s, const struct folder_names *classes, err *e)
{
    struct text_lines lines;

    if (!below_has(&s->root, "wnids.txt"))
        return 0;
    if (text_lines_read(&s->root, "wnids.txt", &lines, e))
        return e->code;
    text_lines_trim(&lines);
    qsort(lines.lines, lines.count, sizeof *lines.lines, compare_texts);
    if (!folder_names_equal(classes, &(struct folder_names){lines.lines, lines.count}))
        fault_set(e, FAULT_MISSING, "%s: wnids.txt names %zu classes, train/ has %zu, and they are not the same",
                  s->root.path, lines.count, classes->count);
    text_lines_free(&lines);
    return e->code;
}

struct annotation {
    const char *file;
    int label;
};

static int in_folder_order(const void *a, const void *b)
{
    const struct annotation *x = a, *y = b;

    return x->label != y->label ? x->label - y->label : strcmp(x->file, y->file);
}

/* "file wnid x0 y0 x1 y1", separated by tabs. */
static int read_annotation(const struct text_lines *lines, size_t i, const struct folder_names *classes,
                           struct annotation *out, err *e)
{
    char *fields[ANNOTATION_FIELDS];

    if (text_fields(lines, i, '\t', ANNOTATION_FIELDS, fields, e))
        return e->code;
    out->file = fields[0];
    out->label = find_class(classes, fields[1]);
    if (out->label < 0)
        return fault_set(e, FAULT_RANGE, "%s:%zu: there is no class '%.40s' in train/", lines->name, i + 1, fields[1]);
    if (strchr(fields[0], '/'))
        return fault_set(e, FAULT_PATH, "%s:%zu: '%.80s' is no plain file name", lines->name, i + 1, fields[0]);
    return below_name_check(lines->name, fields[0], e);
}

static int add_annotated(struct image_source *s, const struct folder_names *classes, struct text_lines *lines, err *e)
{
    struct annotation *all;

    text_lines_trim(lines);
    if (!(all = malloc((lines->count + 1) * sizeof *all)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", lines->name);
    for (size_t i = 0; i < lines->count && !e->code; i++)
        read_annotation(lines, i, classes, &all[i], e);
    if (!e->code)
        qsort(all, lines->count, sizeof *all, in_folder_order);
    for (size_t i = 0; i < lines->count && !e->code; i++) {
        char name[BELOW_NAME_SIZE];

        snprintf(name, sizeof name, "val/images/%s", all[i].file);
        if (i && all[i].label == all[i - 1].label && !strcmp(all[i].file, all[i - 1].file))
            fault_set(e, FAULT_DUP, "%s: %s is there twice", lines->name, all[i].file);
        else
            source_add_file(s, DATASET_TEST, name, all[i].label, e);
    }
    free(all);
    return e->code;
}

static int add_test(struct image_source *s, const struct folder_names *classes, err *e)
{
    static const char *const sorted[] = {"test", "val"};
    struct text_lines lines;
    char name[BELOW_NAME_SIZE];

    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s", sorted[i], classes->names[0]);
        if (below_has_folder(&s->root, name))
            return folder_add_classes(s, DATASET_TEST, sorted[i], classes, e);
    }
    if (text_lines_read(&s->root, "val/val_annotations.txt", &lines, e))
        return e->code;
    add_annotated(s, classes, &lines, e);
    text_lines_free(&lines);
    return e->code;
}

int kind_tiny_imagenet_open(struct image_source *s, const struct source_options *options, err *e)
{
    struct folder_names classes = {0};

    if (!folder_classes(s, "train", NULL, &classes, e) && !check_wnids(s, &classes, e) &&
        !source_classes(s, s->root.path, (const char *const *)classes.names, classes.count, e) &&
        !folder_add_classes(s, DATASET_TRAIN, "train", &classes, e))
        add_test(s, &classes, e);
    folder_names_free(&classes);
    if (!e->code &&
        !source_published(s, options, "the training part", s->part[DATASET_TRAIN].count, PUBLISHED_TRAINING, e))
        source_published(s, options, "the test part", s->part[DATASET_TEST].count, PUBLISHED_TEST, e);
    return e->code;
}
