/* analysis/report.h - what there is to say about a sweep, section by section, as a document (document.h).
 *
 * The document borrows from `m` and `a`, which must outlive it. */
#ifndef ANALYSIS_REPORT_H
#define ANALYSIS_REPORT_H

#include "analysis/ablation.h"
#include "analysis/document.h"

/* A row of numbers published elsewhere, to stand beside measured ones: the sweep file's `published`. */
struct published_row {
    int level[MAX_BY]; /* which groups it speaks of: for each option of the grouping a level, or -1 for any */
    struct estimate
        metric[METRIC_COUNT]; /* mean and sd; count 0 where it says nothing; its count is the seeds, if known */
};

struct report_request {
    enum metric main;  /* what comparisons and effects are about */
    const int *wanted; /* (by_count) levels of the baseline, -1: the group's own; NULL: the first group measured */
    size_t published_count;
    const struct published_row *published;
    const char *published_source; /* "" if it names none */
};

/* Fill the document (document_start() has been called).  Also fills the comparisons and factors of `a`.  ERR_NOMEM. */
int report_compose(struct document *d, struct ablation *a, const struct report_request *request, err *e);

#endif
