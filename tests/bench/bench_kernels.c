/* How near the arithmetic comes to what this machine can do: ratios, so that machines and days can be compared.
 *
 *   bench_kernels [vit-b] [vit-s] [vit-micro]
 *
 * Denominators are measured in the same run, and printed first: the SGEMM rate of a large square product on one and on
 * two threads, and memcpy on arrays as large as a kernel's.  Every time is the best of several; two threads need two idle cores. */
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/blas.h"
#include "model/flops.h"
#include "model/kernels.h"
#include "model/rng.h"
#include "model/vit.h"

enum { SQUARE = 1024, PREFIX = 20, PROMPTED = 5, THREADS_MAX = 2, CHUNK_ROWS = 512 };

/* The backbones of the project, with batches that keep a run short. */
static const struct model {
    const char *name;
    struct vit_shape shape;
    int batch;
} models[] = {
    {"vit-b", {.side = 224, .patch = 16, .width = 768, .depth = 12, .heads = 12, .hidden = 3072}, 4},
    {"vit-s", {.side = 224, .patch = 16, .width = 384, .depth = 12, .heads = 6, .hidden = 1536}, 8},
    {"vit-micro", {.side = 32, .patch = 4, .width = 128, .depth = 6, .heads = 4, .hidden = 512}, 128},
};
enum { MODELS = sizeof models / sizeof *models };

static void *zeros(size_t bytes)
{
    void *p = NULL;

    if (posix_memalign(&p, 64, bytes + 64)) {
        fprintf(stderr, "bench_kernels: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return memset(p, 0, bytes + 64);
}

static float *numbers(size_t n)
{
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    float *x = zeros(n * sizeof *x);

    rng_fill_uniform(&r, x, n, -1, 1);
    return x;
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best time of a call: at least two calls, at most as many as fit into `budget` seconds.  For one thread the processor's time,
 * so that other programs on the machine do not count; for more the clock on the wall, as waiting for each other does. */
static double best_time(void (*call)(void *), void *what, int threads, double budget)
{
    clockid_t clock = threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    double best = 1e30, end = seconds(CLOCK_MONOTONIC) + budget;

    for (int i = 0; i < 2 || seconds(CLOCK_MONOTONIC) < end; i++) {
        double start = seconds(clock), took;

        call(what);
        took = seconds(clock) - start;
        best = took < best ? took : best;
    }
    return best;
}

/* ---- matrix products ----------------------------------------------------------------------------------------------
 */

/* C (m, n) = A (m, k) B', B (n, k), on each thread with its own arrays, `repeats` times. */
struct product {
    int m, n, k, threads, repeats;
    float *A[THREADS_MAX], *B[THREADS_MAX], *C[THREADS_MAX];
};

static void multiply(void *what)
{
    const struct product *p = what;

#pragma omp parallel num_threads(p->threads)
    for (int i = 0, t = omp_get_thread_num(); i < p->repeats; i++)
        gemm_nt(p->m, p->n, p->k, 1, p->A[t], p->k, p->B[t], p->k, 0, p->C[t], p->n);
}

/* Operations in a second, of all threads together. */
static double product_rate(int m, int n, int k, int threads, double budget)
{
    double operations = 2.0 * m * n * k;
    struct product p = {.m = m, .n = n, .k = k, .threads = threads, .repeats = 1 + (int)(2e8 / operations)};
    double rate;

    for (int t = 0; t < threads; t++) {
        p.A[t] = numbers((size_t)m * (size_t)k);
        p.B[t] = numbers((size_t)n * (size_t)k);
        p.C[t] = numbers((size_t)m * (size_t)n);
    }
    rate = operations * p.repeats * threads / best_time(multiply, &p, threads, budget);
    for (int t = 0; t < threads; t++) {
        free(p.A[t]);
        free(p.B[t]);
        free(p.C[t]);
    }
    return rate;
}

static void bench_products(const struct model *m, double peak)
{
    const struct vit_shape *s = &m->shape;
    int T = vit_tokens(s), D = s->width, M = s->hidden, d = D / s->heads,
        images = CHUNK_ROWS / T > 1 ? CHUNK_ROWS / T : 1;
    int R = images * T;
    const struct {
        const char *name;
        int m, n, k;
    } products[] = {
        {"patch embedding", T - 1, D, 3 * s->patch * s->patch},
        {"queries, keys, values", R, 3 * D, D},
        {"attention scores", T, T, d},
        {"attention values", T, d, T},
        {"projection", R, D, D},
        {"MLP, first layer", R, M, D},
        {"MLP, second layer", R, D, M},
    };

    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        int rows = products[i].m, columns = products[i].n, k = products[i].k;

        printf("%-10s %-24s %4d x %4d x %4d %15.2f\n", m->name, products[i].name, rows, columns, k,
               product_rate(rows, columns, k, 1, 0.1) / peak);
    }
}

/* ---- the other kernels --------------------------------------------------------------------------------------------
 */

/* Arrays of a call, R rows of D numbers each, and the gated softmax's cut of a row. */
struct load {
    const struct kernels *k;
    size_t R, D, L;
    float *a, *b, *c, *d, *gain, *bias, *rstd;
    double dscalars[2];
};

static void copy(void *what)
{
    struct load *w = what;

    memcpy(w->a, w->b, w->R * w->D * sizeof *w->a);
}

static void layer_norm(void *what)
{
    struct load *w = what;

    w->k->layer_norm(w->b, w->c, w->rstd, w->a, w->gain, w->bias, w->R, w->D, 1e-6f);
}

static void layer_norm_backward(void *what)
{
    struct load *w = what;

    w->k->layer_norm_backward(w->a, w->b, w->gain, w->c, w->rstd, w->R, w->D);
}

static void gelu(void *what)
{
    struct load *w = what;

    w->k->gelu(w->b, w->a, w->bias, w->R, w->D);
}

static void gelu_backward(void *what)
{
    struct load *w = what;

    w->k->gelu_backward(w->a, w->b, w->R * w->D);
}

static void add_bias(void *what)
{
    struct load *w = what;

    w->k->add_bias(w->a, w->b, w->bias, w->R, w->D);
}

static void gated_softmax(void *what)
{
    struct load *w = what;

    w->k->gated_softmax(w->a, NULL, w->R, w->L, w->D - w->L, GATE_tanh, 1, 1);
}

static void gated_softmax_backward(void *what)
{
    struct load *w = what;

    w->k->gated_softmax_backward(w->a, w->b, w->c, w->R, w->L, w->D - w->L, GATE_tanh, 1, 1, w->dscalars);
}

static void adam(void *what)
{
    const struct adam_step step = {
        .rate = 1e-3f, .root_correction = 1, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .gradient_scale = 1};
    struct load *w = what;

    w->k->adam(w->a, w->b, w->c, w->d, w->R * w->D, &step);
}

/* What a kernel moves and computes for each number: arrays read and written once each, four bytes; operations as
 * kernels_fast.c has them (an exponential is 21, an error function 24). */
static const struct kernel_cost {
    const char *name;
    void (*call)(void *);
    enum { WIDTH_D, WIDTH_M, WIDTH_SCORES } width; /* of a row: D, M, or prefix and tokens */
    int bytes, operations;
} kernel_costs[] = {
    {"layer norm, keeping", layer_norm, WIDTH_D, 12, 8},
    {"layer norm, backward", layer_norm_backward, WIDTH_D, 16, 10},
    {"bias and GELU", gelu, WIDTH_M, 12, 29},
    {"GELU, backward", gelu_backward, WIDTH_M, 12, 55},
    {"add bias", add_bias, WIDTH_D, 8, 1},
    {"gated softmax", gated_softmax, WIDTH_SCORES, 8, 25},
    {"gated softmax, backward", gated_softmax_backward, WIDTH_SCORES, 12, 4},
    {"Adam", adam, WIDTH_D, 28, 15},
};

static void bench_kernels(const struct model *m, double peak)
{
    const struct vit_shape *s = &m->shape;
    size_t T = (size_t)vit_tokens(s), widths[] = {(size_t)s->width, (size_t)s->hidden, T + PREFIX};

    for (size_t i = 0; i < sizeof kernel_costs / sizeof *kernel_costs; i++) {
        const struct kernel_cost *cost = &kernel_costs[i];
        struct load w = {.k = kernels_best(), .R = CHUNK_ROWS, .D = widths[cost->width], .L = PREFIX};
        size_t n = w.R * w.D;
        double copied, took;

        w.a = numbers(n);
        w.b = numbers(n);
        w.c = zeros(n * sizeof *w.c);
        w.d = numbers(n);
        w.gain = numbers(w.D);
        w.bias = numbers(w.D);
        w.rstd = numbers(w.R);
        copied = 8 * (double)n / best_time(copy, &w, 1, 0.03);
        took = best_time(cost->call, &w, 1, 0.05);
        printf("%-10s %-24s %4zu x %4zu %22.2f %12.3f\n", m->name, cost->name, w.R, w.D,
               cost->bytes * (double)n / took / copied, cost->operations * (double)n / took / peak);
        free(w.a);
        free(w.b);
        free(w.c);
        free(w.d);
        free(w.gain);
        free(w.bias);
        free(w.rstd);
    }
}

/* ---- whole passes -------------------------------------------------------------------------------------------------
 */

struct pass {
    vit_batch *batch;
    struct vit_weights w;
    struct prefix prefix;
    struct vit_gradients gradients;
    int B;
    bool backward;
    float *images, *features;
};

static void run_pass(void *what)
{
    struct pass *p = what;

    vit_forward(p->batch, &p->w, p->images, p->B, p->backward ? &p->prefix : NULL, p->features);
    if (p->backward)
        vit_backward(p->batch, &p->w, p->features, &p->gradients);
}

static void check(int code, const err *e)
{
    if (!code)
        return;
    fprintf(stderr, "bench_kernels: %s\n", e->text);
    exit(1);
}

static double pass_rate(struct pass *p, int threads)
{
    const struct vit_shape *s = &p->w.shape;
    enum vit_mode mode = p->backward ? VIT_PROMPT : VIT_INFER;
    const struct prefix *prefix = p->backward ? &p->prefix : NULL;
    double flops = p->B * (vit_forward_flops(s, prefix) + vit_backward_flops(s, prefix, mode, 0)), took;
    err e = {0};

    check(vit_batch_create(&p->batch, s, mode, p->B, PREFIX, 0, threads, &e), &e);
    took = best_time(run_pass, p, threads, 1.5);
    vit_batch_free(p->batch);
    return flops / took;
}

static void bench_passes(const struct model *m, const double peak[THREADS_MAX])
{
    struct pass p = {.B = m->batch, .prefix = {.length = PREFIX, .gate = GATE_tanh, .scopes = 1}};
    size_t D = (size_t)m->shape.width, B = (size_t)m->batch, pixels = 3 * (size_t)m->shape.side * (size_t)m->shape.side;
    struct prefix_source *sources = zeros(B * sizeof *sources);
    float *prompt, *scalars;
    err e = {0};

    check(vit_weights_create(&p.w, &m->shape, &e), &e);
    vit_weights_init(&p.w, 1);
    check(prefix_set_layers(&p.prefix, (1u << PROMPTED) - 1, m->shape.depth, &e), &e);
    prompt = numbers(prefix_prompt_size(&p.prefix, m->shape.width));
    scalars = numbers(prefix_scalars_size(&p.prefix));
    for (size_t b = 0; b < B; b++)
        sources[b] =
            (struct prefix_source){.key_prompt = prompt, .value_prompt = prompt, .value_half = 1, .scalars = scalars};
    p.prefix.sources = sources;
    p.gradients.prompt = numbers(prefix_prompt_size(&p.prefix, m->shape.width));
    p.gradients.scalars = numbers(prefix_scalars_size(&p.prefix));
    p.images = numbers(B * pixels);
    p.features = numbers(B * D);
    for (int threads = 1; threads <= THREADS_MAX; threads++)
        for (int backward = 0; backward < 2; backward++) {
            p.backward = backward;
            printf("%-10s %-24s %3d images %2d thread%s %16.2f\n", m->name,
                   backward ? "training step, NoRGa" : "inference", m->batch, threads, threads > 1 ? "s" : " ",
                   pass_rate(&p, threads) / peak[threads - 1]);
            fflush(stdout);
        }
    free(p.images);
    free(p.features);
    free(p.gradients.prompt);
    free(p.gradients.scalars);
    free(prompt);
    free(scalars);
    free(sources);
    vit_weights_free(&p.w);
}

static bool wanted(const char *name, char **argv)
{
    for (int i = 1; argv[i]; i++)
        if (!strcmp(argv[i], name))
            return true;
    return !argv[1];
}

int main(int argc, char **argv)
{
    double peak[THREADS_MAX];

    blas_choose_kernels(argv);
    for (int i = 1; i < argc; i++) {
        int m = 0;

        while (m < MODELS && strcmp(models[m].name, argv[i]))
            m++;
        if (m == MODELS) {
            fprintf(stderr, "bench_kernels: there is no model '%s'; use vit-b, vit-s, vit-micro\n", argv[i]);
            return 2;
        }
    }
    printf("OpenBLAS with its %s kernels; the %s set of ours\n", blas_kernels(), kernels_best()->name);
    for (int t = 0; t < THREADS_MAX; t++) {
        peak[t] = product_rate(SQUARE, SQUARE, SQUARE, t + 1, t ? 1.5 : 0.5);
        printf("peak, %d thread%s %6.1f GFLOP/s, a product of %d cubed on each\n", t + 1, t ? "s:" : ": ",
               peak[t] / 1e9, SQUARE);
    }
    printf("\n%-35s %18s %15s\n", "matrix products", "m, n, k", "of peak");
    for (int m = 0; m < MODELS; m++)
        if (wanted(models[m].name, argv))
            bench_products(&models[m], peak[0]);
    printf("\n%-35s %11s %22s %12s\n", "other kernels", "rows, width", "of memcpy's bytes", "of peak");
    for (int m = 0; m < MODELS; m++)
        if (wanted(models[m].name, argv))
            bench_kernels(&models[m], peak[0]);
    printf("\n%-35s %21s %16s\n", "whole passes", "", "useful, of peak");
    for (int m = 0; m < MODELS; m++)
        if (wanted(models[m].name, argv))
            bench_passes(&models[m], peak);
    return 0;
}
