/* bench.h - what the parts of the benchmark share: clocks, random arrays, models, and rows of Markdown. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "model/vit.h"

/* Blocks 0-4 have prompts, so long; classes; threads at most. */
enum { BENCH_PROMPTED = 5, BENCH_LENGTH = 5, BENCH_CLASSES = 100, BENCH_THREADS = 2 };

/* The backbones of the project. */
struct bench_model {
    const char *name, *title;
    struct vit_shape shape;
};
extern const struct bench_model bench_models[3];
const struct bench_model *bench_model(const char *name); /* ends the program if there is none */

/* Everything here ends the program, saying why, where memory runs out. */
void *bench_zeros(size_t bytes);
float *bench_numbers(size_t n); /* uniform in [-1, 1) */
void bench_check(int code, const err *e);

/* Seconds of the calling thread's processor time, so that other programs on the machine do not count, or on the wall where
 * several threads work. */
double bench_seconds(int threads);
/* The best time of a call: at least two calls, at most as many as fit into `budget` seconds; short ones are timed together. */
double bench_best(void (*call)(void *), void *what, double budget);

/* Something to be timed, on one thread. */
struct bench_call {
    void (*call)(void *what);
    void *what;
};
/* The time of one yardstick's call over that of one call of the thing, both measured in turns, a few milliseconds each, so that the
 * same changes of the machine's speed meet both: the median of all rounds that fit into `budget` seconds, of at least three. */
double bench_over(struct bench_call thing, struct bench_call yardstick, double budget);

/* Who multiplies: OpenBLAS, or a linear layer of ours, on its way (m rows, k inputs, n outputs) or back. */
enum bench_way { BENCH_SGEMM, BENCH_FORWARD, BENCH_BACKWARD, BENCH_WAYS };

/* A product of m x n x k, as often as makes a millisecond or two, on each thread with arrays of its own. */
struct bench_product {
    enum bench_way way;
    int m, n, k, threads, repeats;
    float *A[BENCH_THREADS], *B[BENCH_THREADS], *C[BENCH_THREADS], *strip[BENCH_THREADS];
};
void bench_product_open(struct bench_product *p, enum bench_way way, int m, int n, int k, int threads);
void bench_product_close(struct bench_product *p);
void bench_multiply(void *product);
double bench_product_flops(const struct bench_product *p); /* of all threads */

/* SGEMM's peak is its rate at 1024 x 1024 x 1024. */
void bench_peak_open(struct bench_product *p, int threads);
/* Operations in a second, all threads together, of at least `seconds` now. */
double bench_peak(struct bench_product *p, double seconds);

/* A NoRGa training step or an inference.  train: forward, head, cross-entropy, backward; else forward alone. */
struct bench_pass {
    const struct bench_model *model;
    int batch, threads;
    bool train;
};
/* Useful operations of one pass (model/flops.h). */
double bench_pass_flops(const struct bench_pass *p);

/* A process of its own, whose memory is its own: for each line that it reads, it does passes for a moment, one at least, and prints the
 * mean seconds of one, SGEMM's mean rate meanwhile (0: not measured) and the largest resident MiB so far.  Ours, or PyTorch's. */
struct bench_runner {
    FILE *to, *from;
    pid_t process;
    double turns, seconds, potential,
        mib; /* sums over turns; potential is what SGEMM would have done in these seconds */
};
void bench_runner_open(struct bench_runner *r, const struct bench_pass *p);
/* The first turn finds its memory and does not count.  false: there is no such program, or it ends before its first pass. */
bool bench_runner_open_command(struct bench_runner *r, const char *command);
bool bench_runner_turn(struct bench_runner *r); /* false: it has ended */
void bench_runner_close(struct bench_runner *r);
/* In turns until `budget` seconds have gone by, twice at least. */
void bench_runners_race(struct bench_runner *const *runners, int n, double budget);
/* What such a process of ours does, `argv` after "--pass": MODEL BATCH THREADS train|infer. */
int bench_pass_here(char **argv);

/* The sections. */
struct bench_options {
    bool quick;
    const char *sluice, *source; /* the program; the folder of the sources */
};
void bench_parts(const struct bench_options *o);   /* products and kernels */
void bench_passes(const struct bench_options *o);  /* training steps and inference; PyTorch */
void bench_savings(const struct bench_options *o); /* each saving of arithmetic */
void bench_images(const struct bench_options *o);  /* decoding and augmenting */
void bench_sweep(const struct bench_options *o);   /* a small sweep with and without sharing */

#endif
