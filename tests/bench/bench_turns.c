/* bench_turns.c - two things measured in turns.  Machines are shared, and what they give to a program changes by a third within seconds;
 * so a ratio is taken of two times of the same moment, and a long pass is compared with SGEMM's rate during that pass. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omp.h>

#include "bench.h"
#include "model/blas.h"
#include "model/kernels.h"
#include "model/linear.h"
#include "model/memory.h"

enum { SQUARE = 1024 };

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

static double time_of(struct bench_call c, int calls)
{
    double start = bench_seconds(1);

    for (int i = 0; i < calls; i++)
        c.call(c.what);
    return (bench_seconds(1) - start) / calls;
}

/* So many calls that they can be timed. */
static int calls_of(struct bench_call c)
{
    const double shortest = 2e-3; /* the processor's clock is a coarse one */
    int calls = 1;

    while (calls < 1 << 20 && time_of(c, calls) * calls < shortest)
        calls *= 2;
    return calls;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_over(struct bench_call thing, struct bench_call yardstick, double budget)
{
    enum { ROUNDS = 400 };
    int mine = calls_of(thing), its = calls_of(yardstick), n = 0;
    double ratios[ROUNDS], end = bench_seconds(2) + budget;

    while (n < 3 || (n < ROUNDS && bench_seconds(2) < end)) {
        double took;

        yardstick.call(yardstick.what); /* brings its arrays back into the cache */
        took = time_of(yardstick, its);
        thing.call(thing.what);
        ratios[n++] = took / time_of(thing, mine);
    }
    qsort(ratios, (size_t)n, sizeof *ratios, ascending);
    return n % 2 ? ratios[n / 2] : (ratios[n / 2 - 1] + ratios[n / 2]) / 2;
}

/* ---- products ------------------------------------------------------------------------------------------------------- */

void bench_product_open(struct bench_product *p, enum bench_way way, int m, int n, int k, int threads)
{
    double operations = 2.0 * m * n * k;

    *p = (struct bench_product){
        .way = way, .m = m, .n = n, .k = k, .threads = threads, .repeats = 1 + (int)(2e8 / operations)};
    for (int t = 0; t < threads; t++) {
        p->A[t] = bench_numbers((size_t)m * (size_t)k);
        p->B[t] = bench_numbers((size_t)n * (size_t)k);
        p->C[t] = bench_numbers((size_t)m * (size_t)n);
        p->strip[t] = memory_numbers(1 << 19); /* a huge page */
    }
}

void bench_product_close(struct bench_product *p)
{
    for (int t = 0; t < p->threads; t++) {
        free(p->A[t]);
        free(p->B[t]);
        free(p->C[t]);
        free(p->strip[t]);
    }
}

void bench_multiply(void *product)
{
    const struct bench_product *p = product;
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;

#pragma omp parallel num_threads(p->threads)
    for (int i = 0, t = omp_get_thread_num(); i < p->repeats; i++)
        if (p->way == BENCH_SGEMM)
            gemm_nt(p->m, p->n, p->k, 1, p->A[t], p->k, p->B[t], p->k, 0, p->C[t], p->n);
        else if (p->way == BENCH_FORWARD)
            linear_forward(kernels_best(), m, n, k, p->A[t], k, p->B[t], false, p->C[t], n, p->strip[t]);
        else
            linear_backward(kernels_best(), m, n, k, p->C[t], n, p->B[t], false, p->A[t], k, p->strip[t]);
}

double bench_product_flops(const struct bench_product *p)
{
    return 2.0 * p->m * p->n * p->k * p->repeats * p->threads;
}

void bench_peak_open(struct bench_product *p, int threads)
{
    bench_product_open(p, BENCH_SGEMM, SQUARE, SQUARE, SQUARE, threads);
}

double bench_peak(struct bench_product *p, double seconds)
{
    double start = bench_seconds(p->threads), took;
    int calls = 0;

    do {
        bench_multiply(p);
        calls++;
        took = bench_seconds(p->threads) - start;
    } while (took < seconds);
    return calls * bench_product_flops(p) / took;
}

/* ---- runners -------------------------------------------------------------------------------------------------------- */

static void start(struct bench_runner *r, const char *command)
{
    int to[2], from[2];

    *r = (struct bench_runner){0};
    signal(SIGPIPE, SIG_IGN); /* a runner that has ended is noticed by its silence */
    if (pipe(to) || pipe(from) || fcntl(to[1], F_SETFD, FD_CLOEXEC) || fcntl(from[0], F_SETFD, FD_CLOEXEC) ||
        (r->process = fork()) < 0) {
        perror("bench_speed");
        exit(1);
    }
    if (!r->process) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[0]);
        close(from[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    r->to = fdopen(to[1], "w");
    r->from = fdopen(from[0], "r");
}

bool bench_runner_open_command(struct bench_runner *r, const char *command)
{
    start(r, command);
    if (bench_runner_turn(r)) { /* the first one finds its memory */
        r->turns = r->seconds = r->potential = 0;
        return true;
    }
    bench_runner_close(r);
    return false;
}

void bench_runner_open(struct bench_runner *r, const struct bench_pass *p)
{
    char command[200];

    snprintf(command, sizeof command, "exec /proc/%d/exe --pass %s %d %d %s", (int)getpid(), p->model->name, p->batch,
             p->threads, p->train ? "train" : "infer");
    if (!bench_runner_open_command(r, command)) {
        fprintf(stderr, "bench_speed: no answer from '%s'\n", command);
        exit(1);
    }
}

bool bench_runner_turn(struct bench_runner *r)
{
    double seconds, rate, mib;

    if (fputs("pass\n", r->to) < 0 || fflush(r->to) || fscanf(r->from, "%lf %lf %lf", &seconds, &rate, &mib) != 3)
        return false;
    r->turns++;
    r->seconds += seconds;
    r->potential += rate * seconds;
    r->mib = mib;
    return true;
}

void bench_runner_close(struct bench_runner *r)
{
    fclose(r->to);
    fclose(r->from);
    waitpid(r->process, NULL, 0);
}

void bench_runners_race(struct bench_runner *const *runners, int n, double budget)
{
    double end = bench_seconds(2) + budget;

    for (int round = 0; round < 2 || bench_seconds(2) < end; round++)
        for (int i = 0; i < n; i++)
            if (!bench_runner_turn(runners[i])) {
                fprintf(stderr, "bench_speed: a pass has failed\n");
                exit(1);
            }
}
