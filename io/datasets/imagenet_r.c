/* io/datasets/imagenet_r.c - ImageNet-R: 200 folders of images, which nobody has divided into training and test images.
 *
 * The official code draws 24,000 images for training with torch.randperm(30000) after seeding with 42, and moves the
 * files to train/ and test/ once; whoever runs it with another seed later keeps that split.  Here:
 *   train/ and test/ are there    they are taken
 *   only the classes              the split is drawn in memory as the official code would
 *   two lists are given           they say which image is of which part (CODA-Prompt's YAML files, or a name a line)
 * A label is the place of the class's folder in the sorted list, also with CODA-Prompt's lists, whose numbers are in
 * another order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/checksum.h"
#include "io/datasets/folder.h"
#include "io/datasets/kinds.h"
#include "io/datasets/lists.h"

enum { PUBLISHED_IMAGES = 30000, OFFICIAL_SEED = 42 };

/* SHA-256 of sorted listings, one name a line: of all images, and of the test images of known splits. */
static const char all_listing[] = "d96f7f1d5aa61e3dc77e4f5821b1c9a11bccc647368917ff5b442ff1bbe3dbe9";
static const struct {
    const char *test_listing, *what;
} splits[] = {
    {"efda75d67264be5230c4660b38bb88421c32b96e36e15c9a5f2a0447744d5191", "the official code's with seed 42"},
    {"524afde876563993d1e8ce5e38b638a0b394adb503ce7d09b0576ac5522dd3dd", "the official code's with seed 40"},
    {"129174a5984f29fd81e7d2292ad0a6e8283597c4fef4e4757c528bc5e6846819", "the official code's with seed 44"},
    {"524a3ebf6dac30228a30387443c2c30a21c483b6d0d3c57768f74edd60cfecc3", "CODA-Prompt's"},
};

static const char *const divided[] = {"train", "test", NULL};

/* Tell which split this is. */
static int note_split(struct image_source *s, const char *prefix, err *e)
{
    char hex[CHECKSUM_HEX];
    size_t all = s->part[DATASET_TRAIN].count + s->part[DATASET_TEST].count;

    if (source_listing_sum(s, DATASET_TEST, prefix, hex, e))
        return e->code;
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++)
        if (!strcmp(hex, splits[i].test_listing)) {
            source_note(s, "the split is %s", splits[i].what);
            return 0;
        }
    source_note(s, "the split is none of the published ones (%zu images, of which %zu for testing; %d were published)",
                all, s->part[DATASET_TEST].count, PUBLISHED_IMAGES);
    return 0;
}

/* The classes are the folders of `folder`. */
static int take_classes(struct image_source *s, const char *folder, struct folder_names *classes, err *e)
{
    if (!folder_classes(s, folder, NULL, classes, e))
        source_classes(s, s->root.path, (const char *const *)classes->names, classes->count, e);
    return e->code;
}

static int open_divided(struct image_source *s, err *e)
{
    if (!folder_check_divided(s, divided, e) && !folder_add_both(s, "test", e))
        note_split(s, "test/", e);
    return e->code;
}

static int open_undivided(struct image_source *s, uint32_t seed, err *e)
{
    struct folder_names classes = {0};
    char hex[CHECKSUM_HEX];

    if (!take_classes(s, "", &classes, e) && !folder_add_classes(s, DATASET_TRAIN, "", &classes, e) &&
        !source_listing_sum(s, DATASET_TRAIN, "", hex, e)) {
        if (strcmp(hex, all_listing))
            source_note(s,
                        "the file names are not the published ones (%zu images, %d were published), so the split "
                        "will not be the published one",
                        s->part[DATASET_TRAIN].count, PUBLISHED_IMAGES);
        if (!folder_split(s, seed, e))
            note_split(s, "", e);
    }
    folder_names_free(&classes);
    return e->code;
}

/* ---------------------------------------------------------------- lists */

/* The class of a listed file: the name of its folder. */
static int class_of(const struct folder_names *classes, const char *name)
{
    const char *slash = strchr(name, '/');

    for (size_t i = 0; slash && i < classes->count; i++)
        if (strlen(classes->names[i]) == (size_t)(slash - name) &&
            !strncmp(classes->names[i], name, (size_t)(slash - name)))
            return (int)i;
    return -1;
}

/* The file that a line names, without what YAML and the other code's folders put in front; NULL if it names none. */
static const char *listed_file(const char *line)
{
    const char *prefix;

    if (line[0] == '-' && line[1] == ' ')
        line += 2;
    prefix = strstr(line, "imagenet-r/");
    if (prefix)
        line = prefix + strlen("imagenet-r/");
    return strchr(line, '/') ? line : NULL;
}

static int add_listed(struct image_source *s, enum dataset_part part, const char *path,
                      const struct folder_names *classes, err *e)
{
    struct text_lines lines;
    char shown[ESCAPED_SIZE];

    if (text_lines_read_path(path, &lines, e))
        return e->code;
    for (size_t i = 0; i < lines.count && !e->code; i++) {
        const char *file = listed_file(lines.lines[i]);
        int label = file ? class_of(classes, file) : -1;

        if (!strncmp(lines.lines[i], "targets:", 8)) /* CODA-Prompt's own numbers of the classes follow */
            break;
        if (!*lines.lines[i] || !strcmp(lines.lines[i], "data:"))
            continue;
        if (label < 0)
            fault_set(e, FAULT_SYNTAX, "%s:%zu: '%s' is no file in one of the classes' folders", path, i + 1,
                      escaped(shown, lines.lines[i], strlen(lines.lines[i])));
        else if (!below_name_check(path, file, e))
            source_add_file(s, part, file, label, e);
    }
    text_lines_free(&lines);
    return e->code;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No image twice, in one list or in both. */
static int check_once(const struct image_source *s, err *e)
{
    size_t n = 0, all = s->part[DATASET_TRAIN].count + s->part[DATASET_TEST].count;
    const char **names = malloc((all + 1) * sizeof *names);

    if (!names)
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    for (int part = 0; part < DATASET_PARTS; part++)
        for (size_t i = 0; i < s->part[part].count; i++)
            names[n++] = s->part[part].files[i];
    qsort(names, n, sizeof *names, compare_texts);
    for (size_t i = 1; i < n && !e->code; i++)
        if (!strcmp(names[i - 1], names[i]))
            fault_set(e, FAULT_DUP, "the lists name %s twice", names[i]);
    free(names);
    return e->code;
}

static int open_listed(struct image_source *s, const struct source_options *options, err *e)
{
    struct folder_names classes = {0};

    if (!options->list[DATASET_TRAIN] || !options->list[DATASET_TEST])
        return err_set(e, ERR_USAGE, "give both --part-train LIST and --part-test LIST");
    if (!take_classes(s, "", &classes, e))
        for (int part = 0; part < DATASET_PARTS; part++)
            if (add_listed(s, part, options->list[part], &classes, e))
                break;
    folder_names_free(&classes);
    if (!e->code && !check_once(s, e))
        note_split(s, "", e);
    return e->code;
}

int kind_imagenet_r_open(struct image_source *s, const struct source_options *options, err *e)
{
    bool train = below_has_folder(&s->root, "train"), test = below_has_folder(&s->root, "test");

    if (options->list[DATASET_TRAIN] || options->list[DATASET_TEST])
        return open_listed(s, options, e);
    if (train != test)
        return fault_set(e, FAULT_MISSING, "%s: has %s/ without %s/", s->root.path, train ? "train" : "test",
                         train ? "test" : "train");
    return train ? open_divided(s, e) : open_undivided(s, options->seeded ? options->seed : OFFICIAL_SEED, e);
}
