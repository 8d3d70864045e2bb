/* worker/sheet.h - contact sheets: some images of each of several classes, with the classes' names, as one PNG to look
 * at. */
#ifndef WORKER_SHEET_H
#define WORKER_SHEET_H

#include "io/dataset.h"
#include "io/err.h"

enum { SHEET_SIDE = 64, SHEET_GAP = 4, SHEET_COLUMNS_MOST = 100, SHEET_CLASSES_MOST = 400 };

struct sheet {
    const struct dataset *data;
    enum dataset_part part;
    const char *title;
    const int *classes; /* (count): a row each, in this order */
    int count;          /* at most SHEET_CLASSES_MOST */
    int columns;        /* images of a class: its first ones in file order; at most SHEET_COLUMNS_MOST */
};

/* Draw the sheet; the file appears complete or not at all.  Images are scaled to fit squares of SHEET_SIDE pixels.
 * ERR_DAMAGED for an image that cannot be read, ERR_STORAGE, ERR_NOMEM. */
int sheet_write(const struct sheet *sheet, const char *path, err *e);

#endif
