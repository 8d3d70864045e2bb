/* io/ledger.h - the ledger: an append-only file of checksummed records, the truth about a sweep.
 *
 * Bytes, all integers little-endian:
 *
 *   16  "sluice ledger 2\n"                           the version is the digit
 *   then records, back to back:
 *    4  n        bytes of payload
 *    4  type     what the payload means; the ledger does not care
 *    8  guard    SHA-256 of (offset of the record, n, type): a length is believed only after its guard
 *   16  check    SHA-256 of (offset, n, type, payload)
 *    n  payload  JSON text by convention
 *
 * A crash while appending can leave a prefix of what was written, or a tail that the file system filled with zeros.
 * Such a torn tail was never acknowledged (ledger_sync() had not returned): replay drops it and says how many bytes it
 * was.  Anything else that disagrees with its checksum is damage, and refused with its offset: nothing that was
 * acknowledged is dropped in silence. */
#ifndef IO_LEDGER_H
#define IO_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

enum { LEDGER_MAX_PAYLOAD = 64 << 20 };

typedef struct ledger ledger;

struct ledger_record {
    uint64_t offset; /* in the file */
    uint32_t type;
    size_t n;
    const char *payload; /* (n) bytes and a terminating zero, borrowed for the time of the call */
};

/* Called for each record in order; an error ends the replay. */
typedef int (*ledger_visitor)(void *context, const struct ledger_record *record, err *e);

struct ledger_summary {
    uint64_t records, bytes; /* whole records, and the end of the last one */
    uint64_t torn;           /* bytes of a torn tail behind it */
};

/* Visit every record without changing the file, which a run may be appending to at this moment.  visit may be NULL.
 * ERR_MISSING if there is no file, ERR_DAMAGED with the offset. */
int ledger_replay(const char *path, ledger_visitor visit, void *context, struct ledger_summary *out, err *e);

/* Replay as above, cut off a torn tail, and open for appending; a file that does not exist is made.  The caller holds
 * the folder's lock: one process at a time. */
int ledger_open(const char *path, ledger_visitor visit, void *context, struct ledger_summary *out, ledger **opened,
                err *e);

/* Add a record in memory.  It is on disk after the next ledger_sync(). */
int ledger_append(ledger *l, uint32_t type, const char *payload, size_t n, err *e);

/* Write and fsync what was appended: one group, one fsync.  Fails with ERR_STORAGE or ERR_SYSTEM, and then the file
 * ends where it ended before (as far as the file system lets us) and every later call fails in the same way. */
int ledger_sync(ledger *l, err *e);

/* What is not synced is lost.  NULL is fine. */
void ledger_close(ledger *l);

struct ledger_salvage {
    uint64_t kept, holes, lost_bytes;
};

/* Copy every intact record of a damaged ledger into a new one at `to` (written aside, synced, renamed). */
int ledger_salvage(const char *path, const char *to, struct ledger_salvage *out, err *e);

#endif
