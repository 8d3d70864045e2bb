/* tests/analysis/sample_store.h - a results.h5 of a sweep that nobody ran: two methods, gates, prompt lengths, seeds. */
#ifndef TESTS_ANALYSIS_SAMPLE_STORE_H
#define TESTS_ANALYSIS_SAMPLE_STORE_H

#include <stdbool.h>

#include "io/store.h"

struct sample {
    int gates, lengths, seeds; /* gates up to 6; trials = gates * lengths * seeds */
    int tasks;
    int finished; /* trials done, from the first; the rest is waiting */
    int ranks;
    bool failure; /* trial 1 failed */
};

/* The same numbers for the same sample. */
int sample_store_write(const char *path, const struct sample *s, err *e);

#endif
