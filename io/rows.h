/* io/rows.h - rows of io/tables.h as JSON objects: the form they have in messages and in the ledger.
 *
 * One member for each field, in the table's order.  A REAL that is not finite is left out and comes back as NaN.  In
 * texts each byte that is not UTF-8 is a '?' (io/text.h). */
#ifndef IO_ROWS_H
#define IO_ROWS_H

#include <jansson.h>

#include "io/err.h"
#include "io/tables.h"

/* A new reference; NULL only when memory is out. */
json_t *row_to_json(const struct table *t, const void *row);

/* Fill the row from an object.  Strict: every field but REALs must be there, with its JSON type, texts must fit, a KEY
 * must be empty or 32 hexadecimal digits.  Members that the table does not know are passed over, so a message may carry
 * more. ERR_DAMAGED names table and field. */
int row_from_json(const struct table *t, const json_t *object, void *row, err *e);

#endif
