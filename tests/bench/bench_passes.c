/* bench_passes.c - whole training steps and inference: useful operations over SGEMM's peak, two threads over one, and PyTorch at the
 * same step.
 *
 * The peak is measured during a pass, between pieces of it: a pass takes seconds, and meanwhile a shared machine changes its speed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"
#include "model/blas.h"
#include "model/classifier.h"
#include "model/flops.h"
#include "model/losses.h"

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
    cross_entropy(p->logits, p->labels, NULL, p->B, BENCH_CLASSES, false, NULL);
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
    const struct classifier_shape head = {.classes = BENCH_CLASSES, .width = s->width};
    size_t B = (size_t)what->batch, D = (size_t)s->width;
    err e = {0};

    *p = (struct pass){
        .B = what->batch, .train = what->train, .prefix = {.length = BENCH_LENGTH, .gate = GATE_tanh, .scopes = 1}};
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
    p->logits = bench_numbers(B * BENCH_CLASSES);
    p->labels = bench_zeros(B * sizeof *p->labels);
    for (int b = 0; b < p->B; b++)
        p->labels[b] = b % BENCH_CLASSES;
    bench_check(
        vit_batch_create(&p->batch, s, what->train ? VIT_PROMPT : VIT_INFER, p->B, BENCH_LENGTH, 0, what->threads, &e),
        &e);
}

/* ---- a pass and SGEMM's rate meanwhile ------------------------------------------------------------------------------ */

struct meter {
    struct bench_product product;
    double since, rate;        /* of the last look: when it ended, SGEMM's rate then */
    double seconds, potential; /* of passes, without the looks; what SGEMM would have done in them */
};

static const double look_every = 0.1, look_for = 0.02, turn_for = 0.2; /* seconds, at least */

static double went(const struct meter *m)
{
    return bench_seconds(m->product.threads) - m->since;
}

/* Two threads cannot stop together within a pass, so they look before and after it only, the longer the longer it takes. */
static double rate_now(struct meter *m, double between)
{
    return bench_peak(&m->product, m->product.threads > 1 && between > 10 * look_for ? between / 10 : look_for);
}

/* Time goes by at the mean of SGEMM's rates before and after. */
static void look(struct meter *m)
{
    double seconds = went(m), rate = rate_now(m, seconds);

    m->seconds += seconds;
    m->potential += seconds * (m->rate + rate) / 2;
    m->rate = rate;
    m->since = bench_seconds(m->product.threads);
}

/* After some images of a pass of one thread. */
static void look_now_and_then(void *meter)
{
    if (went(meter) > look_every)
        look(meter);
}

/* Passes, one at least, with a look before the first and after the last; their number. */
static int turn(struct meter *m, struct pass *p)
{
    int passes = 0;

    m->rate = rate_now(m, m->seconds); /* of the turn before */
    m->since = bench_seconds(m->product.threads);
    m->seconds = m->potential = 0;
    do {
        run_pass(p);
        passes++;
    } while (m->seconds + went(m) < turn_for);
    look(m);
    return passes;
}

int bench_pass_here(char **argv)
{
    struct bench_pass what = {0};
    struct meter m = {.seconds = 0};
    struct rusage usage;
    struct pass p;
    char line[20];

    for (int i = 0; i < 4; i++)
        if (!argv[i])
            return 2;
    what.model = bench_model(argv[0]);
    what.batch = atoi(argv[1]);
    what.threads = atoi(argv[2]);
    what.train = !strcmp(argv[3], "train");
    if (what.batch < 1 || what.threads < 1 || what.threads > BENCH_THREADS)
        return 2;
    open_pass(&p, &what);
    bench_peak_open(&m.product, what.threads);
    if (what.threads == 1)
        vit_batch_watch(p.batch, look_now_and_then, &m);
    while (fgets(line, sizeof line, stdin)) {
        int passes = turn(&m, &p);

        getrusage(RUSAGE_SELF, &usage);
        printf("%.17g %.17g %.17g\n", m.seconds / passes, m.potential / m.seconds, (double)usage.ru_maxrss / 1024);
        fflush(stdout);
    }
    return 0;
}

double bench_pass_flops(const struct bench_pass *p)
{
    const struct vit_shape *s = &p->model->shape;
    struct prefix prefix = {.length = BENCH_LENGTH};
    double flops;
    err e = {0};

    bench_check(prefix_set_layers(&prefix, (1u << BENCH_PROMPTED) - 1, s->depth, &e), &e);
    flops = vit_forward_flops(s, p->train ? &prefix : NULL);
    if (p->train)
        flops += vit_backward_flops(s, &prefix, VIT_PROMPT, 0);
    return flops * p->batch;
}

static const struct {
    const char *model;
    int batch;
    bool slow; /* not with --quick */
} runs[] = {{"vit-b", 16, true}, {"vit-b", 64, true},      {"vit-b", 4, false},     {"vit-s", 16, false},
            {"vit-s", 64, true}, {"vit-micro", 16, false}, {"vit-micro", 64, false}};

/* Useful operations over those that SGEMM would have done. */
static double of_peak(const struct bench_runner *r, double flops)
{
    return r->turns * flops / r->potential;
}

static void print_ours(const struct bench_options *o)
{
    printf("\n### Whole passes\n\n| | batch | | GFLOP/s, useful | of peak | 2 threads: of peak | over 1 thread |\n"
           "| --- | ---: | --- | ---: | ---: | ---: | ---: |\n");
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (int train = 1; train >= 0 && !(o->quick && runs[i].slow); train--) {
            struct bench_pass p = {bench_model(runs[i].model), runs[i].batch, 1, train};
            struct bench_runner one, two;
            double flops = bench_pass_flops(&p);

            bench_runner_open(&one, &p);
            p.threads = 2;
            bench_runner_open(&two, &p);
            bench_runners_race((struct bench_runner *[]){&one, &two}, 2, o->quick ? 3 : 20);
            printf("| %s | %d | %s | %.1f | %.2f | %.2f | %.2f |\n", p.model->title, p.batch,
                   train ? "training step" : "inference", one.turns * flops / one.seconds / 1e9, of_peak(&one, flops),
                   of_peak(&two, flops), one.seconds / two.seconds);
            fflush(stdout);
            bench_runner_close(&one);
            bench_runner_close(&two);
        }
}

/* ---- PyTorch ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *model;
    int batch;
} at_pytorch[] = {{"vit-b", 24}, {"vit-s", 24}, {"vit-micro", 128}};

/* PyTorch's passes beside ours, in turns; false: PyTorch is not here.  times: as fast. */
static bool race_pytorch(const struct bench_options *o, const char *environment, const struct bench_pass *p,
                         double *times, struct bench_runner *ours, struct bench_runner *its)
{
    char command[4500];

    snprintf(command, sizeof command, "exec env %s /usr/bin/python3 '%s/tests/bench/pytorch_step.py' %s %d %d %s",
             environment, o->source, p->model->name, p->batch, p->threads, p->train ? "train" : "infer");
    if (!bench_runner_open_command(its, command))
        return false;
    bench_runner_open(ours, p);
    bench_runners_race((struct bench_runner *[]){ours, its}, 2, o->quick ? 3 : 20);
    *times = its->seconds / ours->seconds;
    bench_runner_close(ours);
    bench_runner_close(its);
    return true;
}

/* The first word that a line of Python prints, nothing if it fails. */
static void ask_python(const char *environment, const char *line, char word[100])
{
    char command[1000];
    FILE *f;

    snprintf(command, sizeof command, "env %s /usr/bin/python3 -c \"%s\" 2> /dev/null", environment, line);
    f = popen(command, "r");
    word[0] = 0;
    if (f && fscanf(f, "%99s", word) != 1)
        word[0] = 0;
    if (f)
        pclose(f);
}

/* OpenBLAS's kernels with this environment. */
static void kernels_taken(const char *environment, char name[100])
{
    ask_python(environment,
               "import ctypes; f = ctypes.CDLL('libopenblas.so.0').openblas_get_corename; f.restype = ctypes.c_char_p; "
               "print(f().decode())",
               name);
}

/* environment: what `env` is told of OpenBLAS's kernels. */
static void print_pytorch(const struct bench_options *o, const char *environment, const char *title)
{
    char version[100], kernels[100];

    ask_python(environment, "import torch; print(torch.__version__)", version);
    kernels_taken(environment, kernels);
    printf("\n### PyTorch at the same step%s\n\n", title);
    if (!*version) {
        printf("PyTorch is not here.\n");
        return;
    }
    printf("PyTorch %s; its OpenBLAS takes the %s kernels.\n\n", version, kernels);
    printf("| | batch | threads | training step: times as fast | inference: times as "
           "fast | memory | PyTorch's | ratio |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t i = 0; i < sizeof at_pytorch / sizeof *at_pytorch; i++) {
        struct bench_pass p = {bench_model(at_pytorch[i].model), at_pytorch[i].batch, 1, true};
        struct bench_runner ours, its;
        double train, infer, mib, pytorch;

        if (o->quick && strcmp(p.model->name, "vit-micro"))
            continue;
        if (!race_pytorch(o, environment, &p, &train, &ours, &its))
            return;
        mib = ours.mib;
        pytorch = its.mib;
        p.train = false;
        if (!race_pytorch(o, environment, &p, &infer, &ours, &its))
            return;
        printf("| %s | %d | %d | %.2f | %.2f | %.0f MiB | %.0f MiB | %.2f |\n", p.model->title, p.batch, p.threads,
               train, infer, mib, pytorch, mib / pytorch);
        fflush(stdout);
    }
}

void bench_passes(const struct bench_options *o)
{
    char chosen[100], taken[100];

    print_ours(o);
    print_pytorch(o, "-u OPENBLAS_CORETYPE", "");
    kernels_taken("-u OPENBLAS_CORETYPE", taken);
    snprintf(chosen, sizeof chosen, "OPENBLAS_CORETYPE=%s", blas_kernels());
    if (!o->quick && strcmp(taken, blas_kernels()) != 0)
        print_pytorch(o, chosen, ", told to use the kernels that sluice chooses");
}
