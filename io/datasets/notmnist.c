/* io/datasets/notmnist.c - notMNIST: Train/A .. J and Test/A .. J with PNG files of 28 by 28 pixels.
 *
 * Its makers give no numbers of images.  Those that the literature reports are compared, and a difference is only noted.
 *
 * Some of the published files are broken.  Like the official code, which skips what it cannot decode, an import skips
 * them by default, but counts them and fails if they are more than one in a thousand. */
#include "io/datasets/folder.h"
#include "io/datasets/kinds.h"

enum { SIDE = 28, CLASSES = 10, REPORTED_TRAINING = 16853, REPORTED_TEST = 1873 };
static const char *const letters[CLASSES] = {"A", "B", "C", "D", "E", "F", "G", "H", "I", "J"};

int kind_notmnist_open(struct image_source *s, const struct source_options *options, err *e)
{
    bool nested = below_has_folder(&s->root, "notMNIST/Train");
    const char *const folders[DATASET_PARTS] = {
        [DATASET_TRAIN] = nested ? "notMNIST/Train" : "Train", [DATASET_TEST] = nested ? "notMNIST/Test" : "Test"};

    (void)options;
    if (!below_has_folder(&s->root, folders[DATASET_TRAIN]) || !below_has_folder(&s->root, folders[DATASET_TEST]))
        return err_set(e, ERR_MISSING, "%s: holds no folders Train and Test", s->root.path);
    s->height = s->width = SIDE;
    if (source_classes(s, s->root.path, letters, CLASSES, e))
        return e->code;
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int32_t label = 0; label < CLASSES; label++)
            if (folder_add_class(s, part, folders[part], letters[label], label, e))
                return e->code;
    if (s->part[DATASET_TRAIN].count != REPORTED_TRAINING || s->part[DATASET_TEST].count != REPORTED_TEST)
        source_note(s, "%zu training and %zu test images; the literature reports %d and %d",
                    s->part[DATASET_TRAIN].count, s->part[DATASET_TEST].count, REPORTED_TRAINING, REPORTED_TEST);
    return 0;
}
