/* io/datasets/image_folder.c - any images in folders, one for each class: train/ and test/ (or val/) with the same
 * classes, or the classes alone, each of which is then divided four to one. */
#include "io/containers/fault.h"
#include "io/datasets/folder.h"
#include "io/datasets/kinds.h"

static int open_undivided(struct image_source *s, const struct source_options *options, err *e)
{
    struct folder_names classes;
    uint32_t seed = options->seeded ? options->seed : 42;

    if (folder_classes(s, "", NULL, &classes, e))
        return e->code;
    if (!source_classes(s, s->root.path, (const char *const *)classes.names, classes.count, e) &&
        !folder_add_classes(s, DATASET_TRAIN, "", &classes, e))
        folder_split_classes(s, seed, e);
    folder_names_free(&classes);
    if (!e->code)
        source_note(
            s, "there is no train/ and test/: four of five images of each class were drawn for training with seed %u",
            seed);
    return e->code;
}

int kind_folder_open(struct image_source *s, const struct source_options *options, err *e)
{
    static const char *const divided[] = {"train", "test", "val", NULL};
    bool train = below_has_folder(&s->root, "train"), test = below_has_folder(&s->root, "test"),
         val = below_has_folder(&s->root, "val");

    if (!train && !test)
        return open_undivided(s, options, e);
    if (!train || (!test && !val))
        return fault_set(e, FAULT_MISSING, "%s: train/ needs a folder test/ or val/ beside it, and the other way round",
                         s->root.path);
    if (folder_check_divided(s, divided, e))
        return e->code;
    if (test && val)
        source_note(s, "val/ was passed over: the images of test/ are the test part");
    return folder_add_both(s, test ? "test" : "val", e);
}
