/* analysis/plot_seeds.c - every seed's result as a dot, a row for each group, with the mean and its 95 % interval. */
#include "analysis/plots.h"

#include <math.h>

enum { GROUPS = 40, WIDTH = 720, ROW = 24, FEWEST = 60, MOST = 270, RIGHT = 700, TOP = 30 };

struct seeds {
    const struct ablation *a;
    int count, group[GROUPS];
    const char *name[GROUPS];
    const char *options, *unit;
    double labels; /* width of the column of names */
    struct axis x;
};

static void draw_group(struct canvas *c, const struct seeds *s, int i)
{
    const struct ablation *a = s->a;
    const struct group *g = &a->groups[s->group[i]];
    const struct estimate *m = &g->metric[a->main];
    double y = TOP + ROW * (i + 0.5);

    draw_text_in(c, s->labels - 10, y + 4, s->labels - 14, &plot_label_end, s->name[i]);
    draw_line(c, s->labels, y + ROW / 2.0, RIGHT, y + ROW / 2.0,
              &(struct style){.ink = INK_GRID, .width = 1, .opacity = 0.6});
    draw_hint(c, s->name[i]);
    if (isfinite(m->low)) {
        double low = axis_at(&s->x, fmax(m->low, s->x.low)), high = axis_at(&s->x, fmin(m->high, s->x.high));
        draw_line(c, low, y, high, y, &(struct style){.ink = INK_MUTED, .width = 2});
        if (m->low >= s->x.low)
            draw_line(c, low, y - 4, low, y + 4, &(struct style){.ink = INK_MUTED, .width = 2});
        if (m->high <= s->x.high)
            draw_line(c, high, y - 4, high, y + 4, &(struct style){.ink = INK_MUTED, .width = 2});
    }
    draw_box(c, axis_at(&s->x, m->mean) - 1.5, y - 7, 3, 14, &(struct style){.ink = INK_TEXT});
    for (size_t k = 0; k < g->count; k++) {
        double value = a->observations[g->first + k].metric[a->main];
        if (isfinite(value))
            draw_circle(c, axis_at(&s->x, value), y, 3.5, &(struct style){.ink = INK_SERIES, .opacity = 0.75});
    }
    draw_hint(c, NULL);
}

static void draw_seeds(struct canvas *c, const void *data)
{
    const struct seeds *s = data;
    double bottom = TOP + ROW * s->count, value;
    char label[32];

    draw_text_in(c, 4, TOP - 12, RIGHT - 4, &(struct text_style){.ink = INK_MUTED, .size = 12}, s->options);
    for (int i = 0; axis_tick(&s->x, i, &value, label); i++) {
        double at = axis_at(&s->x, value);
        draw_line(c, at, TOP, at, bottom, &(struct style){.ink = INK_GRID, .width = 1});
        draw_text(c, at, bottom + 17, &plot_label_middle, label);
    }
    draw_text(c, (s->labels + RIGHT) / 2, bottom + 35, &plot_label_middle, s->unit);
    for (int i = 0; i < s->count; i++)
        draw_group(c, s, i);
}

int plot_seeds(struct document *d, const struct ablation *a, err *e)
{
    struct seeds *s = document_alloc(d, sizeof *s);
    const struct metric_info *info = &metric_info[a->main];
    double low = INFINITY, high = -INFINITY;
    const char *text = "";

    if (!s)
        return e->code;
    s->a = a;
    s->count = plot_groups(a, GROUPS, s->group);
    if (!s->count)
        return 0;
    s->options = plot_options_label(d, a);
    s->labels = FEWEST;
    s->unit = document_text(d, "%s%s%s%s", info->label, *info->unit ? " (" : "", info->unit, *info->unit ? ")" : "");
    for (int i = 0; i < s->count; i++) {
        const struct group *g = &a->groups[s->group[i]];
        s->name[i] = plot_group_label(d, a, s->group[i]);
        s->labels = fmax(s->labels, fmin(MOST, text_length(s->name[i], plot_label.size, false) + 18));
        text = document_text(d, "%s %s: %.2f.", text, s->name[i], g->metric[a->main].mean);
        for (size_t k = 0; k < g->count; k++) {
            low = fmin(low, a->observations[g->first + k].metric[a->main]);
            high = fmax(high, a->observations[g->first + k].metric[a->main]);
        }
    }
    /* Intervals of two seeds are very wide: the scale follows the dots, and an interval that leaves it has no end mark.
     */
    s->x = axis_fit(low - 0.1 * (high - low), high + 0.1 * (high - low), 6, s->labels, RIGHT);
    document_picture(d, &(struct report_picture){
                            .id = "seeds-picture",
                            .title = document_text(d, "%s of each seed", info->label),
                            .description = document_text(
                                d, "Dots: seeds; bar: mean; line: 95 %% confidence interval of the mean. %sMeans:%s",
                                plot_selection(d, a, s->count), text),
                            .width = WIDTH,
                            .height = TOP + ROW * s->count + 44,
                            .draw = draw_seeds,
                            .data = s});
    return 0;
}
