/* model/optimizer.h - trainable parameters in one flat array, Adam, SGD with momentum, clipping, schedules  (methods.md 1.1, 1.2, 1.6). */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "io/err.h"

enum { PARAMETER_GROUPS_MAX = 12 };

/* A named run of parameters with one learning rate. */
struct parameter_group {
    const char *name; /* a literal: the name in checkpoints */
    size_t offset, count;
    double base_rate; /* before the schedule; 0 freezes the group: no update, no part in the gradient norm */
};

struct parameters {
    size_t count;
    float *value, *gradient; /* (count) */
    float *m, *v;            /* (count) Adam's moments; SGD's momentum lives in m */
    int steps;               /* updates since the moments were cleared */
    int groups;
    struct parameter_group group[PARAMETER_GROUPS_MAX];
    float *memory; /* private */
};

/* Groups are added first, in an order that then names their place, and created together (zero-filled). */
void parameters_add(struct parameters *p, const char *name, size_t count, double base_rate);
int parameters_create(struct parameters *p, err *e);
void parameters_free(struct parameters *p);
/* The group of this name; NULL if there is none. */
struct parameter_group *parameters_group(struct parameters *p, const char *name);
float *parameters_value(struct parameters *p, const char *name); /* NULL if there is none */
float *parameters_gradient(struct parameters *p, const char *name);
void parameters_reset(struct parameters *p); /* a new optimiser: moments and step counter to zero */

enum schedule_kind { SCHEDULE_constant, SCHEDULE_step, SCHEDULE_cosine };

/* lr over epochs (methods.md 1.2).  With lag, epoch e uses the value of epoch max(e - 1, 0), as the official code does (Q10). */
struct schedule {
    enum schedule_kind kind;
    int epochs, decay_epochs;
    double decay_rate, min_rate;
    bool lag;
};
double schedule_rate(const struct schedule *s, double base_rate, int epoch);

/* One Adam step, beta (0.9, 0.999), epsilon 1e-8, after clipping the global gradient norm to clip (0: no clipping):
 * g *= min(1, clip / (norm + 1e-6)).  Returns the norm before clipping (NaN or infinite if a gradient is). */
double parameters_adam(struct parameters *p, const struct schedule *s, int epoch, double clip);

/* One SGD step with momentum 0.9, no dampening: first buf = g, then buf = 0.9 buf + g; p -= factor * base_rate * buf. */
void parameters_sgd(struct parameters *p, double factor);

/* The alignment's cosine: (1 + cos(pi epoch / epochs)) / 2  (methods.md 1.6). */
double alignment_factor(int epoch, int epochs);

#endif
