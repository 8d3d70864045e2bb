/* io/clock.h - the clocks, in seconds. */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

double clock_monotonic(void); /* for spans of time: it never jumps */
double clock_wall(void);      /* since 1970-01-01 00:00 UTC */
double clock_cpu(void);       /* of processor time that this process has used, all its threads together */

#endif
