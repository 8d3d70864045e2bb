/* bench_savings.c - what the network does not compute: the time of a pass without each saving over that with it.  That no saving changes
 * a result is for the tests: tests/model/test_vit.c, test_flops.c and tests/worker/test_savings.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { LOW = 3 }; /* the lowest prompted block, of those that leave something out below it */

struct way {
    const struct bench_model *model;
    int batch;
    enum vit_pool pool;
    enum vit_mode mode;
    uint64_t prompted; /* blocks; 0: no prefix */
    int first_block;
};

struct pass {
    vit_batch *batch;
    struct vit_weights w, gradient;
    struct prefix prefix;
    struct vit_gradients gradients;
    int B;
    bool prompted, backward;
    struct prefix_source *sources;
    float *prompt, *scalars, *images, *features;
};

static void run(void *what)
{
    struct pass *p = what;

    vit_forward(p->batch, &p->w, p->images, p->B, p->prompted ? &p->prefix : NULL, p->features);
    if (p->backward)
        vit_backward(p->batch, &p->w, p->features, &p->gradients);
}

static void open_pass(struct pass *p, const struct way *way)
{
    struct vit_shape s = way->model->shape;
    size_t B = (size_t)way->batch, T = (size_t)vit_tokens(&s), numbers;
    struct prefix_source *sources = bench_zeros(B * sizeof *sources);
    float *prompt, *scalars;
    err e = {0};

    *p = (struct pass){.B = way->batch,
                       .prompted = way->prompted != 0,
                       .backward = way->mode != VIT_INFER,
                       .prefix = {.length = BENCH_LENGTH, .gate = GATE_tanh, .scopes = 1}};
    s.pool = way->pool;
    bench_check(vit_weights_create(&p->w, &s, &e), &e);
    vit_weights_init(&p->w, 1);
    bench_check(prefix_set_layers(&p->prefix, way->prompted, s.depth, &e), &e);
    numbers = prefix_prompt_size(&p->prefix, s.width);
    prompt = bench_numbers(2 * numbers);
    scalars = bench_numbers(2 * prefix_scalars_size(&p->prefix));
    for (size_t b = 0; b < B; b++)
        sources[b] = (struct prefix_source){prompt, prompt, 0, 1, scalars};
    p->prefix.sources = sources;
    p->gradients.prompt = prompt + numbers;
    p->gradients.scalars = scalars + prefix_scalars_size(&p->prefix);
    if (way->mode == VIT_FULL)
        bench_check(vit_weights_create(&p->gradient, &s, &e), &e);
    p->gradients.weights = &p->gradient;
    p->images = bench_numbers(B * 3 * (size_t)s.side * (size_t)s.side);
    p->features = bench_numbers(B * T * (size_t)s.width);
    bench_check(vit_batch_create(&p->batch, &s, way->mode, way->batch, BENCH_LENGTH, way->first_block, 1, &e), &e);
    p->sources = sources;
    p->prompt = prompt;
    p->scalars = scalars;
}

static void close_pass(struct pass *p)
{
    vit_batch_free(p->batch);
    vit_weights_free(&p->w);
    vit_weights_free(&p->gradient);
    free(p->sources);
    free(p->prompt);
    free(p->scalars);
    free(p->images);
    free(p->features);
}

/* The prefix's columns beside the tokens', as one tensor of keys and one of values for the whole batch: what is spared by packing
 * them head by head. */
struct concatenation {
    size_t images, rows, width;
    float *from, *to;
};

static void concatenate(void *what)
{
    struct concatenation *c = what;

    for (size_t i = 0; i < c->images; i++)
        for (int half = 0; half < 2; half++)
            for (size_t r = 0; r < c->rows; r++)
                memcpy(c->to + ((i * 2 + (size_t)half) * c->rows + r) * c->width,
                       c->from + ((i * c->rows + r) * 3 + 1 + (size_t)half) * c->width, c->width * sizeof *c->to);
}

/* The time of the copies over that of a pass. */
static double concatenation_share(const struct bench_model *m, int batch, struct bench_call pass, double budget)
{
    struct concatenation c = {(size_t)batch, (size_t)(vit_tokens(&m->shape) + BENCH_LENGTH), (size_t)m->shape.width,
                              NULL, NULL};
    double share;

    c.from = bench_numbers(3 * c.images * c.rows * c.width);
    c.to = bench_numbers(2 * c.images * c.rows * c.width);
    share = BENCH_PROMPTED / bench_over((struct bench_call){concatenate, &c}, pass, budget);
    free(c.from);
    free(c.to);
    return share;
}

static const struct {
    const char *saving, *of;
    struct way plain, with; /* of any model and batch */
} savings[] = {
    {"last block for the class token only",
     "inference",
     {.pool = VIT_POOL_NONE, .mode = VIT_INFER},
     {.pool = VIT_POOL_TOKEN, .mode = VIT_INFER}},
    {"backward ends at the first prompted block",
     "training step, prompts in blocks 3-5",
     {.mode = VIT_PROMPT, .prompted = 7u << LOW},
     {.mode = VIT_PROMPT, .prompted = 7u << LOW, .first_block = LOW}},
    {"no gradients of frozen weights",
     "training step, prompts in blocks 0-4",
     {.mode = VIT_FULL},
     {.mode = VIT_PROMPT, .prompted = (1u << BENCH_PROMPTED) - 1}},
};

void bench_savings(const struct bench_options *o)
{
    static const struct {
        const char *model;
        int batch;
    } of[] = {{"vit-s", 4}, {"vit-micro", 16}};

    printf(
        "\n### What the network does not compute\n\n| | saving | of | plain time over time |\n| --- | --- | --- | ---: "
        "|\n");
    for (size_t m = o->quick; m < sizeof of / sizeof *of; m++) {
        const struct bench_model *model = bench_model(of[m].model);
        double budget = o->quick ? 2 : 10;
        struct pass plain, with;

        for (size_t i = 0; i < sizeof savings / sizeof *savings; i++) {
            struct way ways[2] = {savings[i].plain, savings[i].with};

            for (int k = 0; k < 2; k++) {
                ways[k].model = model;
                ways[k].batch = of[m].batch;
                open_pass(k ? &with : &plain, &ways[k]);
            }
            printf("| %s | %s | %s | %.2f |\n", model->title, savings[i].saving, savings[i].of,
                   bench_over((struct bench_call){run, &with}, (struct bench_call){run, &plain}, budget));
            fflush(stdout);
            if (i + 1 == sizeof savings / sizeof *savings)
                printf("| %s | prefix and tokens in no common tensor | training step, prompts in blocks 0-4 | %.3f |\n",
                       model->title,
                       1 + concatenation_share(model, of[m].batch, (struct bench_call){run, &with}, budget));
            close_pass(&plain);
            close_pass(&with);
        }
    }
}
