/* tests/analysis/sample_store.h - a results.h5 of a sweep that nobody ran: two methods, gates, prompt lengths, seeds. */
#ifndef TESTS_ANALYSIS_SAMPLE_STORE_H
#define TESTS_ANALYSIS_SAMPLE_STORE_H

#include <stdbool.h>

#include "io/store.h"

/* What the file says that cannot be. */
enum lie { LIE_NONE, LIE_TRIAL_TWICE, LIE_NO_SUCH_TRIAL, LIE_STATUS, LIE_TASK, LIE_YAML };

struct sample {
    int gates, lengths, seeds; /* gates up to 6; trials = gates * lengths * seeds */
    int tasks;
    int finished; /* trials done, from the first; the rest is waiting */
    int ranks;
    int stages;   /* finished ones of each trial that is done, with an attempt each; 0: one */
    bool phases;  /* accuracies before alignment too */
    bool failure; /* trial 1 failed */
    enum lie lie;
};

/* The same numbers for the same sample. */
int sample_store_write(const char *path, const struct sample *s, err *e);

#endif
