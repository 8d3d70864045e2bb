/* orchestrator/command_cancel.c - `sluice cancel`: end a run cleanly, from wherever its folder can be seen. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/adopt.h"
#include "orchestrator/arguments.h"
#include "orchestrator/batch.h"
#include "orchestrator/commands.h"
#include "orchestrator/folder.h"
#include "orchestrator/lock.h"

static const char help[] = "usage: sluice cancel DIR\n"
                           "\n"
                           "Asks the run in this output folder to stop, and those in its shards, waits until they "
                           "have, and cancels the folder's jobs\n"
                           "of SLURM.  What is finished is kept; the same `sluice run` or `sluice submit` continues.\n"
                           "\n"
                           "example: sluice cancel runs/quickstart\n";

enum { WAIT_SECONDS = 30 };

/* Folders in which somebody may be at work: the given one and its shards. */
struct targets {
    int count, running;
    struct target {
        struct folder folder;
        bool running;
    } * list;
};

static bool is_running(const struct folder *f, err *e)
{
    struct folder_lock lock;
    err held = {0};

    if (access(f->root, F_OK))
        return false; /* a job that has not begun */
    if (!lock_take(f->root, &lock, &held)) {
        lock_release(&lock);
        return false;
    }
    if (held.code != ERR_BUSY)
        *e = held;
    return held.code == ERR_BUSY;
}

static void add_target(void *context, const char *path, int index, int count)
{
    struct targets *t = context;
    void *more = realloc(t->list, ((size_t)t->count + 1) * sizeof *t->list);
    err e = {0};

    (void)index;
    (void)count;
    if (!more)
        return;
    t->list = more;
    if (!folder_name(path, "", &t->list[t->count].folder, &e))
        t->count++;
}

/* Ask all that run to stop. */
static int ask_all(struct targets *t, err *e)
{
    for (int i = 0; i < t->count && !e->code; i++) {
        struct target *one = &t->list[i];

        one->running = is_running(&one->folder, e);
        t->running += one->running;
        if (one->running && !e->code)
            folder_ask_stop(&one->folder, "cancelled", e);
    }
    return e->code;
}

static int wait_for(const struct target *t, err *e)
{
    for (int i = 1; i < 10 * WAIT_SECONDS && !e->code; i++) {
        if (!is_running(&t->folder, e))
            break;
        if (i % 10 == 0) /* it may have been just beginning */
            folder_ask_stop(&t->folder, "cancelled", e);
        nanosleep(&(struct timespec){0, 100000000}, NULL);
        if (i == 10 * WAIT_SECONDS - 1)
            return err_set(e, ERR_BUSY, "%s: it does not stop", t->folder.root);
    }
    return e->code;
}

static int cancel(const struct folder *f, int *jobs, struct targets *t, err *e)
{
    add_target(t, f->root, 0, 0);
    adopt_each_shard(f->root, add_target, t);
    if (ask_all(t, e))
        return e->code;
    for (int i = 0; i < t->count && !e->code; i++)
        if (t->list[i].running)
            wait_for(&t->list[i], e);
    if (!e->code)
        batch_cancel_jobs(f->root, jobs, e);
    /* While SLURM ends a job, its script reads from `stop` that it must not go on; the next run takes it away. */
    if (e->code || *jobs)
        return e->code;
    for (int i = 0; i < t->count; i++)
        if (t->list[i].running)
            folder_clear_stop(&t->list[i].folder);
    return 0;
}

int command_cancel(int argc, char **argv)
{
    static const char *const flags[] = {NULL};
    struct targets t = {0};
    struct arguments a;
    struct folder f;
    int status, jobs = 0;
    err e = {0};

    if (!arguments_read(argc, argv, help, flags, &a, &status))
        return status;
    if (!folder_name(a.folder, "", &f, &e) &&
        (!access(f.jobs, F_OK) || adopt_each_shard(f.root, NULL, NULL) || !folder_check(&f, &e)))
        cancel(&f, &jobs, &t, &e);
    free(t.list);
    if (e.code)
        return arguments_fail(argv, &e);
    if (t.running)
        puts("stopped; the same `sluice run` continues");
    if (jobs)
        printf("%d job%s of SLURM cancelled; the same `sluice submit` continues\n", jobs, jobs > 1 ? "s" : "");
    if (!t.running && !jobs)
        puts("nothing is running there");
    return 0;
}
