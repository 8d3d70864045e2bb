/* analysis/plot_curves.c - average accuracy over the tasks seen, after each task: a line for each group, a band of one
 * standard deviation over seeds. */
#include "analysis/plots.h"

#include <math.h>
#include <string.h>

enum { GROUPS = 12, WIDTH = 720, CHART = 340, LEGEND_LINE = 19, LEFT = 64, RIGHT = 700, TOP = 14 };

struct curves {
    int count, tasks;
    const char *name[GROUPS];
    struct estimate *points[GROUPS]; /* (tasks) each */
    const char *options;
    struct axis y;
};

static double task_at(const struct curves *k, int task)
{
    return k->tasks > 1 ? LEFT + 10 + (double)task / (k->tasks - 1) * (RIGHT - LEFT - 20) : (LEFT + RIGHT) / 2.0;
}

/* The edges of the band; an accuracy lies between 0 and 100 %. */
static double upper(const struct estimate *v)
{
    return isfinite(v->sd) ? fmax(v->mean, fmin(100, v->mean + v->sd)) : v->mean;
}

static double lower(const struct estimate *v)
{
    return isfinite(v->sd) ? fmin(v->mean, fmax(0, v->mean - v->sd)) : v->mean;
}

/* The band over each run of tasks with a spread; a long one is drawn in pieces. */
static void draw_band(struct canvas *c, const struct curves *k, int series)
{
    double xy[2 * 2 * 128];
    const struct estimate *p = k->points[series];

    for (int from = 0, to; from < k->tasks; from = to + 1) {
        int n = 0;
        for (to = from; to < k->tasks && to - from < 128 && isfinite(p[to].sd); to++)
            ;
        for (int t = from; t < to; t++, n++) {
            xy[2 * n] = task_at(k, t);
            xy[2 * n + 1] = axis_at(&k->y, upper(&p[t]));
        }
        for (int t = to - 1; t >= from; t--, n++) {
            xy[2 * n] = task_at(k, t);
            xy[2 * n + 1] = axis_at(&k->y, lower(&p[t]));
        }
        draw_path(c, xy, (size_t)n, true,
                  &(struct style){.ink = series_ink(series), .opacity = fmax(0.06, fmin(0.16, 0.8 / k->count))});
    }
}

static void draw_mean(struct canvas *c, const struct curves *k, int series)
{
    const struct estimate *p = k->points[series];
    const struct style line = {.ink = series_ink(series), .width = 2, .dash = series_dash(series)};
    int every = 1 + k->tasks / 40; /* markers crowd otherwise */

    for (int t = 1; t < k->tasks; t++)
        if (isfinite(p[t - 1].mean) && isfinite(p[t].mean))
            draw_line(c, task_at(k, t - 1), axis_at(&k->y, p[t - 1].mean), task_at(k, t), axis_at(&k->y, p[t].mean),
                      &line);
    for (int t = 0; t < k->tasks; t++)
        if (isfinite(p[t].mean) && (t % every == 0 || t == k->tasks - 1))
            draw_marker(c, task_at(k, t), axis_at(&k->y, p[t].mean), 3.5, series);
}

static void draw_legend(struct canvas *c, const struct curves *k)
{
    double y = TOP + CHART + 52;

    draw_text_in(c, LEFT, y, RIGHT - LEFT, &(struct text_style){.ink = INK_MUTED, .size = 12}, k->options);
    for (int i = 0; i < k->count; i++) {
        y += LEGEND_LINE;
        draw_line(c, LEFT, y - 4, LEFT + 34, y - 4,
                  &(struct style){.ink = series_ink(i), .width = 2, .dash = series_dash(i)});
        draw_marker(c, LEFT + 17, y - 4, 3.5, i);
        draw_text_in(c, LEFT + 42, y, RIGHT - LEFT - 42, &plot_label, k->name[i]);
    }
}

static void draw_curves(struct canvas *c, const void *data)
{
    const struct curves *k = data;
    int every = 1 + k->tasks / 21;

    draw_scale(c, &k->y, LEFT, RIGHT, "average accuracy (%)");
    for (int t = k->tasks - 1; t >= 0; t -= every) {
        char label[16];
        snprintf(label, sizeof label, "%d", t);
        draw_text(c, task_at(k, t), TOP + CHART + 18, &plot_label_middle, label);
    }
    draw_text(c, (LEFT + RIGHT) / 2.0, TOP + CHART + 34, &plot_label_middle, "after task");
    for (int i = 0; i < k->count; i++)
        draw_band(c, k, i);
    for (int i = 0; i < k->count; i++) {
        draw_hint(c, k->name[i]);
        draw_mean(c, k, i);
    }
    draw_hint(c, NULL);
    draw_legend(c, k);
}

/* What the curves say, in words: where each begins and ends. */
static const char *describe(struct document *d, const struct curves *k)
{
    const char *text = "";

    for (int i = 0; i < k->count; i++) {
        int first = 0, last = k->tasks - 1;
        while (first < last && !isfinite(k->points[i][first].mean))
            first++;
        const char *start = "";
        if (first < last)
            start = document_text(d, "%.1f %% after task %d, ", k->points[i][first].mean, first);
        text =
            document_text(d, "%s %s: %s%.1f %% after task %d.", text, k->name[i], start, k->points[i][last].mean, last);
    }
    return text;
}

int plot_curves(struct document *d, const struct ablation *a, err *e)
{
    struct curves *k = document_alloc(d, sizeof *k);
    int groups[GROUPS], n = plot_groups(a, GROUPS, groups);
    double low = INFINITY, high = -INFINITY;

    if (!k || a->m->tasks < 1)
        return 0;
    k->tasks = a->m->tasks;
    k->options = plot_options_label(d, a);
    for (int i = 0; i < n; i++) {
        struct estimate *points = document_alloc(d, (size_t)k->tasks * sizeof *points);
        if (!points || ablation_curve(a, groups[i], a->m->after, points, e))
            return e->code;
        if (!isfinite(points[k->tasks - 1].mean))
            continue;
        k->name[k->count] = plot_group_label(d, a, groups[i]);
        k->points[k->count++] = points;
        for (int t = 0; t < k->tasks; t++) {
            low = fmin(low, lower(&points[t]));
            high = fmax(high, upper(&points[t]));
        }
    }
    if (!k->count)
        return 0;
    k->y = axis_fit(low, high, 6, TOP + CHART, TOP);
    document_picture(d, &(struct report_picture){.id = "curves-picture",
                                                 .title = "Average accuracy after each task",
                                                 .description = document_text(
                                                     d, "Lines: mean over seeds; bands: one standard deviation. %s%s",
                                                     plot_selection(d, a, n), describe(d, k)),
                                                 .width = WIDTH,
                                                 .height = TOP + CHART + 66 + LEGEND_LINE * k->count,
                                                 .draw = draw_curves,
                                                 .data = k});
    return 0;
}
