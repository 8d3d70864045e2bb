/* bench.h - what the parts of the benchmark share: clocks, random arrays, models, and rows of Markdown. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "model/vit.h"

enum { BENCH_PROMPTED = 5, BENCH_THREADS = 2 }; /* blocks 0-4 have prompts; threads at most */

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
double bench_best(void (*call)(void *), void *what, int threads, double budget);

/* Who multiplies: OpenBLAS, or a linear layer of ours, on its way (m rows, k inputs, n outputs) or back. */
enum bench_way { BENCH_SGEMM, BENCH_FORWARD, BENCH_BACKWARD, BENCH_WAYS };

/* Operations in a second of a product of m x n x k, each thread with its own arrays, all threads together. */
double bench_product(enum bench_way way, int m, int n, int k, int threads, double budget);

/* A NoRGa training step's or an inference's arrays.  train: forward, head, cross-entropy, backward; else forward alone. */
struct bench_pass {
    const struct bench_model *model;
    int batch, threads, length;
    bool train;
};
struct bench_passed {
    double images; /* in a second */
    double useful; /* operations in a second (model/flops.h) */
    double peak;   /* SGEMM's rate, measured in turns with the passes */
    double mib;    /* largest resident memory of a process that did only this */
};
/* In a process of its own. */
struct bench_passed bench_pass(const struct bench_pass *p, double budget);
/* What such a process does: `argv` after "--pass".  Prints its numbers. */
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
