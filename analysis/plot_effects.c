/* analysis/plot_effects.c - a panel for each option: its effect at each level with a 95 % interval. */
#include "analysis/plots.h"

#include <math.h>

enum {
    PANELS = 12,
    WIDTH = 720,
    PANEL_WIDTH = 360,
    PANEL_HEIGHT = 250,
    LEFT = 62,
    RIGHT = 346,
    TOP = 30,
    BOTTOM = 200,
    LEVELS = 12,
    FAR = 12
};

struct effects {
    const struct ablation *a;
    int count;
    int levels[PANELS]; /* those that were compared */
    const struct level_effect *effect[PANELS][LEVELS];
    const char *name[PANELS], *level_name[PANELS][LEVELS];
    const char *unit;
    struct axis y[PANELS];
};

static void draw_panel(struct canvas *c, const struct effects *k, int panel)
{
    double x0 = PANEL_WIDTH * (panel % 2), y0 = PANEL_HEIGHT * (panel / 2);
    const struct factor *f = &k->a->m->factors[k->a->by[k->effect[panel][0]->factor]];
    double room = (double)(RIGHT - LEFT) / k->levels[panel], before_x = 0, before_y = NAN;
    struct axis y = k->y[panel];

    y.from += y0;
    y.to += y0;
    draw_text_in(c, x0 + LEFT, y0 + 18, RIGHT - LEFT, &plot_title, k->name[panel]);
    draw_scale(c, &y, x0 + LEFT, x0 + RIGHT, panel % 2 ? NULL : k->unit);
    draw_line(c, x0 + LEFT, axis_at(&y, 0), x0 + RIGHT, axis_at(&y, 0), &(struct style){.ink = INK_MUTED, .width = 1});
    for (int i = 0; i < k->levels[panel]; i++) {
        const struct estimate *v = &k->effect[panel][i]->effect;
        double x = x0 + LEFT + room * (i + 0.5), at = axis_at(&y, v->mean);
        draw_text_in(c, x, y0 + BOTTOM + 18, room - 4, &plot_label_middle, k->level_name[panel][i]);
        draw_hint(c, k->level_name[panel][i]);
        if (isfinite(v->low))
            draw_line(c, x, axis_at(&y, fmax(v->low, y.low)), x, axis_at(&y, fmin(v->high, y.high)),
                      &(struct style){.ink = INK_SERIES, .width = 2});
        if (isfinite(before_y) && f->numbers)
            draw_line(c, before_x, before_y, x, at, &(struct style){.ink = INK_SERIES, .width = 1.5, .opacity = 0.6});
        draw_circle(c, x, at, 4.5, &(struct style){.ink = INK_SERIES});
        draw_hint(c, NULL);
        before_x = x;
        before_y = at;
    }
}

static void draw_effects(struct canvas *c, const void *data)
{
    const struct effects *k = data;

    for (int i = 0; i < k->count; i++)
        draw_panel(c, k, i);
}

/* A scale that holds the effects and their intervals, but no interval further than FAR times the largest effect: those of
 * two settings would make the effects themselves invisible. */
static struct axis panel_scale(const struct level_effect *const *effects, int n)
{
    double low = 0, high = 0, far = 0;

    for (int i = 0; i < n; i++) {
        const struct estimate *v = &effects[i]->effect;
        far = fmax(far, fabs(v->mean));
        low = fmin(low, isfinite(v->low) ? v->low : v->mean);
        high = fmax(high, isfinite(v->high) ? v->high : v->mean);
    }
    return axis_fit(fmax(low, -FAR * far), fmin(high, FAR * far), 5, BOTTOM, TOP);
}

/* A panel for an option of which at least two and at most LEVELS levels were compared.  Returns `text` with its effects in
 * words. */
static const char *add_panel(struct document *d, struct effects *k, int factor, const char *text)
{
    const struct ablation *a = k->a;
    const struct factor *f = &a->m->factors[a->by[factor]];
    int n = 0;

    for (size_t i = 0; i < a->effects_count; i++) {
        if (a->effects[i].factor != factor || !a->effects[i].effect.count)
            continue;
        if (n == LEVELS)
            return text;
        k->level_name[k->count][n] = document_text(d, "%s", f->levels[a->effects[i].level]);
        k->effect[k->count][n++] = &a->effects[i];
    }
    if (n < 2)
        return text;
    k->name[k->count] = document_text(d, "%s", f->name);
    k->levels[k->count] = n;
    k->y[k->count] = panel_scale(k->effect[k->count], n);
    for (int i = 0; i < n; i++)
        text = document_text(d, "%s %s=%s: %+.2f.", text, f->name, k->level_name[k->count][i],
                             k->effect[k->count][i]->effect.mean);
    k->count++;
    return text;
}

int plot_effects(struct document *d, const struct ablation *a, err *e)
{
    struct effects *k = document_alloc(d, sizeof *k);
    const struct metric_info *info = &metric_info[a->main];
    const char *text = "";

    if (!k)
        return e->code;
    k->a = a;
    k->unit = document_text(d, "effect on %s", info->label);
    for (int i = 0; i < a->by_count && k->count < PANELS; i++)
        text = add_panel(d, k, i, text);
    if (!k->count)
        return 0;
    document_picture(d, &(struct report_picture){
                            .id = "effects-picture",
                            .title = document_text(d, "Effect of each option on %s", info->label),
                            .description = document_text(d,
                                                         "Deviation from the mean of the compared levels, with 95 %% "
                                                         "interval over settings; scales differ between panels:%s",
                                                         text),
                            .width = k->count > 1 ? WIDTH : PANEL_WIDTH,
                            .height = PANEL_HEIGHT * ((k->count + 1) / 2),
                            .draw = draw_effects,
                            .data = k});
    return 0;
}
