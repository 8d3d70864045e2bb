/* analysis/plots.h - the pictures of a report.  One file plot_<name>.c each; a picture that would show nothing is not
 * made. */
#ifndef ANALYSIS_PLOTS_H
#define ANALYSIS_PLOTS_H

#include "analysis/ablation.h"
#include "analysis/canvas.h"
#include "analysis/document.h"

/* Add the picture to the document.  It borrows from the ablation.  ERR_NOMEM. */
typedef int (*plot)(struct document *d, const struct ablation *a, err *e);

int plot_seeds(struct document *d, const struct ablation *a, err *e);    /* each seed's result, group by group */
int plot_effects(struct document *d, const struct ablation *a, err *e);  /* mean for each level of each option */
int plot_curves(struct document *d, const struct ablation *a, err *e);   /* average accuracy after each task */
int plot_matrices(struct document *d, const struct ablation *a, err *e); /* accuracy matrices */
int plot_timeline(struct document *d, const struct ablation *a, err *e); /* what the ranks did when */

/* --- for the plots --- */

/* A linear scale: values low..high lie at px from..to. */
struct axis {
    double low, high, from, to;
    double step; /* between ticks */
    int digits;  /* of their labels */
};

/* A scale with about `ticks` round ticks that holds low..high, widened to whole steps. */
struct axis axis_fit(double low, double high, int ticks, double from, double to);
double axis_at(const struct axis *axis, double value);
/* Tick i, from 0; false beyond the end.  label has room for 32 bytes. */
bool axis_tick(const struct axis *axis, int i, double *value, char *label);

/* Grid lines and labels of a vertical scale whose plot spans left..right. */
void draw_scale(struct canvas *c, const struct axis *y, double left, double right, const char *title);

/* Indices of up to `most` groups with results, the best by the main metric, in grid order.  Returns their number. */
int plot_groups(const struct ablation *a, int most, int *out);
/* The levels of a group, "norga · tanh · 5", and the options they belong to. */
const char *plot_group_label(struct document *d, const struct ablation *a, int group);
const char *plot_options_label(struct document *d, const struct ablation *a);
/* "The 12 best of 40 rows. " when some are left out, otherwise "". */
const char *plot_selection(struct document *d, const struct ablation *a, int shown);

extern const struct text_style plot_label, plot_label_end, plot_label_middle, plot_title;

#endif
