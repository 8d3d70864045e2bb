/* slurm/jobs.c - see jobs.h. */
#include "slurm/jobs.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slurm/process.h"
#include "slurm/remaining.h"

/* Only the last jobs of a folder can still be there. */
enum { MOST_IDS = 64, PATH_SIZE = 4200, ANSWER_SIZE = 1 << 20 };
static const double ASK_SECONDS = 10;

static void jobs_path(const char *folder, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%.4000s/jobs", folder);
}

int jobs_record(const char *folder, const char *id, err *e)
{
    char path[PATH_SIZE];
    FILE *out;

    jobs_path(folder, path);
    if (!(out = fopen(path, "ae")))
        return err_errno(e, "%s", path);
    fprintf(out, "%s\n", id);
    return fclose(out) ? err_errno(e, "%s", path) : 0;
}

/* ---- asking ---- */

/* The numbers of the last jobs, joined by commas; false if there are none.  What is no number is passed over. */
static bool read_ids(const char *folder, char ids[MOST_IDS * 13])
{
    char path[PATH_SIZE], line[100], last[MOST_IDS][13];
    int n = 0;
    FILE *in;

    jobs_path(folder, path);
    *ids = 0;
    if (!(in = fopen(path, "re")))
        return false;
    while (fgets(line, sizeof line, in)) {
        size_t digits = strspn(line, "0123456789");

        if (digits && digits < sizeof *last && strchr("\n;", line[digits]))
            snprintf(last[n++ % MOST_IDS], sizeof *last, "%.*s", (int)digits, line);
    }
    fclose(in);
    for (int i = 0; i < n && i < MOST_IDS; i++)
        sprintf(ids + strlen(ids), "%s%s", i ? "," : "", last[i]);
    return n > 0;
}

static void copy(char *to, size_t size, const char *from)
{
    size_t n = 0;

    for (; *from && n + 1 < size; from++)
        to[n++] = isprint((unsigned char)*from) ? *from : '?';
    to[n] = 0;
}

/* A line of squeue: id|state|left|start|reason.  Fields are cut, and without control characters. */
static bool read_job(char *line, struct job *j)
{
    char *id = strsep(&line, "|"), *state = strsep(&line, "|"), *left = strsep(&line, "|"), *start = strsep(&line, "|");

    if (!line || !*id)
        return false;
    copy(j->id, sizeof j->id, id);
    copy(j->state, sizeof j->state, state);
    copy(j->start, sizeof j->start, strcmp(start, "N/A") ? start : "");
    copy(j->reason, sizeof j->reason, strcmp(line, "None") ? line : "");
    j->left = remaining_read(left);
    return true;
}

static int read_answer(char *answer, struct jobs *out, err *e)
{
    int room = 1;

    for (const char *p = answer; *p; p++)
        room += *p == '\n';
    out->list = calloc((size_t)room, sizeof *out->list);
    if (!out->list)
        return err_set(e, ERR_NOMEM, "no memory for %d jobs", room);
    for (char *line; (line = strsep(&answer, "\n"));)
        out->count += read_job(line, &out->list[out->count]);
    return 0;
}

int jobs_read(const char *folder, struct jobs *out, err *e)
{
    char ids[MOST_IDS * 13], option[sizeof ids + 16], *answer;
    const char *const argv[] = {"squeue", "--noheader", "--format=%i|%T|%L|%S|%r", option, NULL};
    int status = 0;
    err asked = {0};

    *out = (struct jobs){0};
    if (!read_ids(folder, ids))
        return 0;
    if (!(answer = malloc(ANSWER_SIZE)))
        return err_set(e, ERR_NOMEM, "no memory for squeue's answer");
    snprintf(option, sizeof option, "--jobs=%s", ids);
    if (process_run(argv, ASK_SECONDS, answer, ANSWER_SIZE, &status, &asked)) {
        if (asked.code != ERR_MISSING)
            snprintf(out->trouble, sizeof out->trouble, "%.290s", asked.text);
    } else if (!status) {
        read_answer(answer, out, e);
    } else if (!strstr(answer, "Invalid job id")) { /* so it says of jobs that it has forgotten */
        answer[strcspn(answer, "\n")] = 0;
        snprintf(out->trouble, sizeof out->trouble, "%.290s", answer);
    }
    free(answer);
    return e->code;
}

void jobs_free(struct jobs *jobs)
{
    free(jobs->list);
    *jobs = (struct jobs){0};
}

/* ---- showing ---- */

static void show_one(const struct job *j, FILE *out)
{
    char state[sizeof j->state];

    for (size_t i = 0; i < sizeof state; i++)
        state[i] = (char)tolower((unsigned char)j->state[i]);
    fprintf(out, "job %s is %s", j->id, state);
    if (!strcmp(j->state, "PENDING")) {
        if (*j->reason)
            fprintf(out, " (%s)", j->reason);
        if (*j->start)
            fprintf(out, ", expected to start %s", j->start);
    } else if (j->left >= 0) {
        fprintf(out, ", %.0f:%02.0f:%02.0f left", (double)((long)j->left / 3600), (double)((long)j->left / 60 % 60),
                (double)((long)j->left % 60));
    }
    fputc('\n', out);
}

void jobs_show(const char *folder, FILE *out)
{
    struct jobs jobs;
    err e = {0};

    jobs_read(folder, &jobs, &e);
    if (*jobs.trouble)
        fprintf(out, "SLURM does not answer: %s\n", jobs.trouble);
    for (int i = 0; i < jobs.count; i++)
        show_one(&jobs.list[i], out);
    jobs_free(&jobs);
}

void jobs_print(const char *folder, FILE *out)
{
    json_t *list = json_array();
    struct jobs jobs;
    err e = {0};

    jobs_read(folder, &jobs, &e);
    for (int i = 0; i < jobs.count; i++) {
        const struct job *j = &jobs.list[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", j->id, "state", j->state, "reason",
                                              j->reason, "start", j->start, "seconds_left",
                                              j->left >= 0 ? json_real(j->left) : json_null()));
    }
    json_dumpf(list, out, 0);
    json_decref(list);
    jobs_free(&jobs);
}

/* ---- ending ---- */

/* Their numbers, each once: an array has one. */
static int distinct(const struct jobs *jobs, char ids[MOST_IDS][JOB_ID])
{
    int n = 0;

    for (int i = 0; i < jobs->count && n < MOST_IDS; i++) {
        bool known = false;

        snprintf(ids[n], JOB_ID, "%.*s", (int)strspn(jobs->list[i].id, "0123456789"), jobs->list[i].id);
        for (int k = 0; k < n; k++)
            known |= !strcmp(ids[k], ids[n]);
        n += !known;
    }
    return n;
}

int jobs_cancel(const char *folder, int *count, err *e)
{
    char ids[MOST_IDS][JOB_ID], answer[2000];
    const char *argv[MOST_IDS + 3] = {"scancel", "--quiet"};
    struct jobs jobs;
    int status = 0;

    *count = 0;
    if (jobs_read(folder, &jobs, e))
        return e->code;
    if (*jobs.trouble)
        err_set(e, ERR_SYSTEM, "SLURM does not answer: %s", jobs.trouble);
    else
        *count = distinct(&jobs, ids);
    for (int i = 0; i < *count; i++)
        argv[2 + i] = ids[i];
    jobs_free(&jobs);
    if (*count && !process_run(argv, ASK_SECONDS, answer, sizeof answer, &status, e) && status)
        err_set(e, ERR_SYSTEM, "scancel: %.500s", *answer ? answer : "it does not say why");
    return e->code;
}
