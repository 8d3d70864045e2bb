/* analysis/export.h - the tables of a sweep for other programs. */
#ifndef ANALYSIS_EXPORT_H
#define ANALYSIS_EXPORT_H

#include <stdio.h>

#include "io/store.h"

/* Every table as <folder>/<table>.csv (RFC 4180, bare line feeds, numbers in full, nothing for what does not exist), the attributes
 * as attributes.csv, and fields.csv: unit and meaning of every field.  The folder is made; `told` (NULL: nobody) gets the paths. */
int export_csv(const struct results *r, const char *folder, FILE *told, err *e);

/* One HDF5 file: the tables of `path` and every checkpoint of /stages that lies under <folder>/checkpoints (io/pack.h).
 * packed, gone: how many checkpoints went in, and how many are no longer there. */
int export_pack(const struct results *r, const char *path, const char *folder, const char *to, size_t *packed,
                size_t *gone, uint64_t *bytes, err *e);

#endif
