/* bench_parts.c - the pieces of a pass: matrix products over SGEMM's peak, and every other kernel over its bound, which is the
 * larger of two times: that of moving its bytes as fast as memcpy on arrays of the same size, and that of its operations at SGEMM's
 * peak. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "model/attention.h"
#include "model/kernels.h"
#include "model/losses.h"

enum { CHUNK_ROWS = 520 };

/* Every number here is a ratio to SGEMM's peak or to memcpy, measured in turns with it. */
static struct bench_product peak;

/* operations of a call of the thing, over what SGEMM does in its time. */
static double of_peak(struct bench_call thing, double operations, double budget)
{
    return operations / bench_product_flops(&peak) *
           bench_over(thing, (struct bench_call){bench_multiply, &peak}, budget);
}

static double product_of_peak(enum bench_way way, int m, int n, int k)
{
    struct bench_product p;
    double ratio;

    bench_product_open(&p, way, m, n, k, 1);
    ratio = of_peak((struct bench_call){bench_multiply, &p}, bench_product_flops(&p), 0.4);
    bench_product_close(&p);
    return ratio;
}

static void print_products(const struct bench_model *m)
{
    const struct vit_shape *s = &m->shape;
    int T = vit_tokens(s), D = s->width, M = s->hidden, images = CHUNK_ROWS / T > 1 ? CHUNK_ROWS / T : 1;
    int R = images * T;
    const struct {
        const char *name;
        int m, n, k;
    } products[] = {
        {"patch embedding", T - 1, D, 3 * s->patch * s->patch},
        {"queries, keys, values", R, 3 * D, D},
        {"projection", R, D, D},
        {"MLP, first layer", R, M, D},
        {"MLP, second layer", R, D, M},
    };

    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        int rows = products[i].m, columns = products[i].n, k = products[i].k;
        double rate[BENCH_WAYS];

        for (int way = 0; way < BENCH_WAYS; way++)
            rate[way] = product_of_peak((enum bench_way)way, rows, columns, k);
        printf("| %s | %s | %d x %d x %d | %.2f | %.2f | %.2f |\n", m->title, products[i].name, rows, columns, k,
               rate[BENCH_SGEMM], rate[BENCH_FORWARD], rate[BENCH_BACKWARD]);
    }
}

/* ---- the other kernels --------------------------------------------------------------------------------------------- */

/* Arrays of a call: R rows of D numbers each, and the gated softmax's cut of a row.  d is all ones: what a call leaves is the next one's
 * input, and must not shrink to numbers that are slow. */
struct load {
    const struct kernels *k;
    size_t R, D, L;
    float *a, *b, *c, *d, *gain, *bias, *rstd;
    int32_t *labels;
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

static void gelu_and_slope(void *what)
{
    struct load *w = what;

    w->k->gelu_and_slope(w->b, w->a, w->bias, w->R, w->D);
}

static void scale(void *what)
{
    struct load *w = what;

    w->k->scale(w->a, w->d, w->R * w->D);
}

static void add_bias(void *what)
{
    struct load *w = what;

    w->k->add_bias(w->a, w->b, w->bias, w->R, w->D);
}

static void gated_softmax(void *what)
{
    struct load *w = what;

    w->k->gated_softmax(w->a, w->c, w->R, w->L, w->D - w->L, GATE_tanh, 1, 1);
}

static void gated_softmax_backward(void *what)
{
    struct load *w = what;

    w->k->gated_softmax_backward(w->a, w->b, w->c, w->R, w->L, w->D - w->L, GATE_tanh, 1, 1, w->dscalars);
}

static void adam(void *what)
{
    const struct adam_step step = {.rate = 1e-3f,
                                   .root_correction = 1,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.999f,
                                   .fresh1 = 0.1f,
                                   .fresh2 = 0.001f,
                                   .epsilon = 1e-8f,
                                   .gradient_scale = 1};
    struct load *w = what;

    w->k->adam(w->a, w->b, w->c, w->d, w->R * w->D, &step);
}

static void softmax_cross_entropy(void *what)
{
    struct load *w = what;

    cross_entropy(w->a, w->labels, NULL, (int)w->R, (int)w->D, false, NULL);
}

/* What a kernel moves and computes for each number: arrays read and written once each, four bytes; operations as kernels_fast.c
 * has them (an exponential is 21, an error function 24). */
static const struct kernel_cost {
    const char *name;
    void (*call)(void *);
    enum {
        WIDTH_D,
        WIDTH_M,
        WIDTH_SCORES,
        WIDTH_CLASSES
    } width; /* of a row: D, M, prefix and tokens, padded, or classes */
    int bytes, operations;
} kernel_costs[] = {
    {"layer norm, keeping", layer_norm, WIDTH_D, 12, 8},
    {"layer norm, backward", layer_norm_backward, WIDTH_D, 16, 10},
    {"bias and GELU", gelu, WIDTH_M, 12, 29},
    {"bias, GELU and its slope", gelu_and_slope, WIDTH_M, 12, 56},
    {"GELU, backward by its slope", scale, WIDTH_M, 12, 1},
    {"add bias", add_bias, WIDTH_D, 8, 1},
    {"gated softmax", gated_softmax, WIDTH_SCORES, 8, 25},
    {"gated softmax, backward", gated_softmax_backward, WIDTH_SCORES, 12, 4},
    {"softmax and cross-entropy", softmax_cross_entropy, WIDTH_CLASSES, 8, 24},
    {"Adam", adam, WIDTH_D, 28, 15},
};

static void print_kernels(const struct bench_model *m)
{
    const struct vit_shape *s = &m->shape;
    size_t scores = (size_t)(vit_tokens(s) + BENCH_LENGTH + KERNELS_PAD - 1) / KERNELS_PAD * KERNELS_PAD;
    size_t widths[] = {(size_t)s->width, (size_t)s->hidden, scores, BENCH_CLASSES};

    for (size_t i = 0; i < sizeof kernel_costs / sizeof *kernel_costs; i++) {
        const struct kernel_cost *cost = &kernel_costs[i];
        struct load w = {.k = kernels_best(), .R = CHUNK_ROWS, .D = widths[cost->width], .L = BENCH_LENGTH};
        size_t n = w.R * w.D;
        struct bench_call call = {cost->call, &w};
        double bytes, operations;

        w.a = bench_numbers(n);
        w.b = bench_numbers(n);
        w.c = bench_numbers(n);
        w.d = bench_numbers(n);
        for (size_t j = 0; j < n; j++)
            w.d[j] = 1;
        w.gain = bench_numbers(w.D);
        w.bias = bench_numbers(w.D);
        w.rstd = bench_numbers(w.R);
        w.labels = bench_zeros(w.R * sizeof *w.labels);
        bytes = cost->bytes / 8.0 * bench_over(call, (struct bench_call){copy, &w}, 0.2);
        operations = of_peak(call, cost->operations * (double)n, 0.3);
        printf("| %s | %s | %zu x %zu | %.2f | %.2f | %.2f |\n", m->title, cost->name, w.R, w.D, bytes, operations,
               bytes > operations ? bytes : operations);
        free(w.a);
        free(w.b);
        free(w.c);
        free(w.d);
        free(w.gain);
        free(w.bias);
        free(w.rstd);
        free(w.labels);
    }
}

/* ---- attention, which is both -------------------------------------------------------------------------------------- */

struct heads {
    struct attention a;
    float *qkv, *out, *dqkv, *dprefix, *scratch, *da;
};

static void attend(void *what)
{
    struct heads *h = what;

    attention_forward(kernels_best(), &h->a, h->qkv, h->out, NULL, h->scratch);
}

static void attend_backward(void *what)
{
    struct heads *h = what;
    struct attention_gradients g = {h->dprefix, h->dprefix + h->a.L * h->a.D, h->da, h->da + 1, h->dqkv};

    attention_backward(kernels_best(), &h->a, h->qkv, h->out, NULL, h->scratch, &g);
}

static void print_attention(const struct bench_model *m)
{
    const struct vit_shape *s = &m->shape;
    int T = vit_tokens(s), D = s->width, L = BENCH_LENGTH;
    double forward = 4.0 * T * (T + L) * D, backward = 4.0 * T * (T + L) * D + 4.0 * T * L * D + 4.0 * T * T * D;
    float one = 1, *prefix = bench_numbers(2 * (size_t)(L * D));
    struct heads h = {.a = {.Q = T,
                            .T = T,
                            .D = D,
                            .H = s->heads,
                            .L = L,
                            .gate = GATE_tanh,
                            .scopes = 1,
                            .keys = prefix,
                            .values = prefix + L * D,
                            .a0 = &one,
                            .a1 = &one},
                      .qkv = bench_numbers(3 * (size_t)(T * D)),
                      .out = bench_numbers((size_t)(T * D)),
                      .dqkv = bench_numbers(3 * (size_t)(T * D)),
                      .dprefix = bench_numbers(2 * (size_t)(L * D)),
                      .da = bench_numbers(2),
                      .scratch = bench_zeros(attention_scratch(T, D / s->heads, L) * sizeof(float))};
    double rates[] = {of_peak((struct bench_call){attend, &h}, forward, 0.4),
                      of_peak((struct bench_call){attend_backward, &h}, backward, 0.4)};

    for (int i = 0; i < 2; i++)
        printf("| %s | attention of an image, %s | %d heads | | %.2f | %.2f |\n", m->title, i ? "backward" : "forward",
               s->heads, rates[i], rates[i]);
    free(prefix);
    free(h.qkv);
    free(h.out);
    free(h.dqkv);
    free(h.dprefix);
    free(h.da);
    free(h.scratch);
}

void bench_parts(const struct bench_options *o)
{
    struct bench_product two;
    double one = 0, both = 0;

    (void)o;
    bench_peak_open(&peak, 1);
    bench_peak_open(&two, 2);
    for (int i = 0; i < 10; i++) {
        one += bench_peak(&peak, 0.1) / 10;
        both += bench_peak(&two, 0.1) / 10;
    }
    printf(
        "\n### Matrix products\n\nPeak: SGEMM of %d x %d x %d, %.1f GFLOP/s on one thread; on each of two at once, "
        "%.2f times as much.\n\n| | product | m x n x k | SGEMM of peak | linear layer of peak | its way back of peak "
        "|\n| --- | --- | --- | ---: | ---: | ---: |\n",
        peak.m, peak.n, peak.k, one / 1e9, both / one);
    for (int i = 0; i < 3; i++)
        print_products(&bench_models[i]);
    printf("\n### The other kernels\n\n| | kernel | rows | of memcpy's bytes | of peak | of its bound |\n"
           "| --- | --- | --- | ---: | ---: | ---: |\n");
    for (int i = 0; i < 3; i++) {
        print_kernels(&bench_models[i]);
        print_attention(&bench_models[i]);
    }
    bench_product_close(&peak);
    bench_product_close(&two);
}
