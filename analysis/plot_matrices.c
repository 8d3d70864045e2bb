/* analysis/plot_matrices.c - the accuracy matrices of the best groups: after which task (down), on which task (across).
 */
#include "analysis/plots.h"

#include <math.h>

enum {
    GROUPS = 9,
    ACROSS = 3,
    WIDTH = 720,
    PANEL = 240,
    LEFT = 34,
    SIDE = 186,
    TOP = 42,
    HEIGHT = 268,
    NUMBERS_UP_TO = 6,
    KEY = 46
};

struct matrices {
    int count, tasks;
    const char *name[GROUPS];
    const char *options;
    double *values;    /* (count, tasks, tasks) */
    struct axis scale; /* of the colours */
};

static void draw_cell(struct canvas *c, const struct matrices *k, double x, double y, double side, double value)
{
    int ink = INK_SCALE + (int)lround(SCALE_STEPS * (value - k->scale.low) / (k->scale.high - k->scale.low));
    char label[16];

    draw_box(c, x, y, side, side, &(struct style){.ink = ink});
    if (k->tasks > NUMBERS_UP_TO)
        return;
    snprintf(label, sizeof label, "%.0f", value);
    draw_text(
        c, x + side / 2, y + side / 2 + 4,
        &(struct text_style){.ink = scale_is_dark(ink) ? INK_WHITE : INK_BLACK, .size = 11, .anchor = ANCHOR_MIDDLE},
        label);
}

static void draw_matrix(struct canvas *c, const struct matrices *k, int i)
{
    double x0 = PANEL * (i % ACROSS) + LEFT, y0 = KEY + HEIGHT * (i / ACROSS) + TOP, side = (double)SIDE / k->tasks;
    const double *values = k->values + (size_t)i * (size_t)k->tasks * (size_t)k->tasks;
    int every = 1 + k->tasks / 11;
    char label[16];

    draw_text_in(c, x0, y0 - 24, PANEL - LEFT - 6, &plot_title, k->name[i]);
    draw_hint(c, k->name[i]);
    for (int t = 0; t < k->tasks; t++) {
        for (int j = 0; j < k->tasks; j++)
            if (isfinite(values[t * k->tasks + j]))
                draw_cell(c, k, x0 + j * side, y0 + t * side, side, values[t * k->tasks + j]);
        if (t % every)
            continue;
        snprintf(label, sizeof label, "%d", t);
        draw_text(c, x0 - 5, y0 + (t + 0.5) * side + 4, &plot_label_end, label);
        draw_text(c, x0 + (t + 0.5) * side, y0 - 5, &plot_label_middle, label);
    }
    draw_hint(c, NULL);
}

static void draw_key(struct canvas *c, const struct matrices *k)
{
    double left = 440, width = 200;
    char label[32];

    draw_text_in(c, LEFT, 20, left - LEFT - 60, &(struct text_style){.ink = INK_MUTED, .size = 12}, k->options);
    draw_text(c, LEFT, 36, &(struct text_style){.ink = INK_MUTED, .size = 12}, "down: after task; across: on task");
    for (int i = 0; i < 50; i++)
        draw_box(c, left + i * width / 50, 10, width / 50 + 0.5, 12,
                 &(struct style){.ink = INK_SCALE + i * SCALE_STEPS / 49});
    snprintf(label, sizeof label, "%.0f %%", k->scale.low);
    draw_text(c, left, 36, &plot_label, label);
    snprintf(label, sizeof label, "%.0f %%", k->scale.high);
    draw_text(c, left + width, 36, &plot_label_end, label);
}

static void draw_matrices(struct canvas *c, const void *data)
{
    const struct matrices *k = data;

    draw_key(c, k);
    for (int i = 0; i < k->count; i++)
        draw_matrix(c, k, i);
}

int plot_matrices(struct document *d, const struct ablation *a, err *e)
{
    enum { MOST_TASKS = 100 };
    struct matrices *k = document_alloc(d, sizeof *k);
    int groups[GROUPS], n = plot_groups(a, GROUPS, groups);
    size_t cells = (size_t)a->m->tasks * (size_t)a->m->tasks;
    double low = INFINITY, high = -INFINITY;

    if (!k || !n || a->m->tasks < 2 || a->m->tasks > MOST_TASKS)
        return e->code;
    k->count = n;
    k->tasks = a->m->tasks;
    k->options = plot_options_label(d, a);
    k->values = document_alloc(d, (size_t)n * cells * sizeof *k->values);
    if (!k->values)
        return e->code;
    ablation_matrices(a, groups, n, k->values);
    for (size_t i = 0; i < (size_t)n * cells; i++) {
        low = fmin(low, k->values[i]);
        high = fmax(high, k->values[i]);
    }
    if (!(low <= high))
        return 0;
    k->scale = axis_fit(low, high, 4, 0, 1);
    for (int i = 0; i < n; i++)
        k->name[i] = plot_group_label(d, a, groups[i]);
    document_picture(
        d, &(struct report_picture){
               .id = "matrices-picture",
               .title = "Accuracy on each task after each task",
               .description = document_text(
                   d,
                   "Mean accuracy matrices over seeds, rows: after which task, columns: on which task, from %.0f %% "
                   "(pale) to %.0f %% (dark). %sThe numbers are in the accuracy table of results.h5.",
                   k->scale.low, k->scale.high, plot_selection(d, a, n)),
               .width = WIDTH,
               .height = KEY + HEIGHT * ((n + ACROSS - 1) / ACROSS),
               .draw = draw_matrices,
               .data = k});
    return 0;
}
