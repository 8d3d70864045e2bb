/* model/classifier.c - see classifier.h. */
#include "model/classifier.h"

#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/kernels.h"
#include "model/linear.h"
#include "model/rng.h"

struct classifier {
    struct classifier_shape shape;
    const float *input; /* what the linear layer saw: the features, or `normed` */
    int B;
    float *normed, *xhat, *rstd, *dnormed; /* (max_batch, D), rstd (max_batch); with fc_norm only */
};

void classifier_add(struct parameters *p, const struct classifier_shape *s, double base_rate)
{
    size_t C = (size_t)s->classes, D = (size_t)s->width;

#define X(name, count)                             \
    if (s->fc_norm || strncmp(name, "fc_norm", 7)) \
        parameters_add(p, name, count, base_rate);
    CLASSIFIER_GROUPS(X)
#undef X
}

void classifier_init(struct parameters *p, const struct classifier_shape *s, uint64_t seed)
{
    rng r = rng_stream(seed, RNG_HEAD_INIT, 0, 0, 0);
    float *gain = parameters_value(p, "fc_norm.weight");

    rng_fill_truncated_normal(&r, parameters_value(p, "head.weight"), (size_t)s->classes * (size_t)s->width, 0.02f);
    memset(parameters_value(p, "head.bias"), 0, (size_t)s->classes * sizeof(float));
    for (int i = 0; gain && i < s->width; i++)
        gain[i] = 1;
    if (gain)
        memset(parameters_value(p, "fc_norm.bias"), 0, (size_t)s->width * sizeof(float));
}

int classifier_create(classifier **out, const struct classifier_shape *s, int max_batch, err *e)
{
    size_t n = s->fc_norm ? (size_t)max_batch * (size_t)s->width : 0;
    classifier *c = calloc(1, sizeof *c);

    *out = c;
    if (!c)
        return err_set(e, ERR_NOMEM, "no memory for a head");
    c->shape = *s;
    c->normed = malloc((3 * n + (size_t)max_batch) * sizeof(float));
    if (!c->normed) {
        free(c);
        *out = NULL;
        return err_set(e, ERR_NOMEM, "no memory for a head's batch of %d", max_batch);
    }
    c->xhat = c->normed + n;
    c->dnormed = c->xhat + n;
    c->rstd = c->dnormed + n;
    return 0;
}

void classifier_free(classifier *c)
{
    if (c)
        free(c->normed);
    free(c);
}

void classifier_forward(classifier *c, struct parameters *p, const float *features, int B, float *logits)
{
    size_t R = (size_t)B, C = (size_t)c->shape.classes, D = (size_t)c->shape.width;
    const struct kernels *k = kernels_best();

    c->B = B;
    c->input = features;
    if (c->shape.fc_norm) {
        k->layer_norm(c->normed, c->xhat, c->rstd, features, parameters_value(p, "fc_norm.weight"),
                      parameters_value(p, "fc_norm.bias"), R, D, 1e-6f);
        c->input = c->normed;
    }
    k->add_bias(logits, NULL, parameters_value(p, "head.bias"), R, C);
    linear_forward(k, R, C, D, c->input, D, parameters_value(p, "head.weight"), true, logits, C, NULL);
}

static void fc_norm_backward(classifier *c, struct parameters *p, float *dfeatures)
{
    int D = c->shape.width;
    float *dgain = parameters_gradient(p, "fc_norm.weight"), *dshift = parameters_gradient(p, "fc_norm.bias");

    memset(dgain, 0, (size_t)D * sizeof *dgain);
    memset(dshift, 0, (size_t)D * sizeof *dshift);
    for (int b = 0; b < c->B; b++)
        for (int i = 0; i < D; i++) {
            dgain[i] += c->dnormed[b * D + i] * c->xhat[b * D + i];
            dshift[i] += c->dnormed[b * D + i];
        }
    if (dfeatures) {
        memset(dfeatures, 0, (size_t)c->B * (size_t)D * sizeof *dfeatures);
        kernels_best()->layer_norm_backward(dfeatures, c->dnormed, parameters_value(p, "fc_norm.weight"), c->xhat,
                                            c->rstd, (size_t)c->B, (size_t)D);
    }
}

void classifier_backward(classifier *c, struct parameters *p, const float *dlogits, float *dfeatures)
{
    int C = c->shape.classes, D = c->shape.width;
    float *dbias = parameters_gradient(p, "head.bias"), *dinput = c->shape.fc_norm ? c->dnormed : dfeatures;

    memset(dbias, 0, (size_t)C * sizeof *dbias);
    for (int b = 0; b < c->B; b++)
        for (int k = 0; k < C; k++)
            dbias[k] += dlogits[b * C + k];
    gemm_tn(C, D, c->B, 1, dlogits, C, c->input, D, 0, parameters_gradient(p, "head.weight"), D);
    if (dinput)
        linear_backward(kernels_best(), (size_t)c->B, (size_t)C, (size_t)D, dlogits, (size_t)C,
                        parameters_value(p, "head.weight"), false, dinput, (size_t)D, NULL);
    if (c->shape.fc_norm)
        fc_norm_backward(c, p, dfeatures);
}
