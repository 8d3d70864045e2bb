/* analysis/plots.c - scales, labels and the choice of groups.  See plots.h. */
#include "analysis/plots.h"

#include "analysis/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct text_style plot_label = {.ink = INK_TEXT, .size = 12},
                        plot_title = {.ink = INK_TEXT, .size = 13, .bold = true},
                        plot_label_end = {.ink = INK_TEXT, .size = 12, .anchor = ANCHOR_END},
                        plot_label_middle = {.ink = INK_TEXT, .size = 12, .anchor = ANCHOR_MIDDLE};

struct axis axis_fit(double low, double high, int ticks, double from, double to)
{
    struct axis a = {.from = from, .to = to};

    low = fmax(low, -1e300); /* so that their difference is finite */
    high = fmin(high, 1e300);
    if (!(high - low > fmax(1e-12, 1e-9 * fmax(fabs(low), fabs(high))))) { /* a single value gets some air */
        double air = fmax(1e-3, 0.01 * fabs(low));
        low -= air;
        high += air;
    }
    double rough = (high - low) / ticks, power = pow(10, floor(log10(rough)));
    double lead = rough / power;
    a.step = power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
    a.low = floor(low / a.step + 1e-9) * a.step;
    a.high = ceil(high / a.step - 1e-9) * a.step;
    a.digits = (int)fmax(0, fmin(9, -floor(log10(a.step) + 1e-9)));
    return a;
}

double axis_at(const struct axis *axis, double value)
{
    return axis->from + (value - axis->low) / (axis->high - axis->low) * (axis->to - axis->from);
}

bool axis_tick(const struct axis *axis, int i, double *value, char *label)
{
    *value = axis->low + i * axis->step;
    if (fabs(*value) < 1e-9 * axis->step)
        *value = 0;
    if (fabs(*value) >= 1e9)
        snprintf(label, 32, "%.3g", *value);
    else
        snprintf(label, 32, "%.*f", axis->digits, *value);
    return *value <= axis->high + 1e-9 * axis->step;
}

void draw_scale(struct canvas *c, const struct axis *y, double left, double right, const char *title)
{
    double value;
    char label[32];

    for (int i = 0; axis_tick(y, i, &value, label); i++) {
        double at = axis_at(y, value);
        draw_line(c, left, at, right, at, &(struct style){.ink = INK_GRID, .width = 1});
        draw_text(c, left - 6, at + 4, &plot_label_end, label);
    }
    if (title)
        draw_text(c, left - 46, (y->from + y->to) / 2,
                  &(struct text_style){.ink = INK_TEXT, .size = 12, .anchor = ANCHOR_MIDDLE, .upright = true}, title);
}

struct rated {
    int group;
    double value;
};

static int best_first(const void *left, const void *right)
{
    const struct rated *x = left, *y = right;

    return x->value != y->value ? (x->value < y->value ? 1 : -1) : x->group - y->group;
}

static int grid_order(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

int plot_groups(const struct ablation *a, int most, int *out)
{
    struct rated *rated = malloc((a->groups_count + 1) * sizeof *rated);
    int n = 0;

    if (!rated)
        return 0;
    for (size_t g = 0; g < a->groups_count; g++)
        if (a->groups[g].metric[a->main].count)
            rated[n++] = (struct rated){(int)g, metric_info[a->main].sign * a->groups[g].metric[a->main].mean};
    qsort(rated, (size_t)n, sizeof *rated, best_first);
    if (n > most)
        n = most;
    for (int i = 0; i < n; i++)
        out[i] = rated[i].group;
    qsort(out, (size_t)n, sizeof *out, grid_order);
    free(rated);
    return n;
}

enum { HEAD = 14, TAIL = 8 };

/* A long name by its ends, so that what follows it on the line is still seen. */
static const char *shortened(struct document *d, const char *name)
{
    size_t n = strlen(name), head = HEAD, tail = n - TAIL;

    if (text_width(name) <= HEAD + TAIL + 2)
        return name;
    while (head > 0 && ((unsigned char)name[head] & 0xc0) == 0x80)
        head--;
    while (name[tail] && ((unsigned char)name[tail] & 0xc0) == 0x80)
        tail++;
    return document_text(d, "%.*s…%s", (int)head, name, name + tail);
}

const char *plot_group_label(struct document *d, const struct ablation *a, int group)
{
    const char *label = "";

    for (int i = 0; i < a->by_count; i++) {
        const struct factor *f = &a->m->factors[a->by[i]];
        label = document_text(d, "%s%s%s", label, i ? " · " : "", shortened(d, f->levels[a->groups[group].level[i]]));
    }
    return a->by_count ? label : "all trials";
}

const char *plot_options_label(struct document *d, const struct ablation *a)
{
    const char *label = "";

    for (int i = 0; i < a->by_count; i++)
        label = document_text(d, "%s%s%s", label, i ? " · " : "", a->m->factors[a->by[i]].name);
    return label;
}

const char *plot_selection(struct document *d, const struct ablation *a, int shown)
{
    size_t measured = 0;

    for (size_t g = 0; g < a->groups_count; g++)
        measured += a->groups[g].metric[a->main].count > 0;
    if ((size_t)shown == measured)
        return "";
    return document_text(d, "The %d best of %zu rows. ", shown, measured);
}
