/* bench_passes.c - whole training steps and inference: useful operations over SGEMM's peak, two threads over one, and PyTorch at the
 * same step.
 *
 * Each measurement is a process of its own, so that its memory is its own.  SGEMM's peak is measured in turns with the passes: both see
 * the same clock rate of the processor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "bench.h"
#include "model/blas.h"
#include "model/classifier.h"
#include "model/flops.h"
#include "model/losses.h"

enum { CLASSES = 100, LENGTH = 5, SQUARE = 1024 };

struct pass {
    vit_batch *batch;
    struct vit_weights w;
    struct prefix prefix;
    struct vit_gradients gradients;
    struct parameters parameters; /* the head's */
    classifier *head;
    int B;
    bool train;
    float *images, *features, *dfeatures, *logits;
    int32_t *labels;
};

static void run_pass(void *what)
{
    struct pass *p = what;

    vit_forward(p->batch, &p->w, p->images, p->B, p->train ? &p->prefix : NULL, p->features);
    if (!p->train)
        return;
    classifier_forward(p->head, &p->parameters, p->features, p->B, p->logits);
    cross_entropy(p->logits, p->labels, NULL, p->B, CLASSES, false, NULL);
    classifier_backward(p->head, &p->parameters, p->logits, p->dfeatures);
    vit_backward(p->batch, &p->w, p->dfeatures, &p->gradients);
}

static void open_prompts(struct pass *p, const struct vit_shape *s)
{
    struct prefix_source *sources = bench_zeros((size_t)p->B * sizeof *sources);
    float *prompt, *scalars;
    err e = {0};

    bench_check(prefix_set_layers(&p->prefix, (1u << BENCH_PROMPTED) - 1, s->depth, &e), &e);
    prompt = bench_numbers(prefix_prompt_size(&p->prefix, s->width));
    scalars = bench_numbers(prefix_scalars_size(&p->prefix));
    for (int b = 0; b < p->B; b++)
        sources[b] = (struct prefix_source){prompt, prompt, 0, 1, scalars};
    p->prefix.sources = sources;
    p->gradients.prompt = bench_numbers(prefix_prompt_size(&p->prefix, s->width));
    p->gradients.scalars = bench_numbers(prefix_scalars_size(&p->prefix));
}

/* Everything lives until the process ends. */
static void open_pass(struct pass *p, const struct bench_pass *what)
{
    const struct vit_shape *s = &what->model->shape;
    const struct classifier_shape head = {.classes = CLASSES, .width = s->width};
    size_t B = (size_t)what->batch, D = (size_t)s->width;
    err e = {0};

    *p = (struct pass){
        .B = what->batch, .train = what->train, .prefix = {.length = what->length, .gate = GATE_tanh, .scopes = 1}};
    bench_check(vit_weights_create(&p->w, s, &e), &e);
    vit_weights_init(&p->w, 1);
    open_prompts(p, s);
    classifier_add(&p->parameters, &head, 1);
    bench_check(parameters_create(&p->parameters, &e), &e);
    classifier_init(&p->parameters, &head, 1);
    bench_check(classifier_create(&p->head, &head, p->B, &e), &e);
    p->images = bench_numbers(B * 3 * (size_t)s->side * (size_t)s->side);
    p->features = bench_numbers(B * D);
    p->dfeatures = bench_numbers(B * D);
    p->logits = bench_numbers(B * CLASSES);
    p->labels = bench_zeros(B * sizeof *p->labels);
    for (int b = 0; b < p->B; b++)
        p->labels[b] = b % CLASSES;
    bench_check(
        vit_batch_create(&p->batch, s, what->train ? VIT_PROMPT : VIT_INFER, p->B, what->length, 0, what->threads, &e),
        &e);
}

/* --pass MODEL BATCH THREADS train|infer SECONDS */
int bench_pass_here(char **argv)
{
    struct bench_pass what = {.length = LENGTH};
    struct rusage usage;
    struct pass p;
    double budget, peak = 0, took = 1e30, end;

    for (int i = 0; i < 5; i++)
        if (!argv[i])
            return 2;
    what.model = bench_model(argv[0]);
    what.batch = atoi(argv[1]);
    what.threads = atoi(argv[2]);
    what.train = !strcmp(argv[3], "train");
    budget = atof(argv[4]);
    if (what.batch < 1 || what.threads < 1 || what.threads > BENCH_THREADS)
        return 2;
    open_pass(&p, &what);
    end = bench_seconds(2) + budget;
    for (int i = 0; i < 2 || bench_seconds(2) < end; i++) {
        double start, rate = bench_product(BENCH_SGEMM, SQUARE, SQUARE, SQUARE, what.threads, 0.1);

        peak = rate > peak ? rate : peak;
        start = bench_seconds(what.threads);
        run_pass(&p);
        start = bench_seconds(what.threads) - start;
        took = start < took ? start : took;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%.17g %.17g %.17g\n", took, peak, (double)usage.ru_maxrss / 1024);
    return 0;
}

struct bench_passed bench_pass(const struct bench_pass *p, double budget)
{
    const struct vit_shape *s = &p->model->shape;
    struct prefix prefix = {.length = p->length};
    struct bench_passed out = {0};
    char command[200];
    double took, flops;
    err e = {0};
    FILE *child;

    snprintf(command, sizeof command, "/proc/%d/exe --pass %s %d %d %s %g", (int)getpid(), p->model->name, p->batch,
             p->threads, p->train ? "train" : "infer", budget);
    child = popen(command, "r");
    if (!child || fscanf(child, "%lf %lf %lf", &took, &out.peak, &out.mib) != 3 || pclose(child)) {
        fprintf(stderr, "bench_speed: no answer from '%s'\n", command);
        exit(1);
    }
    bench_check(prefix_set_layers(&prefix, (1u << BENCH_PROMPTED) - 1, s->depth, &e), &e);
    flops = vit_forward_flops(s, p->train ? &prefix : NULL);
    if (p->train)
        flops += vit_backward_flops(s, &prefix, VIT_PROMPT, 0);
    out.images = p->batch / took;
    out.useful = out.images * flops;
    return out;
}

static const struct {
    const char *model;
    int batch;
    bool slow; /* not with --quick */
} runs[] = {{"vit-b", 16, true}, {"vit-b", 64, true},      {"vit-b", 4, false},     {"vit-s", 16, false},
            {"vit-s", 64, true}, {"vit-micro", 16, false}, {"vit-micro", 64, false}};

static void print_ours(const struct bench_options *o)
{
    printf("\n### Whole passes\n\n| | batch | | GFLOP/s, useful | of peak | 2 threads: of peak | over 1 thread |\n"
           "| --- | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int train = 1; train >= 0 && !(o->quick && runs[i].slow); train--) {
            struct bench_pass p = {bench_model(runs[i].model), runs[i].batch, 1, LENGTH, train};
            struct bench_passed one = bench_pass(&p, o->quick ? 1 : 4), two;

            p.threads = 2;
            two = bench_pass(&p, o->quick ? 1 : 4);
            printf("| %s | %d | %s | %.1f | %.2f | %.2f | %.2f |\n", p.model->title, p.batch,
                   train ? "training step" : "inference", one.useful / 1e9, one.useful / one.peak,
                   two.useful / two.peak, two.images / one.images);
            fflush(stdout);
        }
}

/* ---- PyTorch ------------------------------------------------------------------------------------------------------- */

static double number_of(const json_t *row, const char *name)
{
    return json_number_value(json_object_get(row, name));
}

static void print_ratios(const json_t *row, double seconds)
{
    struct bench_pass p = {bench_model(json_string_value(json_object_get(row, "model"))), (int)number_of(row, "batch"),
                           (int)number_of(row, "threads"), LENGTH, true};
    struct bench_passed train = bench_pass(&p, seconds), infer;

    p.train = false;
    infer = bench_pass(&p, seconds);
    printf("| %s | %d | %d | %.2f | %.2f | %.0f MiB | %.0f MiB | %.2f |\n", p.model->title, p.batch, p.threads,
           train.images / number_of(row, "train_images_per_second"),
           infer.images / number_of(row, "infer_images_per_second"), train.mib, number_of(row, "train_peak_mib"),
           train.mib / number_of(row, "train_peak_mib"));
}

/* environment: what `env` is told of OpenBLAS's kernels. */
static void print_pytorch(const struct bench_options *o, const char *environment, const char *title, const char *models)
{
    double seconds = o->quick ? 1 : 4;
    char command[4500];
    json_t *all, *rows, *row;
    size_t i;
    FILE *script;

    snprintf(command, sizeof command,
             "env %s /usr/bin/python3 '%s/tests/bench/pytorch_step.py' --models %s --threads 1 --seconds %g",
             environment, o->source, models, seconds);
    script = popen(command, "r");
    all = script ? json_loadf(script, 0, NULL) : NULL;
    if (script)
        pclose(script);
    rows = json_object_get(all, "results");
    printf("\n### PyTorch at the same step%s\n\n", title);
    if (!json_array_size(rows)) {
        printf("PyTorch is not here.\n");
    } else {
        printf("PyTorch %s.\n\n", json_string_value(json_object_get(json_array_get(rows, 0), "torch")));
        printf("| | batch | threads | training step: times as fast | inference: times as fast | memory | PyTorch's | "
               "ratio "
               "|\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        json_array_foreach(rows, i, row) print_ratios(row, seconds);
    }
    json_decref(all);
}

void bench_passes(const struct bench_options *o)
{
    char chosen[100];

    print_ours(o);
    print_pytorch(o, "-u OPENBLAS_CORETYPE", "", o->quick ? "vit-micro" : "vit-b,vit-s,vit-micro");
    snprintf(chosen, sizeof chosen, "OPENBLAS_CORETYPE=%s", blas_kernels());
    if (!o->quick)
        print_pytorch(o, chosen, ", told to use the kernels that sluice chooses", "vit-b,vit-s,vit-micro");
}
