/* io/containers/fault.h - what can be wrong with a file that came from elsewhere: a closed list of kinds.
 *
 * The readers of containers set an ordinary err whose text ends in the reader and the kind, "... (npz: E_TRUNC)", so that they
 * survive every context that callers put in front of it; fault_of() finds the kind again.  Text says what and where; the kind is
 * what tests and programs may rely on. */
#ifndef IO_CONTAINERS_FAULT_H
#define IO_CONTAINERS_FAULT_H

#include <stddef.h>

#include "io/err.h"

/* name, meaning */
#define FAULTS(X)                                                      \
    X(IO, "the operating system could not read it")                    \
    X(TRUNC, "it ends too early")                                      \
    X(MAGIC, "it is not what it should be")                            \
    X(VERSION, "a version of the format that is not read")             \
    X(LIMIT, "larger than a limit that keeps memory and time bounded") \
    X(OVERFLOW, "a product of sizes does not fit any number")          \
    X(RANGE, "a number points outside of what it may point at")        \
    X(DUP, "something is there twice")                                 \
    X(SYNTAX, "the grammar of the format is broken")                   \
    X(UNSUPPORTED, "legal, and deliberately not read")                 \
    X(CRC, "a checksum does not match")                                \
    X(SHAPE, "a tensor has another shape than the network needs")      \
    X(DTYPE, "a tensor is of a type that is not read")                 \
    X(NONFINITE, "a weight is infinite or not a number")               \
    X(MISSING, "something that must be there is not")                  \
    X(UNKNOWN_KEY, "a tensor that the network has no place for")       \
    X(PATH, "a name that leads out of its folder, or holds forbidden bytes")

enum fault {
    FAULT_NONE = 0,
#define X(name, meaning) FAULT_##name,
    FAULTS(X)
#undef X
        FAULT_COUNT
};

/* Record ERR_DAMAGED with the text and " (E_<kind>)" behind it; a text too long is cut before the kind. */
int fault_set(err *e, enum fault kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* How a kind ends a text, where that is a constant: FAULT_TEXT(TRUNC). */
#define FAULT_TEXT(name) " (E_" #name ")"
/* Give an ERR_DAMAGED that has no kind this one; returns e->code. */
int fault_add(err *e, enum fault kind);
/* Name the reader of what is wrong, unless one is named: "(E_TRUNC)" becomes "(npz: E_TRUNC)".  Returns e->code. */
int fault_reader(err *e, const char *reader);
enum fault fault_of(const err *e);       /* FAULT_NONE if the text names none */
const char *fault_name(enum fault kind); /* "E_TRUNC" */
const char *fault_meaning(enum fault kind);

/* Bytes from a file as text for a message: printable ASCII, "\xNN" for the rest, cut with "..."; returns out. */
enum { ESCAPED_SIZE = 120 };
const char *escaped(char out[ESCAPED_SIZE], const void *bytes, size_t n);

#endif
