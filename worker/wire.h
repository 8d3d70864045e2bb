/* worker/wire.h - frames between a supervisor and its trainer child, over one socket pair.
 *
 * A frame is 4 bytes of mark and type, 4 bytes of length, and the payload.  Both ends run on one machine, so integers
 * are the machine's.  A frame with an unknown mark or type, or longer than its type allows, is nonsense: ERR_WORKER,
 * before a byte of it is believed. */
#ifndef WORKER_WIRE_H
#define WORKER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

/* X(name, largest payload in bytes, meaning) */
#define FRAMES(X)                                                                             \
    X(JOB, 64 << 20, "to the child: run this stage; text of sweeps/stage.h")                  \
    X(STOP, 0, "to the child: save a part checkpoint and end the stage soon")                 \
    X(PROGRESS, 4096, "to the supervisor: JSON of struct progress")                           \
    X(ACCURACY, 65536, "to the supervisor: JSON of a struct accuracy_row")                    \
    X(TRAINING, 65536, "to the supervisor: JSON of a struct training_row")                    \
    X(DONE, 4096, "to the supervisor: JSON of a struct stage_outcome; the stage is finished") \
    X(FAILED, 16384, "to the supervisor: JSON {code, text} of an err; the stage has failed")

enum frame_type {
#define X(name, limit, meaning) FRAME_##name,
    FRAMES(X)
#undef X
        FRAME_TYPES
};

const char *frame_name(enum frame_type type);

struct frame {
    enum frame_type type;
    size_t n;
    const char *payload; /* (n) bytes, not terminated, borrowed until the next wire_next() or wire_fill() */
};

struct buffer {
    char *bytes;
    size_t used, room, start; /* what lies before start has been dealt with */
};

/* One end.  Plain data; wire_open() sets it, wire_close() frees it. */
struct wire {
    int fd;     /* non-blocking, owned; -1 when closed */
    bool ended; /* the other end is gone */
    struct buffer in, out;
    size_t held; /* bytes of the frame last given out */
};

int wire_open(struct wire *w, int fd, err *e);
void wire_close(struct wire *w);

/* Put a frame in the queue of what goes out, and send as much of the queue as the socket takes. */
int wire_send(struct wire *w, enum frame_type type, const void *payload, size_t n, err *e);
/* Send more of the queue; `wait`: all of it. */
int wire_flush(struct wire *w, bool wait, err *e);
bool wire_has_unsent(const struct wire *w);

/* Take in what has arrived, without waiting; sets ended when the other end closed. */
int wire_fill(struct wire *w, err *e);
/* The next whole frame: *got tells if there is one.  ERR_WORKER on nonsense. */
int wire_next(struct wire *w, struct frame *f, bool *got, err *e);

#endif
