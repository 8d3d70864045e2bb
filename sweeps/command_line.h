/* sweeps/command_line.h - the command line of commands that take a sweep: SWEEP.yaml [KEY=VALUE ...] and options of their own. */
#ifndef SWEEPS_COMMAND_LINE_H
#define SWEEPS_COMMAND_LINE_H

#include <stdbool.h>

#include "sweeps/sweep.h"

enum { COMMAND_LINE_OPTIONS = 12 };

/* An option --name: a flag, a positive number or a text, whichever has a place to go to. */
struct command_line_option {
    const char *name;
    bool *flag;
    double *number;
    const char **text;
};

struct command_line {
    const char *sweep;            /* its file */
    const char *const *overrides; /* KEY=VALUE */
    int overrides_count;
    bool help; /* --help was given, and nothing else counts */
};

/* argv[0] is the command's name.  At most COMMAND_LINE_OPTIONS options.  ERR_USAGE, with what to look at. */
int command_line_read(int argc, char **argv, const struct command_line_option *options, int count,
                      struct command_line *out, err *e);

/* Tell what is wrong as "sluice VERB: text": each problem of a sweep that could not be read, or else the error.  Returns the exit
 * status. */
int command_line_complain(const char *verb, const struct sweep *sweep, const err *e);

/* "45 s", "34 min", "5.6 h", "78 days": whichever reads best. */
const char *command_line_duration(double seconds, char text[32]);

#endif
