/* worker/ahead.h - images made ready by threads of their own, the next batch while the network works on the present one.
 *
 * ahead_take() delivers a batch.  If ahead_soon() announced a further one, the threads begin with it as soon as the present one is
 * delivered; when it is asked for, the asking thread helps with what is left.  A batch that was not announced, or announced
 * otherwise, is made then and there by all threads together.  So announcing changes when an image is made and never what: each
 * has its place in the batch and random numbers of its own, and the bytes are the same for any number of threads.
 *
 * The threads run at a lower priority than the network's (AHEAD_NICE): they take the time that its serial parts and their waiting
 * leave, and together with the network keep to the rank's processors.  They sleep when there is nothing to do.
 *
 * One thread uses an `ahead`.  Threads do not survive fork(): whoever forks does it without one. */
#ifndef WORKER_AHEAD_H
#define WORKER_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/dataset.h"
#include "io/err.h"
#include "model/rng.h"

enum { AHEAD_NICE = 5 };

/* Whose stream of random numbers an image draws from: (seed, purpose, task, epoch, position). */
struct augment {
    uint64_t seed;
    enum rng_purpose purpose;
    uint32_t task, epoch;
};

/* A batch: images at these positions, in this order. */
struct batch_request {
    enum dataset_part part;
    int n;
    const size_t *positions; /* (n) */
    bool augmented;
    struct augment augment;
};

/* How an image is made. */
struct ahead_source {
    const void *context;
    size_t numbers;                       /* of an image */
    size_t memory_size;                   /* of what a thread works in: zeros at first, its own, kept between images */
    void (*memory_release)(void *memory); /* what the memory refers to */
    /* Image r->positions[i] to out (numbers).  Called by several threads at once. */
    int (*make)(const void *context, const struct batch_request *r, int i, float *out, void *memory, err *e);
};

typedef struct ahead ahead;

/* threads: besides the one that asks; 0: nothing is made ahead.  ERR_NOMEM, ERR_SYSTEM if a thread cannot be started. */
int ahead_create(ahead **out, const struct ahead_source *source, int threads, err *e);
/* Lets images that have been begun come to an end; NULL is fine. */
void ahead_free(ahead *a);

/* This batch will be asked for after the next ahead_take().  Copied; forgotten if there is no memory for it. */
void ahead_soon(ahead *a, const struct batch_request *request);
/* Images (n, numbers) to out.  The error, if any, is that of the first image that has one. */
int ahead_take(ahead *a, const struct batch_request *request, float *out, err *e);

#endif
