/* worker/tii.c - see tii.h. */
#include "worker/tii.h"

#include <stdlib.h>
#include <string.h>

int tii_create(struct tii_model *m, struct stage_run *run, int classes, int width, int max_batch, err *e)
{
    const char *structure = option_choice(&run->options, OPTION_TII_MLP),
               *norm = option_choice(&run->options, OPTION_FEATURE_NORM);
    bool fc_norm = norm && !strcmp(norm, "fc_norm");

    memset(m, 0, sizeof *m);
    if (e->code)
        return e->code;
    m->mlp_shape = (struct mlp_shape){strcmp(structure, "2") ? MLP_4_4 : MLP_2, width, fc_norm};
    m->head_shape = (struct classifier_shape){classes, width, fc_norm};
    parameters_add(&m->parameters, "mlp", mlp_count(&m->mlp_shape), 0);
    classifier_add(&m->parameters, &m->head_shape, 0);
    m->hidden = malloc(2 * (size_t)max_batch * (size_t)width * sizeof *m->hidden);
    if (!m->hidden)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %d", max_batch);
    m->dhidden = m->hidden + (size_t)max_batch * (size_t)width;
    if (parameters_create(&m->parameters, e) || mlp_create(&m->mlp, &m->mlp_shape, max_batch, e))
        return e->code;
    return classifier_create(&m->head, &m->head_shape, max_batch, e);
}

void tii_free(struct tii_model *m)
{
    parameters_free(&m->parameters);
    mlp_free(m->mlp);
    classifier_free(m->head);
    free(m->hidden);
    memset(m, 0, sizeof *m);
}

void tii_init(struct tii_model *m, uint64_t seed)
{
    mlp_init(&m->mlp_shape, seed, parameters_value(&m->parameters, "mlp"));
    classifier_init(&m->parameters, &m->head_shape, seed);
}

void tii_set_rate(struct tii_model *m, double base_rate)
{
    for (int i = 0; i < m->parameters.groups; i++)
        m->parameters.group[i].base_rate = base_rate;
}

void tii_forward(struct tii_model *m, const float *z, int n, float *logits)
{
    mlp_forward(m->mlp, parameters_value(&m->parameters, "mlp"), z, n, m->hidden);
    classifier_forward(m->head, &m->parameters, m->hidden, n, logits);
}

void tii_backward(struct tii_model *m, const float *dlogits)
{
    classifier_backward(m->head, &m->parameters, dlogits, m->dhidden);
    mlp_backward(m->mlp, parameters_value(&m->parameters, "mlp"), m->dhidden,
                 parameters_gradient(&m->parameters, "mlp"));
}

int32_t tii_task(const float *logits, const struct class_sequence *s, int tasks)
{
    int best = -1;

    for (int c = 0; c < s->classes; c++)
        if (s->task_of[c] < tasks && (best < 0 || logits[c] > logits[best]))
            best = c;
    return s->task_of[best];
}

int tii_write(struct tii_model *m, h5 *file, err *e)
{
    size_t n = mlp_count(&m->mlp_shape);

    if (h5_write(file, "mlp", H5_F32, 1, &n, parameters_value(&m->parameters, "mlp"), false, e))
        return e->code;
    return head_write(file, &m->parameters, &m->head_shape, e);
}

int tii_read(struct tii_model *m, h5 *file, err *e)
{
    size_t n = mlp_count(&m->mlp_shape);

    if (h5_read(file, "mlp", H5_F32, 1, &n, parameters_value(&m->parameters, "mlp"), e))
        return e->code;
    return head_read(file, &m->parameters, &m->head_shape, e);
}
