/* model/optimizer.c - see optimizer.h. */
#include "model/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/kernels.h"

void parameters_add(struct parameters *p, const char *name, size_t count, double base_rate)
{
    p->group[p->groups++] =
        (struct parameter_group){.name = name, .offset = p->count, .count = count, .base_rate = base_rate};
    p->count += count;
}

int parameters_create(struct parameters *p, err *e)
{
    p->memory = calloc(4 * p->count + 1, sizeof *p->memory);
    if (!p->memory)
        return err_set(e, ERR_NOMEM, "no memory for %zu parameters", p->count);
    p->value = p->memory;
    p->gradient = p->value + p->count;
    p->m = p->gradient + p->count;
    p->v = p->m + p->count;
    return 0;
}

void parameters_free(struct parameters *p)
{
    free(p->memory);
    memset(p, 0, sizeof *p);
}

struct parameter_group *parameters_group(struct parameters *p, const char *name)
{
    for (int i = 0; i < p->groups; i++)
        if (!strcmp(p->group[i].name, name))
            return &p->group[i];
    return NULL;
}

float *parameters_value(struct parameters *p, const char *name)
{
    const struct parameter_group *g = parameters_group(p, name);

    return g ? p->value + g->offset : NULL;
}

float *parameters_gradient(struct parameters *p, const char *name)
{
    const struct parameter_group *g = parameters_group(p, name);

    return g ? p->gradient + g->offset : NULL;
}

void parameters_reset(struct parameters *p)
{
    memset(p->m, 0, 2 * p->count * sizeof *p->m);
    p->steps = 0;
}

double schedule_rate(const struct schedule *s, double base_rate, int epoch)
{
    if (s->lag)
        epoch = epoch > 0 ? epoch - 1 : 0;
    switch (s->kind) {
    case SCHEDULE_step:
        return base_rate * pow(s->decay_rate, epoch / s->decay_epochs);
    case SCHEDULE_cosine:
        return s->min_rate + 0.5 * (base_rate - s->min_rate) * (1 + cos(3.14159265358979323846 * epoch / s->epochs));
    default:
        return base_rate;
    }
}

static double gradient_norm(const struct parameters *p)
{
    double sum = 0;

    for (int i = 0; i < p->groups; i++)
        if (p->group[i].base_rate > 0)
            for (size_t j = 0; j < p->group[i].count; j++) {
                double g = p->gradient[p->group[i].offset + j];

                sum += g * g;
            }
    return sqrt(sum);
}

double parameters_adam(struct parameters *p, const struct schedule *s, int epoch, double clip)
{
    const double beta1 = 0.9, beta2 = 0.999;
    double norm = gradient_norm(p), scale = clip > 0 ? clip / (norm + 1e-6) : 1;
    struct adam_step step = {.beta1 = (float)beta1,
                             .beta2 = (float)beta2,
                             .fresh1 = (float)(1 - beta1),
                             .fresh2 = (float)(1 - beta2),
                             .epsilon = 1e-8f,
                             .gradient_scale = scale < 1 ? (float)scale : 1};

    p->steps++;
    step.root_correction = (float)(1 / sqrt(1 - pow(beta2, p->steps)));
    for (int i = 0; i < p->groups; i++) {
        const struct parameter_group *g = &p->group[i];

        if (g->base_rate <= 0)
            continue;
        step.rate = (float)(schedule_rate(s, g->base_rate, epoch) / (1 - pow(beta1, p->steps)));
        kernels_best()->adam(p->value + g->offset, p->m + g->offset, p->v + g->offset, p->gradient + g->offset,
                             g->count, &step);
    }
    return norm;
}

void parameters_sgd(struct parameters *p, double factor)
{
    for (int i = 0; i < p->groups; i++) {
        const struct parameter_group *g = &p->group[i];
        float rate = (float)(factor * g->base_rate);

        if (g->base_rate <= 0)
            continue;
        for (size_t j = g->offset; j < g->offset + g->count; j++) {
            p->m[j] = p->steps ? 0.9f * p->m[j] + p->gradient[j] : p->gradient[j];
            p->value[j] -= rate * p->m[j];
        }
    }
    p->steps++;
}

double alignment_factor(int epoch, int epochs)
{
    return 0.5 * (1 + cos(3.14159265358979323846 * epoch / epochs));
}
