/* slurm/remaining.c - see remaining.h. */
#include "slurm/remaining.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "slurm/process.h"

static const double ASK_SECONDS = 10;

/* Digits up to `end`; false if there is anything else, or nothing. */
static bool read_digits(const char **text, const char *ends, double *out)
{
    size_t n = strspn(*text, "0123456789");

    if (!n || n > 12 || !strchr(ends, (*text)[n]))
        return false;
    *out = atof(*text);
    *text += n;
    return true;
}

double remaining_read(const char *text)
{
    bool days = strchr(text, '-');
    double seconds = 0, x;
    int parts = 0;

    if (days && !read_digits(&text, "-", &seconds))
        return -1;
    seconds *= 24;
    for (text += days;; text++, parts++) {
        if (parts == 3 || !read_digits(&text, ":", &x)) /* the final 0 is one of the ends */
            return -1;
        seconds = seconds * (parts ? 60 : 1) + x;
        if (!*text)
            break;
    }
    return parts < 1 || (days && parts < 2) ? -1 : seconds;
}

static double wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double ask(const char *job)
{
    char option[40], answer[200];
    const char *const argv[] = {"squeue", "--noheader", "--format=%L", option, NULL};
    double left;
    int status;
    err e = {0};

    if (!*job || strlen(job) > 12 || job[strspn(job, "0123456789")])
        return 0;
    snprintf(option, sizeof option, "--jobs=%s", job);
    if (process_run(argv, ASK_SECONDS, answer, sizeof answer, &status, &e) || status)
        return 0;
    answer[strcspn(answer, " \n")] = 0;
    left = remaining_read(answer);
    return left < 0 ? 0 : wall_clock() + left;
}

double remaining_end(void)
{
    const char *end = getenv("SLURM_JOB_END_TIME"), *job = getenv("SLURM_JOB_ID");
    double when = 0;

    if (end && *end && read_digits(&(const char *){end}, "", &when) && strlen(end) == strspn(end, "0123456789"))
        return when;
    return job ? ask(job) : 0;
}
