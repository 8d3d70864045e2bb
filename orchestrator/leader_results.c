/* orchestrator/leader_results.c - results.h5 while the sweep runs; see leader_private.h.
 *
 * A copy of this process (fork) makes the file from the facts of that moment, so rank 0 hears its workers meanwhile, however
 * large the sweep.  How soon the next copy is made depends on the processor time that the last one took. */
#include "orchestrator/leader_private.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const double RESULTS_SECONDS = 4;  /* least time between two makings of results.h5 */
static const double RESULTS_SHARE = 0.02; /* most of a processor's time that they may take */
static const double TRIAL_SECONDS =
    2e-4; /* of it for each trial, before the first one is known: 100,000 trials took 18 s on a busy machine */

static void mark_running(const struct leader *l, struct standing *s)
{
    for (int r = 1; r < l->ranks; r++)
        for (int i = 0; i < l->workers[r].leases_count; i++) {
            int t = plan_example(l->plan, l->workers[r].leases[i].stage);

            if (s->trial[t] == TRIAL_WAITING) {
                s->counts[TRIAL_WAITING]--;
                s->counts[TRIAL_RUNNING]++;
                s->trial[t] = TRIAL_RUNNING;
            }
        }
}

static int make(const struct leader *l, err *e)
{
    struct standing s;

    if (standing_make(l->plan, &l->history, &s, e))
        return e->code;
    mark_running(l, &s);
    l->o->results(l->o->context, &l->history, &s, e);
    standing_free(&s);
    return e->code;
}

/* The copy's life: it leaves when rank 0 dies, lets everything else go first unless it is the last, and touches no MPI. */
__attribute__((noreturn)) static void be_the_copy(const struct leader *l, pid_t parent, bool hurry)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    if (!hurry)
        setpriority(PRIO_PROCESS, 0, 10);
    make(l, &l->copy->error);
    l->copy->whole = true;
    _exit(0);
}

int leader_results_open(struct leader *l, err *e)
{
    void *shared = mmap(NULL, sizeof *l->copy, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        return err_set(e, ERR_NOMEM, "no memory for a page that two processes share");
    l->copy = shared;
    l->results_last = TRIAL_SECONDS * l->plan->trials_count;
    l->resulted = clock_monotonic() - RESULTS_SECONDS; /* that of a small sweep is there from the beginning */
    return 0;
}

void leader_results_close(struct leader *l)
{
    if (l->copy)
        munmap(l->copy, sizeof *l->copy);
    l->copy = NULL;
}

bool leader_results_due(const struct leader *l)
{
    return l->o->results && l->unshown && !l->copying &&
           clock_monotonic() - l->resulted > fmax(RESULTS_SECONDS, l->results_last / RESULTS_SHARE);
}

void leader_results_begin(struct leader *l, bool last)
{
    double start = clock_cpu();
    pid_t self = getpid();

    leader_sync(l);
    l->unshown = false;
    l->resulted = clock_monotonic();
    *l->copy = (struct results_copy){0};
    l->copying = fork();
    if (l->copying == 0)
        be_the_copy(l, self, last);
    l->results_cpu += clock_cpu() - start;
    l->results_count++;
}

/* The copy has ended: did it do its work?  Where it could not, because it could not be made, or was killed, or because this MPI
 * does not bear copies, rank 0 does it itself. */
static void take_stock(struct leader *l, int status)
{
    double start = clock_cpu();
    err e = {0};

    if (l->copy->whole)
        e = l->copy->error;
    else if (status != SIGKILL)
        make(l, &e);
    else
        err_set(&e, ERR_SYSTEM, "the process that makes it was killed");
    l->results_error = e;
    l->results_last += clock_cpu() - start;
    l->results_cpu += l->results_last;
    if (e.code)
        rank_log_line(l->log, "", "results.h5 was not made: %s", e.text);
}

bool leader_results_busy(struct leader *l)
{
    struct rusage used = {0};
    int status = 0;
    pid_t ended;

    if (!l->copying)
        return false;
    ended = l->copying > 0 ? wait4(l->copying, &status, WNOHANG, &used) : -1;
    if (ended == 0)
        return true;
    l->copying = 0;
    l->results_last = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                      1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    take_stock(l, status);
    return false;
}
