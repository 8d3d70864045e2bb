/* worker/ahead.c - see ahead.h.
 *
 * There is one batch at a time, `work`, whose images are given out in order: next is the first not given out, made counts those
 * that have come back.  Everything but the pixels is guarded by the mutex; pixels belong to the thread that has the image,
 * and to the asking thread once all have come back. */
#include "worker/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A request with positions of its own. */
struct owned_request {
    struct batch_request request; /* n 0: none */
    size_t *positions, room;
};

struct ahead {
    struct ahead_source source;
    pthread_t *threads;
    int threads_count;
    void *memory; /* of the asking thread */
    pthread_mutex_t mutex;
    pthread_cond_t begun, ended; /* there are images to make, or the threads are to end; an image has come back */
    bool closing;
    /* the batch being made */
    const struct batch_request *work; /* NULL: none */
    float *out;
    int next, given, made,
        failed; /* given: how many were given out; failed: the first image with an error, n if none */
    err error;  /* of `failed` */
    /* what is made ahead */
    struct owned_request announced, ready;
    float *ready_out;
    size_t ready_room; /* numbers */
};

/* ---------------------------------------------------------------- making; the mutex is held */

/* Make one image of the batch if one is left; the mutex is let go meanwhile. */
static bool make_one(ahead *a, void *memory)
{
    const struct batch_request *work = a->work;
    int i = a->next;
    err e = {0};

    if (!work || i >= work->n)
        return false;
    a->next++;
    a->given++;
    float *to = a->out + (size_t)i * a->source.numbers;
    pthread_mutex_unlock(&a->mutex);
    a->source.make(a->source.context, work, i, to, memory, &e);
    pthread_mutex_lock(&a->mutex);
    if (e.code && i < a->failed) {
        a->failed = i;
        a->error = e;
    }
    a->made++;
    pthread_cond_signal(&a->ended);
    return true;
}

static void begin(ahead *a, const struct batch_request *work, float *out)
{
    a->work = work;
    a->out = out;
    a->next = a->given = a->made = 0;
    a->failed = work->n;
    pthread_cond_broadcast(&a->begun);
}

/* Wait for the images that are being made; afterwards no thread knows the batch. */
static void finish(ahead *a)
{
    while (a->made < a->given)
        pthread_cond_wait(&a->ended, &a->mutex);
    a->work = NULL;
}

static void drop(ahead *a)
{
    if (a->work)
        a->next = a->work->n;
    finish(a);
    a->ready.request.n = 0;
}

/* ---------------------------------------------------------------- threads */

static void memory_free(const ahead *a, void *memory)
{
    if (memory && a->source.memory_release)
        a->source.memory_release(memory);
    free(memory);
}

static void *serve(void *context)
{
    ahead *a = context;
    void *memory = calloc(1, a->source.memory_size + 1);

    if (!memory) /* the asking thread does the work alone */
        return NULL;
    setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + AHEAD_NICE);
    pthread_mutex_lock(&a->mutex);
    while (!a->closing)
        if (!make_one(a, memory))
            pthread_cond_wait(&a->begun, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
    memory_free(a, memory);
    return NULL;
}

/* Signals are the affair of the thread that was there before. */
static void start_threads(ahead *a, int threads, err *e)
{
    sigset_t all, before;
    int refused = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!refused && a->threads_count < threads)
        if (!(refused = pthread_create(&a->threads[a->threads_count], NULL, serve, a)))
            a->threads_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused)
        err_set(e, ERR_SYSTEM, "thread %d to make images ahead cannot be started: %s", a->threads_count,
                strerror(refused));
}

int ahead_create(ahead **out, const struct ahead_source *source, int threads, err *e)
{
    ahead *a = calloc(1, sizeof *a);

    *out = NULL;
    e->code = ERR_NONE;
    if (!a)
        return err_set(e, ERR_NOMEM, "no memory to make images ahead");
    a->source = *source;
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->begun, NULL);
    pthread_cond_init(&a->ended, NULL);
    a->memory = calloc(1, source->memory_size + 1);
    a->threads = calloc((size_t)threads + 1, sizeof *a->threads);
    if (!a->memory || !a->threads)
        err_set(e, ERR_NOMEM, "no memory for %d threads", threads);
    if (!e->code)
        start_threads(a, threads, e);
    if (e->code)
        ahead_free(a);
    else
        *out = a;
    return e->code;
}

void ahead_free(ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->mutex);
    drop(a);
    a->closing = true;
    pthread_cond_broadcast(&a->begun);
    pthread_mutex_unlock(&a->mutex);
    for (int i = 0; i < a->threads_count; i++)
        pthread_join(a->threads[i], NULL);
    pthread_cond_destroy(&a->begun);
    pthread_cond_destroy(&a->ended);
    pthread_mutex_destroy(&a->mutex);
    memory_free(a, a->memory);
    free(a->threads);
    free(a->announced.positions);
    free(a->ready.positions);
    free(a->ready_out);
    free(a);
}

/* ---------------------------------------------------------------- requests */

static bool same(const struct batch_request *a, const struct batch_request *b)
{
    return a->part == b->part && a->n == b->n && a->augmented == b->augmented &&
           (!a->augmented || (a->augment.seed == b->augment.seed && a->augment.purpose == b->augment.purpose &&
                              a->augment.task == b->augment.task && a->augment.epoch == b->augment.epoch)) &&
           !memcmp(a->positions, b->positions, (size_t)a->n * sizeof *a->positions);
}

static void keep(struct owned_request *to, const struct batch_request *from)
{
    size_t n = (size_t)from->n;

    to->request.n = 0;
    if (to->room < n) {
        free(to->positions);
        to->positions = malloc(n * sizeof *to->positions);
        to->room = to->positions ? n : 0;
    }
    if (!to->positions)
        return;
    to->request = *from;
    to->request.positions = memcpy(to->positions, from->positions, n * sizeof *to->positions);
}

void ahead_soon(ahead *a, const struct batch_request *request)
{
    if (a->threads_count && request->n > 0)
        keep(&a->announced, request);
}

/* Set the threads to the batch that was announced.  The mutex is held. */
static void begin_announced(ahead *a)
{
    struct owned_request old = a->ready;
    size_t numbers = (size_t)a->announced.request.n * a->source.numbers;

    if (!numbers)
        return;
    if (a->ready_room < numbers) {
        free(a->ready_out);
        a->ready_out = malloc(numbers * sizeof *a->ready_out);
        a->ready_room = a->ready_out ? numbers : 0;
    }
    a->ready = a->announced;
    a->announced = old;
    a->announced.request.n = 0;
    if (a->ready_out)
        begin(a, &a->ready.request, a->ready_out);
    else
        a->ready.request.n = 0;
}

int ahead_take(ahead *a, const struct batch_request *request, float *out, err *e)
{
    e->code = ERR_NONE;
    pthread_mutex_lock(&a->mutex);
    bool is_ready = a->ready.request.n && same(&a->ready.request, request);
    if (!is_ready) {
        drop(a);
        begin(a, request, out);
    }
    while (make_one(a, a->memory))
        ;
    finish(a);
    if (a->failed < request->n)
        *e = a->error;
    else if (is_ready)
        memcpy(out, a->ready_out, (size_t)request->n * a->source.numbers * sizeof *out);
    a->ready.request.n = 0;
    if (!e->code)
        begin_announced(a);
    pthread_mutex_unlock(&a->mutex);
    return e->code;
}
