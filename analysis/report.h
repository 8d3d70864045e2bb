/* analysis/report.h - what there is to say about a sweep, section by section, as a document (document.h).
 *
 * The document borrows from `m` and `a`, which must outlive it. */
#ifndef ANALYSIS_REPORT_H
#define ANALYSIS_REPORT_H

#include "analysis/ablation.h"
#include "analysis/document.h"
#include "analysis/published.h"

struct report_request {
    enum metric main;  /* what comparisons and effects are about */
    const int *wanted; /* (by_count) levels of the baseline, -1: the group's own; NULL: the first group measured */
    const struct published *published; /* NULL: none */
};

/* Fill the document (document_start() has been called).  Also fills the comparisons and factors of `a`.  ERR_NOMEM. */
int report_compose(struct document *d, struct ablation *a, const struct report_request *request, err *e);

#endif
