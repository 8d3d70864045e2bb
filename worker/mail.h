/* worker/mail.h - MPI messages without waiting.
 *
 * Open MPI's blocking calls spin, and wait for ever for a rank that died in the middle of a message.  So everything
 * here is posted and asked after: sending keeps its own copy until MPI is done with it, receiving gives a message out
 * once it is whole, in the order in which each rank sent them.  What a dead rank left half sent stays pending and harms
 * nobody.
 *
 * Letters to one rank wait for mail_flush() and go as one MPI message, a packet: a message costs more than most letters. */
#ifndef WORKER_MAIL_H
#define WORKER_MAIL_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/err.h"

typedef struct mail mail;

struct letter {
    int from, tag;
    size_t n;
    char *bytes; /* (n) and a terminating zero; valid until the next mail_next() */
};

/* comm is borrowed; errors on it are returned from now on, not fatal. */
int mail_open(MPI_Comm comm, mail **out, err *e);
/* What is still pending is given up, which MPI_Finalize() may not like: see mail_pending(). */
void mail_close(mail *m);

/* Put a letter of two parts, either of which may be empty, into the packet for that rank; a packet that has grown large goes
 * at once. */
int mail_send(mail *m, int to, int tag, const void *head, size_t n_head, const void *body, size_t n_body, err *e);
/* Hand all packets over to MPI.  A rank that cannot be reached loses its packet: it is found gone soon. */
void mail_flush(mail *m);
/* The next letter; false if there is none. */
bool mail_next(mail *m, struct letter *out);
/* Forget the half-received messages of a rank that is given up. */
void mail_forget(mail *m, int rank);
/* Packets handed over and not yet taken over by MPI. */
int mail_pending(mail *m);

#endif
