/* orchestrator/run_rank.c - the part of a run inside the MPI job; see run.h. */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/adopt.h"
#include "orchestrator/batch.h"
#include "orchestrator/launch.h"
#include "orchestrator/leader.h"
#include "orchestrator/lock.h"
#include "orchestrator/origin.h"
#include "orchestrator/place.h"
#include "orchestrator/results.h"
#include "orchestrator/run.h"
#include "orchestrator/study.h"
#include "sweeps/plan_report.h"
#include "worker/rank.h"

enum { FINALIZE_SECONDS = 3 };

/* What rank 0's callbacks need. */
struct session {
    struct study study;
    struct folder_lock lock;
    struct results_origin origin;
};

static int make_results(void *context, const struct history *h, const struct standing *s, err *e)
{
    struct session *session = context;

    return results_make(&session->study.plan, &session->study.folder, h, s, &session->origin, e);
}

static void sign_of_life(void *context)
{
    struct session *session = context;

    lock_beat(&session->lock);
}

static int lead(const struct run_options *o, struct session *session, struct leader_end *end, err *e)
{
    struct study *s = &session->study;
    struct leader_options leader = {.plan = &s->plan,
                                    .folder = &s->folder,
                                    .patience = o->patience,
                                    .ends = batch_ends(),
                                    .show = !o->outcome,
                                    .version = session->origin.version,
                                    .results = make_results,
                                    .context = session,
                                    .beat = sign_of_life};
    bool changed;
    int adopted;

    session->lock.fd = -1;
    if (!study_from_sweep(o->sweep, o->overrides, o->overrides_count, o->out, s, e) && !folder_make(&s->folder, e) &&
        !lock_take(s->folder.root, &session->lock, e)) {
        folder_clear_stop(&s->folder);
        folder_sweep_up(&s->folder);
        if (!folder_freeze(&s->folder, &s->sweep, o->sweep, &changed, e))
            adopt_from_siblings(&s->plan, &s->folder, &adopted, e);
    }
    if (!e->code && !o->outcome) /* else the launcher has told them */
        plan_tell_warnings(&s->plan, "run");
    leader.threads = o->threads ? o->threads : (int)s->sweep.setting[SETTING_RESOURCES_THREADS_PER_RANK].number;
    if (e->code)
        leader_dismiss(MPI_COMM_WORLD);
    else
        leader_run(MPI_COMM_WORLD, &leader, end, e);
    return e->code;
}

/* Whole or not at all: the launcher acts on it at once. */
static void write_outcome(const struct run_options *o, const struct leader_end *end, const err *e)
{
    char aside[FOLDER_PATH + 80];
    FILE *out;

    if (!o->outcome || snprintf(aside, sizeof aside, "%s.part", o->outcome) >= (int)sizeof aside ||
        !(out = fopen(aside, "we")))
        return;
    fprintf(out, "%s %d\n%s\n", err_name(e->code), end->no_workers, e->text);
    if (fclose(out) || rename(aside, o->outcome))
        unlink(aside);
}

static int run_as_leader(const struct run_options *o, bool *abrupt)
{
    struct session session = {.origin = origin_here()};
    struct leader_end end = {0};
    err e = {0};

    lead(o, &session, &end, &e);
    lock_release(&session.lock);
    write_outcome(o, &end, &e); /* from now on the launcher may end what is left of the job by force */
    if (!o->outcome && e.code)
        fprintf(stderr, "sluice run: %s\n", e.text);
    if (!o->outcome && (!e.code || e.code == ERR_WORKER || e.code == ERR_INTERRUPTED))
        printf("results: %s\n", session.study.folder.results);
    study_close(&session.study);
    *abrupt = end.abrupt;
    return err_exit_status(e.code);
}

/* Tell the launcher that MPI works. */
static void tell_begun(const struct run_options *o)
{
    char here[256] = "localhost";
    FILE *out = o->outcome ? fopen(o->outcome, "we") : NULL;

    if (!out)
        return;
    gethostname(here, sizeof here - 1);
    fprintf(out, "BEGUN %s %d\n", here, (int)getpid());
    fclose(out);
}

static int run_as_worker(const struct run_options *o, bool *abrupt)
{
    static const char *const child[] = {"/proc/self/exe", "trainer", NULL};
    const struct place place = place_here();
    struct rank_options options = {.child = child, .threads = place_cores(&place), .patience = o->patience};
    struct folder folder;
    struct sweep sweep = {0};
    err e = {0};

    signal(SIGINT, SIG_IGN); /* rank 0 decides when to stop */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (!sweep_load(o->sweep, o->overrides, o->overrides_count, &sweep, &e))
        folder_of(o->out, &sweep, &folder, &e);
    if (sweep.setting[SETTING_RESOURCES_BIND].number > 0)
        place_bind(&place);
    sweep_free(&sweep);
    options.log_folder = e.code ? "/nonexistent" : folder.log; /* rank 0 meets the same error, and tells it */
    e = (err){0};
    rank_serve(MPI_COMM_WORLD, &options, abrupt, &e);
    return 0;
}

static void leave_now(int number)
{
    (void)number;
    _exit(0);
}

int run_rank(const struct run_options *o)
{
    int rank, status;
    bool abrupt = false;

    /* Reading from the memory of a process that has died would end this one. */
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    setenv("OMPI_MCA_mpi_yield_when_idle", "0", 0); /* ranks sleep by themselves */
    MPI_Init(NULL, NULL);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0)
        tell_begun(o);
    status = rank ? run_as_worker(o, &abrupt) : run_as_leader(o, &abrupt);
    fflush(stdout);
    if (abrupt)
        _exit(o->outcome ? 0 : status);
    signal(SIGALRM, leave_now); /* a rank that died meanwhile must not hold us */
    alarm(FINALIZE_SECONDS);
    MPI_Finalize();
    alarm(0);
    return o->outcome ? 0 : status;
}
