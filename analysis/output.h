/* analysis/output.h - where a report goes: to a stream, or into a folder as complete files. */
#ifndef ANALYSIS_OUTPUT_H
#define ANALYSIS_OUTPUT_H

#include "analysis/formats.h"

/* The whole document, or only one table, in a format made for one stream.  A format with a file for each table writes
 * `only`, or the first table. */
int output_stream(const struct document *d, const struct report_format *format, const struct report_table *only,
                  FILE *out, err *e);

/* Into the folder, which is made if it does not exist: report.<extension> for each format, or <table>.<extension> where
 * a file holds one table.  Each file appears complete or not at all.  `told` (NULL: nobody) gets the path of each file.
 */
int output_folder(const struct document *d, const struct report_format *const *formats, int count,
                  const struct report_table *only, const char *folder, FILE *told, err *e);

/* Make the folder unless it is there.  ERR_USAGE if the folder above it does not exist, ERR_STORAGE or ERR_SYSTEM. */
int output_make_folder(const char *folder, err *e);

/* Every picture as <id>.svg and <id>.png into the folder. */
int output_pictures(const struct document *d, const char *folder, FILE *told, err *e);

#endif
