/* tests/worker/fake_trainer.c - see fake_trainer.h. */
#include "fake_trainer.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/h5.h"

static void nap(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))};

    nanosleep(&t, NULL);
}

/* Work for that long, asking whether to go on; false when told to stop. */
static bool work(const struct host *host, double seconds, bool deaf)
{
    const double step = 0.005;
    bool told = false;

    for (double done = 0; done < seconds && (deaf || !told); done += step) {
        told = !host->go_on(host->context,
                            &(struct progress){.phase = "train", .epochs = 1, .fraction = done / seconds, .loss = 1.5});
        nap(fmin(step, seconds - done));
    }
    return !told;
}

static void send_garbage(void)
{
    char garbage[64];

    memset(garbage, 'x', sizeof garbage);
    send(3, garbage, sizeof garbage, 0); /* the supervisor's socket */
    nap(5);
}

static void eat_memory(const struct host *host)
{
    for (int i = 0; i < 4000; i++) {
        char *p = malloc(10 << 20);

        if (p)
            memset(p, i + 1, 10 << 20);
        host->go_on(host->context, &(struct progress){.phase = "train", .epochs = 1, .loss = NAN});
        nap(0.01);
    }
}

/* True once for each key: the checkpoint folder remembers. */
static bool first_time(const struct stage_job *job)
{
    char *path = stage_checkpoint_path(job, &job->key), mark[4096];
    int fd;

    snprintf(mark, sizeof mark, "%s.tried", path);
    free(path);
    fd = open(mark, O_CREAT | O_EXCL | O_WRONLY, 0666);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int behave(const struct stage_job *job, const struct host *host, err *e)
{
    bool learns = job->kind == STAGE_WTP || job->kind == STAGE_SEQUENTIAL || job->kind == STAGE_JOINT;
    const char *bad = getenv("FAKE_BAD_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    int64_t habit = learns ? job->config.value[OPTION_SEEDS_INIT].integer : 0;

    if (bad && rank && !strcmp(bad, rank))
        habit = FAKE_CRASH;
    if (habit >= FAKE_CRASH && habit <= FAKE_FLAKY)
        fprintf(stderr, "habit %d\n", (int)habit);
    switch (habit) {
    case FAKE_FLAKY:
        if (!first_time(job))
            return 0;
        /* fall through */
    case FAKE_CRASH:
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        raise(SIGSEGV);
        return 0;
    case FAKE_EXIT:
        exit(3);
    case FAKE_HANG:
        for (;;)
            pause();
    case FAKE_EAT:
        eat_memory(host);
        return 0;
    case FAKE_NOT_A_NUMBER:
        return err_set(e, ERR_DIVERGED, "the loss is not finite");
    case FAKE_NONSENSE:
        send_garbage();
        return 0;
    case FAKE_SLOW:
    case FAKE_DEAF:
        return work(host, 3600, habit == FAKE_DEAF) ? 0 : err_set(e, ERR_INTERRUPTED, "told to stop");
    case FAKE_LIAR:
        send(3, "\x05\0LS\2\0\0\0{}", 10, 0);
        return 0;
    default:
        return 0;
    }
}

/* Digest of the inputs' recorded digests: a wrong or missing input shows in the result. */
static int digest_of_inputs(const struct stage_job *job, struct digest *out, err *e)
{
    struct digester d;

    digester_start(&d);
    digester_add(&d, job->key.bytes, DIGEST_BYTES);
    for (int i = 0; i < job->inputs_count && !e->code; i++) {
        char *path = stage_checkpoint_path(job, &job->inputs[i].key);
        struct digest one;
        h5 *file;

        if (!h5_open(path, &file, e)) {
            if (!h5_digest(file, &one, e))
                digester_add(&d, one.bytes, DIGEST_BYTES);
            h5_close(file);
        }
        free(path);
    }
    *out = digester_end(&d);
    return e->code;
}

static int write_checkpoint(const struct stage_job *job, const struct digest *content, struct digest *digest, err *e)
{
    char *path = stage_checkpoint_path(job, &job->key);
    h5 *file;

    if (!h5_create(path, &file, e)) {
        if (h5_write(file, "content", H5_U8, 1, &(size_t){DIGEST_BYTES}, content->bytes, false, e))
            h5_close(file);
        else
            h5_commit(file, digest, e);
    }
    free(path);
    return e->code;
}

static void answer_rows(const struct stage_job *job, const struct host *host, const struct digest *content)
{
    bool all = job->kind == STAGE_JOINT;
    int last = all ? (int)job->config.value[OPTION_DATASET_TASKS].integer - 1 : job->task;
    struct training_row epoch = {
        .task = last, .phase = "train", .loss = 1, .accuracy = 50, .lr = 0.1, .seconds = 1, .images_per_second = NAN};

    snprintf(epoch.stage, sizeof epoch.stage, "%s", stage_kind_name(job->kind));
    host->training(host->context, &epoch);
    for (int task = 0; task <= last && (all || job->kind == STAGE_TAP || job->kind == STAGE_SEQUENTIAL); task++) {
        struct accuracy_row row = {
            .after_task = last, .task = task, .phase = "after", .tii_accuracy = NAN, .loss = 0.5, .images = 1000};

        row.accuracy = 50 + (content->bytes[task % DIGEST_BYTES] % 500) / 10.0;
        host->accuracy(host->context, &row);
    }
}

int fake_trainer(const struct stage_job *job, const struct host *host, struct stage_outcome *out, err *e)
{
    const char *text = getenv("FAKE_SECONDS");
    double seconds = text ? atof(text) : 0.01;
    struct digest content;

    if (behave(job, host, e))
        return e->code;
    *out = (struct stage_outcome){.checkpoint = job->key, .trainable_parameters = 10, .seconds = fmax(seconds, 0)};
    if (seconds < 0)
        return 0;
    if (!work(host, seconds, false))
        return err_set(e, ERR_INTERRUPTED, "told to stop");
    if (digest_of_inputs(job, &content, e) || write_checkpoint(job, &content, &out->checkpoint, e))
        return e->code;
    answer_rows(job, host, &content);
    return 0;
}
