/* analysis/plot_timeline.c - what each rank did when (a Gantt chart of the attempts), and how busy the ranks were. */
#include "analysis/plots.h"

#include <math.h>
#include <stdlib.h>

_Static_assert((int)MOST_KINDS <= (int)SERIES_COUNT, "a colour for each kind of stage");

enum {
    RANKS = 64,   /* rows; the utilisation counts all ranks */
    BINS = 300,   /* of the utilisation curve */
    BOXES = 8000, /* of the whole chart: shorter attempts are drawn together */
    WIDTH = 720,
    LEFT = 64,
    RIGHT = 700,
    BUSY_TOP = 14,
    BUSY_BOTTOM = 84,
    ROWS_TOP = 112
};

/* An attempt, or several that are too short to be told apart. */
struct span {
    int64_t rank;
    double start, end; /* seconds since the first attempt */
    int kind;
    bool failed;
};

struct timeline {
    size_t count;
    struct span *spans; /* by rank, then time */
    int kinds_count;
    const char *kinds[MOST_KINDS];
    size_t ranks_count;
    int64_t ranks[RANKS]; /* the first ones */
    double seconds;       /* of the whole */
    double busy[BINS], utilisation;
    struct axis x;
    const char *unit;
    double unit_seconds;
};

static int by_rank_and_time(const void *left, const void *right)
{
    const struct span *x = left, *y = right;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

static double row_height(const struct timeline *k)
{
    return k->ranks_count <= 24 ? 18 : 9;
}

static size_t rows(const struct timeline *k)
{
    return k->ranks_count < RANKS ? k->ranks_count : RANKS;
}

static void draw_busy(struct canvas *c, const struct timeline *k)
{
    double xy[2 * (2 * BINS + 2)];
    size_t n = 0;
    struct axis share = {.low = 0, .high = 100, .from = BUSY_BOTTOM, .to = BUSY_TOP, .step = 50};
    char label[48];

    draw_scale(c, &share, LEFT, RIGHT, "busy (%)");
    xy[n++] = LEFT;
    xy[n++] = BUSY_BOTTOM;
    for (int i = 0; i < BINS; i++)
        for (int side = 0; side < 2; side++) {
            xy[n++] = LEFT + (double)(RIGHT - LEFT) * (i + side) / BINS;
            xy[n++] = axis_at(&share, 100 * k->busy[i]);
        }
    xy[n++] = RIGHT;
    xy[n++] = BUSY_BOTTOM;
    draw_path(c, xy, n / 2, true, &(struct style){.ink = INK_SERIES, .opacity = 0.45});
    snprintf(label, sizeof label, "%.0f %% busy over the whole time", 100 * k->utilisation);
    draw_text(c, RIGHT, BUSY_BOTTOM + 18, &plot_label_end, label);
}

static void draw_span(struct canvas *c, const struct timeline *k, const struct span *s, size_t row)
{
    double x0 = axis_at(&k->x, s->start / k->unit_seconds), x1 = axis_at(&k->x, s->end / k->unit_seconds);
    double height = row_height(k) - 3, y = ROWS_TOP + (double)row * row_height(k);

    /* A failed attempt is low and red. */
    draw_box(c, x0, s->failed ? y + height / 2 : y, fmax(x1 - x0, 0.7), s->failed ? height / 2 : height,
             &(struct style){.ink = s->failed ? INK_BAD : series_ink(s->kind)});
}

static void draw_rows(struct canvas *c, const struct timeline *k)
{
    double least = fmax(0.7, (double)rows(k) * (RIGHT - LEFT) / BOXES) / (RIGHT - LEFT) * k->seconds;
    size_t i = 0;
    char label[32];

    for (size_t row = 0; row < rows(k); row++) {
        if (row_height(k) >= 12 || row % 4 == 0) {
            snprintf(label, sizeof label, "rank %lld", (long long)k->ranks[row]);
            draw_text(c, LEFT - 6, ROWS_TOP + (double)row * row_height(k) + (row_height(k) >= 12 ? 12 : 8),
                      &(struct text_style){.ink = INK_TEXT, .size = row_height(k) >= 12 ? 12 : 9, .anchor = ANCHOR_END},
                      label);
        }
        while (i < k->count && k->spans[i].rank == k->ranks[row]) {
            struct span together = k->spans[i++];
            while (i < k->count && k->spans[i].rank == together.rank && k->spans[i].failed == together.failed &&
                   k->spans[i].start - together.end < least &&
                   (k->spans[i].kind == together.kind || together.end - together.start < least))
                together.end = fmax(together.end, k->spans[i++].end);
            draw_span(c, k, &together, row);
        }
    }
}

static void draw_key(struct canvas *c, const struct timeline *k, double y)
{
    double x = LEFT;

    for (int i = 0; i <= k->kinds_count; i++) {
        const char *name = i < k->kinds_count ? k->kinds[i] : "did not end well";
        draw_box(c, x, y - 10, 12, 12, &(struct style){.ink = i < k->kinds_count ? series_ink(i) : INK_BAD});
        draw_text(c, x + 17, y, &plot_label, name);
        x += 30 + text_length(name, 12, false);
    }
}

static void draw_timeline(struct canvas *c, const void *data)
{
    const struct timeline *k = data;
    double bottom = ROWS_TOP + (double)rows(k) * row_height(k), value;
    char label[32];

    draw_busy(c, k);
    for (int i = 0; axis_tick(&k->x, i, &value, label); i++) {
        double at = axis_at(&k->x, value);
        if (at > RIGHT + 1)
            break;
        draw_line(c, at, ROWS_TOP, at, bottom, &(struct style){.ink = INK_GRID, .width = 1});
        draw_text(c, at, bottom + 17, &plot_label_middle, label);
    }
    draw_text(c, (LEFT + RIGHT) / 2.0, bottom + 34, &plot_label_middle, k->unit);
    draw_rows(c, k);
    draw_key(c, k, bottom + 58);
}

static struct span span_of(const struct try *t, double origin)
{
    return (struct span){.rank = t->rank,
                         .start = t->started - origin,
                         .end = t->started - origin + t->seconds,
                         .kind = t->kind,
                         .failed = t->failed};
}

static double origin_of(const struct measured *m)
{
    double origin = INFINITY;

    for (size_t i = 0; i < m->tries_count; i++)
        origin = fmin(origin, m->tries[i].started);
    return origin;
}

/* Where the spans of each rank begin, ranks counted from the lowest; NULL if they are too far apart, or without memory. */
static size_t *places_of_ranks(const struct measured *m, int64_t *lowest)
{
    enum { FAR = 1 << 20 };
    int64_t low = INT64_MAX, high = INT64_MIN;
    uint64_t range;

    for (size_t i = 0; i < m->tries_count; i++) {
        low = m->tries[i].rank < low ? m->tries[i].rank : low;
        high = m->tries[i].rank > high ? m->tries[i].rank : high;
    }
    range = (uint64_t)high - (uint64_t)low;
    size_t *places = range <= FAR ? calloc(range + 2, sizeof *places) : NULL;
    for (size_t i = 0; places && i < m->tries_count; i++)
        places[m->tries[i].rank - low + 1]++;
    for (size_t i = 1; places && i <= range; i++)
        places[i] += places[i - 1];
    *lowest = low;
    return places;
}

static bool in_order(const struct timeline *k)
{
    for (size_t i = 1; i < k->count; i++)
        if (by_rank_and_time(&k->spans[i - 1], &k->spans[i]) > 0)
            return false;
    return true;
}

/* By rank, each rank's in the order of the store; that is mostly the order of time, so there is nothing left to sort. */
static bool read_spans(struct timeline *k, struct document *d, const struct measured *m)
{
    double origin = origin_of(m);
    int64_t lowest;
    size_t *places;

    k->spans = document_alloc(d, m->tries_count * sizeof *k->spans);
    if (!k->spans)
        return false;
    for (int i = 0; i < m->kinds_count; i++)
        k->kinds[k->kinds_count++] = document_text(d, "%s", m->kinds[i]);
    places = places_of_ranks(m, &lowest);
    for (; k->count < m->tries_count; k->count++) {
        const struct try *t = &m->tries[k->count];
        k->spans[places ? places[t->rank - lowest]++ : k->count] = span_of(t, origin);
    }
    free(places);
    if (!in_order(k))
        qsort(k->spans, k->count, sizeof *k->spans, by_rank_and_time);
    return true;
}

/* How much of each bin of time the ranks were at work; attempts of one rank do not overlap. */
static void measure_busy(struct timeline *k)
{
    double width = k->seconds / BINS, all = 0;

    for (size_t i = 0; i < k->count; i++) {
        const struct span *s = &k->spans[i];
        int first = (int)fmin(BINS - 1, s->start / width), last = (int)fmin(BINS - 1, s->end / width);
        for (int b = first; b <= last; b++)
            k->busy[b] += fmax(0, fmin(s->end, (b + 1) * width) - fmax(s->start, b * width));
        all += s->end - s->start;
    }
    for (int b = 0; b < BINS; b++)
        k->busy[b] = fmin(1, k->busy[b] / (width * (double)k->ranks_count));
    k->utilisation = fmin(1, all / (k->seconds * (double)k->ranks_count));
}

static void choose_unit(struct timeline *k)
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    size_t i = 0;

    while (units[i].seconds > 1 && k->seconds < 3 * units[i].seconds)
        i++;
    k->unit = units[i].name;
    k->unit_seconds = units[i].seconds;
    k->x = axis_fit(0, k->seconds / k->unit_seconds, 8, LEFT, RIGHT);
    k->x.high = k->seconds / k->unit_seconds; /* the chart ends with the last attempt */
}

int plot_timeline(struct document *d, const struct ablation *a, err *e)
{
    struct timeline *k = document_alloc(d, sizeof *k);

    if (!k || !a->m->tries_count || !read_spans(k, d, a->m) || !k->count)
        return e->code;
    for (size_t i = 0; i < k->count; i++) {
        if (!i || k->spans[i].rank != k->spans[i - 1].rank) {
            if (k->ranks_count < RANKS)
                k->ranks[k->ranks_count] = k->spans[i].rank;
            k->ranks_count++;
        }
        k->seconds = fmax(k->seconds, k->spans[i].end);
    }
    if (!(k->seconds > 1e-3))
        return 0;
    measure_busy(k);
    choose_unit(k);
    document_picture(d,
                     &(struct report_picture){
                         .id = "timeline-picture",
                         .title = "Ranks over time",
                         .description = document_text(
                             d, "%zu attempts on %zu ranks in %.1f %s; the ranks were busy %.0f %% of the time.%s",
                             k->count, k->ranks_count, k->seconds / k->unit_seconds, k->unit, 100 * k->utilisation,
                             k->ranks_count > RANKS ? document_text(d, " The first %d ranks have rows.", RANKS) : ""),
                         .width = WIDTH,
                         .height = ROWS_TOP + (double)rows(k) * row_height(k) + 72,
                         .draw = draw_timeline,
                         .data = k});
    return 0;
}
