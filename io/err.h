/* io/err.h - the one error type.  It allocates nothing and calls no library above libc, so every room may use it.
 *
 * A function that can fail takes a last argument `err *e` (never NULL) and returns 0 or e->code.  It fails with
 *     return err_set(e, ERR_CONFIG, "%s:%d: ...", ...);
 * and callers on the way up may put their place in front: return err_context(e, "trial %d", n).  Only the command layer
 * (main.c and the rooms' command functions) prints an error and turns it into an exit status. */
#ifndef IO_ERR_H
#define IO_ERR_H

/* name, exit status of a command that ends with it, meaning.  The exit statuses are docs/interface.md's. */
#define ERR_CODES(X)                                                    \
    X(USAGE, 2, "the command line is wrong")                            \
    X(CONFIG, 2, "a file that the user wrote is wrong")                 \
    X(MISSING, 2, "something that the user must provide is missing")    \
    X(DAMAGED, 3, "a file is damaged or unreadable")                    \
    X(STORAGE, 75, "the output folder cannot be written")               \
    X(INTERRUPTED, 75, "stopped before the end; run again to continue") \
    X(BUSY, 2, "another process is using it")                           \
    X(SHAPE, 1, "tensor shapes disagree")                               \
    X(DIVERGED, 1, "a loss or a weight is not finite")                  \
    X(DATA, 1, "the data cannot be used as configured")                 \
    X(NOMEM, 1, "out of memory")                                        \
    X(SYSTEM, 1, "the operating system refused")                        \
    X(WORKER, 1, "a worker died, hung or answered nonsense")            \
    X(BUG, 1, "a programming error in sluice; please report it")

enum err_code {
    ERR_NONE = 0,
#define X(name, status, meaning) ERR_##name,
    ERR_CODES(X)
#undef X
        ERR_COUNT
};

typedef struct err {
    enum err_code code; /* ERR_NONE until something fails */
    char text[1000];    /* outermost context first: "trial 17: wtp task 2: loss is not finite ..." */
} err;

/* Record a failure and return its code.  A long text is cut, with "..." at the end.  errno is preserved. */
int err_set(err *e, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Record ERR_SYSTEM (ERR_STORAGE for ENOSPC, EDQUOT and EROFS, ERR_NOMEM for ENOMEM) with errno's text behind it. */
int err_errno(err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "context: " in front of the text; returns e->code unchanged. */
int err_context(err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *err_name(enum err_code code);    /* "CONFIG" */
const char *err_meaning(enum err_code code); /* the sentence of the table */
enum err_code err_by_name(const char *name); /* ERR_COUNT if there is none */
int err_exit_status(enum err_code code);     /* 0 for ERR_NONE */

#endif
