/* orchestrator/metrics.c - see metrics.h. */
#include "orchestrator/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A[task][after_task], or the task-identity accuracy of the same cell; NaN if no row tells. */
static double cell(const struct accuracy_row *rows, int count, int task, int after_task, bool tii)
{
    double value = NAN;

    for (int i = 0; i < count; i++)
        if (rows[i].task == task && rows[i].after_task == after_task && !strcmp(rows[i].phase, "after"))
            value = tii ? rows[i].tii_accuracy : rows[i].accuracy;
    return value;
}

static double mean_of_column(const struct accuracy_row *rows, int count, int after_task, bool tii)
{
    double sum = 0;

    for (int k = 0; k <= after_task; k++)
        sum += cell(rows, count, k, after_task, tii); /* a missing one makes it NaN */
    return sum / (after_task + 1);
}

double metrics_average(const struct accuracy_row *rows, int count, int after_task)
{
    return mean_of_column(rows, count, after_task, false);
}

static double forgetting(const struct accuracy_row *rows, int count, int tasks)
{
    double sum = 0;

    for (int k = 0; k < tasks - 1; k++) {
        double best = 0;

        for (int t = k; t < tasks; t++) {
            double a = cell(rows, count, k, t, false);

            best = isnan(a) || isnan(best) ? NAN : fmax(best, a);
        }
        sum += best - cell(rows, count, k, tasks - 1, false);
    }
    return tasks > 1 ? sum / (tasks - 1) : NAN;
}

struct trial_metrics metrics_of(const struct accuracy_row *rows, int count, int tasks)
{
    struct trial_metrics m = {NAN, 0, NAN, NAN};

    if (tasks < 1)
        return (struct trial_metrics){NAN, NAN, NAN, NAN};
    for (int t = 0; t < tasks; t++)
        m.caa += metrics_average(rows, count, t) / tasks;
    m.faa = metrics_average(rows, count, tasks - 1);
    m.ffm = forgetting(rows, count, tasks);
    m.tii_accuracy = mean_of_column(rows, count, tasks - 1, true);
    return m;
}
