/* worker/console.h - a host (host.h) for a trainer that runs alone: progress on stderr, stops at SIGINT and SIGTERM. */
#ifndef WORKER_CONSOLE_H
#define WORKER_CONSOLE_H

#include <signal.h>

#include "worker/host.h"

struct console {
    struct host host; /* give this to the trainer; its rows are dropped unless the caller sets its own functions */
    const char *title;
    double started, shown; /* seconds */
    double from, to;       /* the share of the whole that the next stage is: 0 and 1 at first */
    double first;          /* the share that was done when it began; -1: not known yet */
    bool terminal;
    struct sigaction before[2];
};

void console_open(struct console *c, const char *title);
void console_close(struct console *c); /* ends the progress line, gives the signals back */

#endif
