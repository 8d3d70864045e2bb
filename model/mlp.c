/* model/mlp.c - see mlp.h.
 *
 * Both structures are one path: first layer, GELU, perhaps a middle layer with a norm, last layer, residual sum,
 * perhaps a norm. Letters: B batch, D width, H hidden width (2D or 4D). */
#include "model/mlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/kernels.h"
#include "model/linear.h"
#include "model/rng.h"

static const float EPSILON = 1e-5f;
enum { WIDTH_MAX = 1 << 16 };

/* What a tensor is to the path. */
enum slot { FIRST_W, FIRST_B, MIDDLE_W, MIDDLE_B, INNER_GAIN, INNER_BIAS, LAST_W, LAST_B, GAIN, BIAS, SLOTS };

/* Rows and columns in units of D; a vector has no rows here. */
struct row {
    enum slot slot;
    const char *name;
    int rows, columns;
};

static const struct row two[] = {
    {FIRST_W, "net.0.0.weight", 2, 1}, {FIRST_B, "net.0.0.bias", 0, 2}, {LAST_W, "net.1.0.weight", 1, 2},
    {LAST_B, "net.1.0.bias", 0, 1},    {GAIN, "norm.weight", 0, 1},     {BIAS, "norm.bias", 0, 1},
};
static const struct row four_four[] = {
    {FIRST_W, "net.0.0.weight", 4, 1}, {FIRST_B, "net.0.0.bias", 0, 4},      {MIDDLE_W, "net.1.0.weight", 4, 4},
    {MIDDLE_B, "net.1.0.bias", 0, 4},  {INNER_GAIN, "net.1.2.weight", 0, 4}, {INNER_BIAS, "net.1.2.bias", 0, 4},
    {LAST_W, "net.2.0.weight", 1, 4},  {LAST_B, "net.2.0.bias", 0, 1},       {GAIN, "norm.weight", 0, 1},
    {BIAS, "norm.bias", 0, 1},
};

static const struct {
    const struct row *rows;
    int count, hidden;
    bool middle;
} structures[] = {
    [MLP_2] = {two, sizeof two / sizeof *two, 2, false},
    [MLP_4_4] = {four_four, sizeof four_four / sizeof *four_four, 4, true},
};

/* The k-th row of this shape's table, NULL past the end.  The outer norm comes last, so leaving it out is ending before
 * it. */
static const struct row *row_of(const struct mlp_shape *s, int k)
{
    int count = structures[s->structure].count - (s->identity_norm ? 2 : 0);

    return k >= 0 && k < count ? &structures[s->structure].rows[k] : NULL;
}

static size_t row_size(const struct row *row, size_t D)
{
    return (row->rows ? (size_t)row->rows * D : 1) * (size_t)row->columns * D;
}

bool mlp_tensor(const struct mlp_shape *s, int k, struct mlp_tensor *out)
{
    const struct row *row = row_of(s, k);
    size_t D = (size_t)s->width, offset = 0;

    if (!row)
        return false;
    for (int i = 0; i < k; i++)
        offset += row_size(row_of(s, i), D);
    *out = (struct mlp_tensor){
        .offset = offset, .rows = row->rows ? (size_t)row->rows * D : 1, .columns = (size_t)row->columns * D};
    snprintf(out->name, sizeof out->name, "%s", row->name);
    return true;
}

size_t mlp_count(const struct mlp_shape *s)
{
    size_t count = 0;

    for (int k = 0; row_of(s, k); k++)
        count += row_size(row_of(s, k), (size_t)s->width);
    return count;
}

void mlp_init(const struct mlp_shape *s, uint64_t seed, float *parameters)
{
    struct mlp_tensor t;

    for (int k = 0; mlp_tensor(s, k, &t); k++) {
        enum slot slot = row_of(s, k)->slot;
        float *x = parameters + t.offset;
        rng r = rng_stream(seed, RNG_MLP_INIT, 0, 0, (uint32_t)k);

        if (t.rows > 1) {
            rng_fill_truncated_normal(&r, x, t.rows * t.columns, 0.02f);
            continue;
        }
        for (size_t i = 0; i < t.columns; i++)
            x[i] = slot == GAIN || slot == INNER_GAIN ? 1 : 0;
    }
}

struct mlp {
    struct mlp_shape shape;
    const struct kernels *k;
    int hidden, B; /* H; samples of the last forward pass */
    size_t at[SLOTS];
    const float *z;                     /* (B, D), borrowed */
    float *a, *h;                       /* (B, H) first layer before and after GELU */
    float *inner, *inner_xhat;          /* (B, H) middle layer after its norm (first, before it); normalised */
    float *sum, *xhat;                  /* (B, D) residual sum; normalised */
    float *inner_rstd, *rstd;           /* (B) */
    float *d_sum, *d_hidden, *d_middle; /* (B, D), (B, H), (B, H): gradients on the way back */
    float *memory;
};

int mlp_create(mlp **out, const struct mlp_shape *s, int max_batch, err *e)
{
    mlp *m;
    size_t B = (size_t)max_batch, D = (size_t)s->width, H = D * (size_t)structures[s->structure].hidden;
    size_t middle = structures[s->structure].middle ? B * H : 0;
    struct mlp_tensor t;

    *out = NULL;
    if (s->width < 1 || s->width > WIDTH_MAX || max_batch < 1)
        return err_set(e, ERR_SHAPE,
                       "an MLP of width %d for batches of %d: both must be positive, and the width at most %d",
                       s->width, max_batch, WIDTH_MAX);
    m = calloc(1, sizeof *m);
    if (m)
        m->memory = malloc((3 * B * H + 3 * middle + 3 * B * D + 2 * B) * sizeof *m->memory);
    if (!m || !m->memory) {
        free(m);
        return err_set(e, ERR_NOMEM, "no memory for an MLP of width %d for batches of %d", s->width, max_batch);
    }
    m->shape = *s;
    m->k = kernels_best();
    m->hidden = (int)H;
    for (int k = 0; mlp_tensor(s, k, &t); k++)
        m->at[row_of(s, k)->slot] = t.offset;
    m->a = m->memory;
    m->h = m->a + B * H;
    m->d_hidden = m->h + B * H;
    m->inner = m->d_hidden + B * H;
    m->inner_xhat = m->inner + middle;
    m->d_middle = m->inner_xhat + middle;
    m->sum = m->d_middle + middle;
    m->xhat = m->sum + B * D;
    m->d_sum = m->xhat + B * D;
    m->inner_rstd = m->d_sum + B * D;
    m->rstd = m->inner_rstd + B;
    *out = m;
    return 0;
}

void mlp_free(mlp *m)
{
    if (m)
        free(m->memory);
    free(m);
}

void mlp_forward(mlp *m, const float *parameters, const float *z, int B, float *y)
{
    int D = m->shape.width, H = m->hidden;
    size_t b = (size_t)B, d = (size_t)D, h = (size_t)H;
    const float *p[SLOTS], *last = m->h;

    for (int i = 0; i < SLOTS; i++)
        p[i] = parameters + m->at[i];
    m->z = z;
    m->B = B;
    linear_forward(m->k, b, h, d, z, d, p[FIRST_W], false, m->a, h, NULL);
    m->k->gelu(m->h, m->a, p[FIRST_B], b, h);
    if (structures[m->shape.structure].middle) {
        linear_forward(m->k, b, h, h, m->h, h, p[MIDDLE_W], false, m->inner, h, NULL);
        m->k->add_bias(m->inner, m->inner, p[MIDDLE_B], b, h);
        m->k->layer_norm(m->inner, m->inner_xhat, m->inner_rstd, m->inner, p[INNER_GAIN], p[INNER_BIAS], b, h, EPSILON);
        last = m->inner;
    }
    m->k->add_bias(m->sum, z, p[LAST_B], b, d);
    linear_forward(m->k, b, d, h, last, h, p[LAST_W], true, m->sum, d, NULL);
    if (m->shape.identity_norm)
        memcpy(y, m->sum, b * d * sizeof *y);
    else
        m->k->layer_norm(y, m->xhat, m->rstd, m->sum, p[GAIN], p[BIAS], b, d, EPSILON);
}

/* The sums of the columns of x (B, D). */
static void sum_rows(const float *x, size_t B, size_t D, float *out)
{
    memset(out, 0, D * sizeof *out);
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < D; i++)
            out[i] += x[b * D + i];
}

/* A layer y = x W' + bias: its gradients, given dy (B, rows).  x (B, columns). */
static void linear_gradient(const float *dy, const float *x, int B, int rows, int columns, float *dw, float *dbias)
{
    gemm_tn(rows, columns, B, 1, dy, rows, x, columns, 0, dw, columns);
    sum_rows(dy, (size_t)B, (size_t)rows, dbias);
}

/* Through a layer norm: dx and the gradients of gain and bias are written.  dy (B, D). */
static void norm_gradient(const struct kernels *k, const float *dy, const float *gain, const float *xhat,
                          const float *rstd, size_t B, size_t D, float *dx, float *dgain, float *dbias)
{
    memset(dx, 0, B * D * sizeof *dx);
    k->layer_norm_backward(dx, dy, gain, xhat, rstd, B, D);
    sum_rows(dy, B, D, dbias);
    memset(dgain, 0, D * sizeof *dgain);
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < D; i++)
            dgain[i] += dy[b * D + i] * xhat[b * D + i];
}

void mlp_backward(mlp *m, const float *parameters, const float *dy, float *gradient)
{
    int B = m->B, D = m->shape.width, H = m->hidden;
    bool middle = structures[m->shape.structure].middle;
    size_t b = (size_t)B, d = (size_t)D, h = (size_t)H;
    const float *p[SLOTS], *d_sum = dy;
    float *g[SLOTS];

    for (int i = 0; i < SLOTS; i++) {
        p[i] = parameters + m->at[i];
        g[i] = gradient + m->at[i];
    }
    if (!m->shape.identity_norm) {
        norm_gradient(m->k, dy, p[GAIN], m->xhat, m->rstd, b, d, m->d_sum, g[GAIN], g[BIAS]);
        d_sum = m->d_sum;
    }
    linear_gradient(d_sum, middle ? m->inner : m->h, B, D, H, g[LAST_W], g[LAST_B]);
    linear_backward(m->k, b, d, h, d_sum, d, p[LAST_W], false, m->d_hidden, h, NULL);
    if (middle) {
        norm_gradient(m->k, m->d_hidden, p[INNER_GAIN], m->inner_xhat, m->inner_rstd, b, h, m->d_middle, g[INNER_GAIN],
                      g[INNER_BIAS]);
        linear_gradient(m->d_middle, m->h, B, H, H, g[MIDDLE_W], g[MIDDLE_B]);
        linear_backward(m->k, b, h, h, m->d_middle, h, p[MIDDLE_W], false, m->d_hidden, h, NULL);
    }
    m->k->gelu_backward(m->d_hidden, m->a, b * h);
    linear_gradient(m->d_hidden, m->z, B, H, D, g[FIRST_W], g[FIRST_B]);
}
