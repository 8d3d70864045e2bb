/* io/places.h - the folders in which things that have a name are looked for, in order. */
#ifndef IO_PLACES_H
#define IO_PLACES_H

#include <stdbool.h>

#include "io/err.h"

enum { PLACES_MAX = 32, PATH_SIZE = 1024 };

struct places {
    int count;
    char folder[PLACES_MAX][PATH_SIZE];
};

/* Add folders of a list separated by colons, as in an environment variable; NULL adds none.  Folders beyond PLACES_MAX,
 * and longer than a path may be, are passed over. */
void places_add(struct places *p, const char *list);
/* Add <home>/<below>, where HOME is set. */
void places_add_home(struct places *p, const char *below);
/* "a, b, c", cut where it does not fit; "nowhere" without any. */
const char *places_text(const struct places *p, char text[600]);

/* Whether a text can be the name of a file without leaving its folder: 1 to 63 letters, digits, '.', '_', '-', not
 * starting with a dot. */
bool place_name_valid(const char *name);
/* <folder>/<name><suffix> into path; false if it does not fit or is not a file (a folder, if `is_folder`). */
bool place_find(const char *folder, const char *name, const char *suffix, bool is_folder, char path[PATH_SIZE]);

/* Where a new thing of that name is kept: NAME.h5 in the first folder of the environment variable's list, or in
 * <home>/<below>.  The folder is made if it is missing.  ERR_CONFIG if that is no name, ERR_STORAGE if the folder
 * cannot be made. */
int place_to_keep(const char *variable, const char *below, const char *name, char path[PATH_SIZE], err *e);

#endif
