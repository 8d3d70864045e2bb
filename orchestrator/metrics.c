/* orchestrator/metrics.c - see metrics.h. */
#include "orchestrator/metrics.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Which rows make a matrix A, and which of their numbers; where a cell has no row of this phase, one of `otherwise` counts. */
struct matrix {
    const struct accuracy_row *rows;
    int count;
    const char *phase, *otherwise;
    size_t number; /* offset in the row */
};

static const struct accuracy_row *find(const struct matrix *m, int task, int after_task, const char *phase)
{
    const struct accuracy_row *found = NULL;

    for (int i = 0; phase && i < m->count; i++)
        if (m->rows[i].task == task && m->rows[i].after_task == after_task && !strcmp(m->rows[i].phase, phase))
            found = &m->rows[i];
    return found;
}

/* A[task][after_task]; NaN if no row tells. */
static double cell(const struct matrix *m, int task, int after_task)
{
    const struct accuracy_row *row = find(m, task, after_task, m->phase);

    if (!row)
        row = find(m, task, after_task, m->otherwise);
    return row ? *(const double *)((const char *)row + m->number) : NAN;
}

static double average(const struct matrix *m, int after_task)
{
    double sum = 0;

    for (int k = 0; k <= after_task; k++)
        sum += cell(m, k, after_task); /* a missing one makes it NaN */
    return sum / (after_task + 1);
}

static double cumulative(const struct matrix *m, int tasks)
{
    double sum = 0;

    for (int t = 0; t < tasks; t++)
        sum += average(m, t);
    return sum / tasks;
}

static double forgetting(const struct matrix *m, int tasks)
{
    double sum = 0;

    for (int k = 0; k < tasks - 1; k++) {
        double best = 0;

        for (int t = k; t < tasks; t++) {
            double a = cell(m, k, t);

            best = isnan(a) || isnan(best) ? NAN : fmax(best, a);
        }
        sum += best - cell(m, k, tasks - 1);
    }
    return tasks > 1 ? sum / (tasks - 1) : NAN;
}

static double transfer(const struct matrix *m, int tasks)
{
    double sum = 0;

    for (int k = 0; k < tasks - 1; k++)
        sum += cell(m, k, tasks - 1) - cell(m, k, k);
    return tasks > 1 ? sum / (tasks - 1) : NAN;
}

double metrics_average(const struct accuracy_row *rows, int count, int after_task)
{
    const struct matrix m = {rows, count, "after", NULL, offsetof(struct accuracy_row, accuracy)};

    return average(&m, after_task);
}

struct trial_metrics metrics_of(const struct accuracy_row *rows, int count, int tasks)
{
    const size_t accuracy = offsetof(struct accuracy_row, accuracy), tii = offsetof(struct accuracy_row, tii_accuracy);
    const struct matrix after = {rows, count, "after", NULL, accuracy},
                        before = {rows, count, "before", "after", accuracy};
    const struct matrix inferred = {rows, count, "after", NULL, tii}, sample = {rows, count, "tii-after", NULL, tii};
    const struct matrix unaligned = {rows, count, "tii-before", "tii-after", tii};
    int last = tasks - 1;

    return (struct trial_metrics){
        .faa = last >= 0 ? average(&after, last) : NAN,
        .caa = last >= 0 ? cumulative(&after, tasks) : NAN,
        .ffm = forgetting(&after, tasks),
        .bwt = transfer(&after, tasks),
        .tii_accuracy = last >= 0 ? average(&inferred, last) : NAN,
        .faa_before = last >= 0 ? average(&before, last) : NAN,
        .caa_before = last >= 0 ? cumulative(&before, tasks) : NAN,
        .ffm_before = forgetting(&before, tasks),
        .bwt_before = transfer(&before, tasks),
        .tii_before = last >= 0 ? average(&unaligned, last) : NAN,
        .tii_sample = last >= 0 ? average(&sample, last) : NAN,
    };
}

double metrics_by_name(const struct trial_metrics *m, const char *name)
{
#define F(kind, field, unit, help) \
    if (!strcmp(name, #field))     \
        return m->field;
    METRIC_FIELDS(F)
#undef F
    return NAN;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool metrics_equal(const struct trial_metrics *a, const struct trial_metrics *b)
{
#define F(kind, field, unit, help) &&same(a->field, b->field)
    return true METRIC_FIELDS(F);
#undef F
}

void metrics_to_row(const struct trial_metrics *m, struct trial_row *row)
{
#define F(kind, field, unit, help) row->field = m->field;
    METRIC_FIELDS(F)
#undef F
}

struct trial_metrics metrics_of_row(const struct trial_row *row)
{
    struct trial_metrics m;

#define F(kind, field, unit, help) m.field = row->field;
    METRIC_FIELDS(F)
#undef F
    return m;
}
