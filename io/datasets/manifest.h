/* io/datasets/manifest.h - a data set as a CSV file that lists images and their classes.
 *
 * Columns, in any order: `path` (below the manifest's folder) and `label`; perhaps `split` (train, val or test; train
 * where it is empty or left out) and `task` (from 0).  Other columns are passed over with a note, and so are images of
 * the split val.  If every label is an unsigned decimal number, labels are class ids, each of which must occur;
 * otherwise they are names, sorted by their bytes.  Numbers and names together are an error, unless classes.txt, one
 * name a line, says what the classes are and in which order. */
#ifndef IO_DATASETS_MANIFEST_H
#define IO_DATASETS_MANIFEST_H

#include "io/datasets/lists.h"
#include "io/datasets/source.h"

/* Take classes and images from a manifest's text, which ends in a zero beyond `size` and is changed; classes NULL:
 * there is no classes.txt.  E_MISSING (a column, a class id without an image), E_SYNTAX (csv.h; an unknown split;
 * labels of both kinds), E_RANGE (a class id of 65536 or more; a label that classes.txt lacks), E_DUP (a file twice in
 * one split), E_PATH. */
int manifest_read(struct image_source *s, const char *name, char *text, size_t size, const struct text_lines *classes,
                  err *e);

#endif
