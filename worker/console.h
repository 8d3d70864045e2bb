/* worker/console.h - a host (host.h) for a trainer that runs alone: progress on stderr, stops at SIGINT and SIGTERM.
 *
 * On a terminal, progress is one line with a bar, shown anew five times a second and whenever the phase changes; otherwise a
 * plain line every ten seconds. */
#ifndef WORKER_CONSOLE_H
#define WORKER_CONSOLE_H

#include <signal.h>
#include <stdio.h>

#include "worker/host.h"

struct console {
    struct host host; /* give this to the trainer; its rows are dropped unless the caller sets its own functions */
    const char *title;
    double started, shown; /* seconds */
    double from, to;       /* the share of the whole that the next stage is: 0 and 1 at first */
    double first;          /* the share that was done when it began; -1: not known yet */
    const char *phase;     /* that is shown; NULL: none */
    double counted;        /* seconds, when images were counted first; 0: they are not */
    size_t images;         /* that had been counted then */
    bool terminal;
    struct sigaction before[2];
};

/* The line of progress without line ends, in at most `size` - 1 bytes. */
void console_line(struct console *c, const struct progress *p, double now, char *line, size_t size);
/* A stream for other lines to stderr while there is progress, which stand above it.  The caller closes it, before
 * console_close(). */
FILE *console_lines(struct console *c);
void console_open(struct console *c, const char *title);
void console_close(struct console *c); /* ends the progress line, gives the signals back */

#endif
