/* worker/part.h - part files: what an attempt at a stage leaves for the next one.
 *
 * A stage is a sequence of loops, and each kind of loop keeps its state in a file of its own beside the stage's checkpoint,
 * KEY.h5.NAME.part.  It is written when the host says stop, and whenever checkpoint.seconds have passed since the stage wrote one
 * (longer where writing takes long).  The next attempt goes through the same loops and finds each where it was left.  What a loop
 * computes is a function of the stage's key alone, so the result has the same bytes, and a part file that is missing, damaged or
 * of another stage costs time and nothing else: it is dropped. */
#ifndef WORKER_PART_H
#define WORKER_PART_H

#include "io/h5.h"
#include "worker/stage_run.h"

#define PARTS(P) P(train) P(align) P(train_rows) P(test_rows) P(later_train_rows) P(later_test_rows)
enum part {
#define P(name) PART_##name,
    PARTS(P)
#undef P
        PART_COUNT
};

/* An array of a state, in memory of the caller. */
struct part_array {
    const char *name;
    enum h5_type type;
    int rank;
    size_t shape[2];
    void *data;
    double limit; /* of H5_F64: the numbers read must be in 0..limit; 0: they may be any */
};
enum { PART_ARRAYS_MAX = 8 };

/* Is it time to write one? */
bool part_due(const struct stage_run *run);
int part_save(struct stage_run *run, enum part part, const struct part_array *arrays, int count, err *e);
/* True: all arrays are as they were written.  False: there is no such file, and the arrays are untouched. */
bool part_load(struct stage_run *run, enum part part, const struct part_array *arrays, int count);
/* When the stage's checkpoint is there. */
void part_remove_all(const struct stage_job *job);

/* Rows that are computed one after the other: features of images. */
struct part_rows {
    enum part part; /* PART_COUNT: nothing is kept */
    float *rows;    /* (n, D) */
    size_t n, D, done;
};

/* Rows of an earlier attempt. */
void part_rows_load(struct stage_run *run, struct part_rows *r);
/* Before each batch of rows: tell the host, and save if it is time or the host says stop.  The rows that there are lie in the
 * share from..to of the stage.  ERR_INTERRUPTED; what part_save() fails with. */
int part_rows_go_on(struct stage_run *run, const struct part_rows *r, const char *phase, double from, double to,
                    err *e);
/* When all rows are there: save if it is time to, since more work may follow. */
int part_rows_finish(struct stage_run *run, const struct part_rows *r, err *e);

#endif
