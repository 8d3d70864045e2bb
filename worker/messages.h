/* worker/messages.h - what rank 0 and the workers say to each other over MPI.
 *
 * Every message is a structure of fixed size, checked on receipt, and for some a text behind it.  All ranks of a job
 * run the same program on the same kind of machine, so numbers are the machine's.
 *
 *   worker                       rank 0
 *     HELLO   ->                             once, when it is ready for work
 *             <-  WELCOME                    the answer, so the worker can see rank 0 die
 *             <-  LEASE                      run this stage; several may be waiting in the worker, run in order
 *     BEAT    ->                             now and then, with the progress of the running stage
 *             <-  BEAT                       now and then: a worker that hears nothing for its patience leaves
 *             <-  REVOKE                     the lease is void: stop the stage, forget it, say nothing more of it
 *     DONE    ->                             a stage is finished
 *     FAILED  ->                             an attempt ended otherwise
 *             <-  STOP                       stop the running stage soon (its end is told), drop the waiting ones
 *             <-  QUIT                       leave now
 */
#ifndef WORKER_MESSAGES_H
#define WORKER_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/digest.h"
#include "worker/causes.h"

struct hello_message {
    int32_t pid, cores;
    int32_t threads, pad; /* of the trainer; in WELCOME 0: as the worker thinks best */
    int64_t memory;       /* bytes of the host */
    char host[64];
};

struct lease_message { /* text: the stage job */
    uint64_t lease;
    double seconds, bytes; /* limits, 0: none */
    char label[64];        /* for the log: "trial 7 wtp 2" */
};

struct beat_message {
    uint64_t lease; /* the running one, 0: none */
    int32_t epoch, epochs;
    double fraction, loss;
    char phase[32];
};

struct done_message { /* text: JSON {"accuracy": [...], "training": [...]} */
    uint64_t lease;
    double started, seconds;
    double trained_seconds; /* as the trainer says */
    int64_t parameters;
    struct digest digest;
};

struct failed_message { /* text: why */
    uint64_t lease;
    double started, seconds;
    int32_t cause, pad;
};

struct revoke_message {
    uint64_t lease;
};

struct plain_message { /* for what needs no words */
    uint64_t zero;
};

struct quit_message {
    uint64_t abrupt; /* a rank has died, so MPI_Finalize() would wait for ever: just leave */
};

/* X(name, structure, may text follow) */
#define MESSAGES(X)                     \
    X(HELLO, struct hello_message, 0)   \
    X(WELCOME, struct hello_message, 0) \
    X(BEAT, struct beat_message, 0)     \
    X(DONE, struct done_message, 1)     \
    X(FAILED, struct failed_message, 1) \
    X(LEASE, struct lease_message, 1)   \
    X(REVOKE, struct revoke_message, 0) \
    X(STOP, struct plain_message, 0)    \
    X(QUIT, struct quit_message, 0)

enum message_tag {
    TAG_NONE,
#define X(name, structure, text) TAG_##name,
    MESSAGES(X)
#undef X
        TAG_COUNT
};

const char *message_name(int tag);
/* Is a message of n bytes as long as its tag says? */
bool message_fits(int tag, size_t n);
size_t message_head(int tag); /* bytes of its structure */

#endif
