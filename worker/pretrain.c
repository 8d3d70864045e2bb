/* worker/pretrain.c - see pretrain.h. */
#include "worker/pretrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/yaml.h"
#include "model/blas.h"
#include "model/formula.h"
#include "model/kernels.h"
#include "model/linear.h"
#include "model/rng.h"
#include "worker/fit.h"

/* Images that set the scale of the dense targets: far from those of the training. */
enum { SCALE_IMAGES = 4096 };
static const uint64_t scale_index = (uint64_t)1 << 40;

static const struct recipe_field {
    const char *key;
    bool real;
    size_t offset;
    double def, low, high;
} fields[] = {
#define R(type, field, key, def, low, high, help) \
    {key, _Generic((type)0, int : false, double : true), offsetof(struct pretrain_recipe, field), def, low, high},
    PRETRAIN_FIELDS(R)
#undef R
};
enum { FIELDS = sizeof fields / sizeof *fields };

static void set_field(struct pretrain_recipe *r, const struct recipe_field *f, double value)
{
    char *at = (char *)r + f->offset;

    if (f->real)
        *(double *)at = value;
    else
        *(int *)at = (int)value;
}

static double get_field(const struct pretrain_recipe *r, const struct recipe_field *f)
{
    const char *at = (const char *)r + f->offset;

    return f->real ? *(const double *)at : *(const int *)at;
}

static int read_field(const struct yaml_node *key, const struct yaml_node *value, struct pretrain_recipe *out, err *e)
{
    for (int i = 0; i < FIELDS; i++)
        if (!strcmp(fields[i].key, key->text)) {
            const struct recipe_field *f = &fields[i];
            char *end;
            double number = strtod(value->text, &end);

            if (value->kind != YAML_SCALAR || end == value->text || *end || !(number >= f->low && number <= f->high) ||
                (!f->real && number != floor(number)))
                return err_set(e, ERR_CONFIG, "%s:%d:%d: %s is '%s', expected %s from %g to %g", value->file,
                               value->line, value->column, f->key, value->text, f->real ? "a number" : "a whole number",
                               f->low, f->high);
            set_field(out, f, number);
            return 0;
        }
    return err_set(e, ERR_CONFIG, "%s:%d:%d: unknown key '%s'; see sluice pretrain --help", key->file, key->line,
                   key->column, key->text);
}

int pretrain_read(const char *path, struct pretrain_recipe *out, err *e)
{
    const struct yaml_node *root;
    yaml_document *document;
    struct vit_shape shape;

    for (int i = 0; i < FIELDS; i++)
        set_field(out, &fields[i], fields[i].def);
    if (yaml_load(path, &document, e))
        return e->code;
    root = yaml_root(document);
    e->code = ERR_NONE;
    if (root && root->kind != YAML_MAP)
        err_set(e, ERR_CONFIG, "%s:%d:%d: a recipe is a map of keys, not %s", path, root->line, root->column,
                yaml_kind_name(root));
    for (int i = 0; root && !e->code && i < root->count; i++)
        read_field(root->keys[i], root->values[i], out, e);
    yaml_close(document);
    shape = pretrain_shape(out);
    if (!e->code && vit_check_shape(&shape, e))
        err_context(e, "%s", path);
    return e->code;
}

struct vit_shape pretrain_shape(const struct pretrain_recipe *r)
{
    return (struct vit_shape){.side = r->side,
                              .patch = r->patch,
                              .width = r->width,
                              .depth = r->depth,
                              .heads = r->heads,
                              .hidden = r->hidden,
                              .pool = VIT_POOL_NONE};
}

/* Numbers that belong to one cell: its orientations and its brightness. */
enum { CELLS = FORMULA_CELLS * FORMULA_CELLS, CELL_NUMBERS = FORMULA_NUMBERS / CELLS };

/* A linear layer and the numbers it predicts. */
struct head {
    size_t outputs, rows;            /* rows of a batch: B, or B * cells */
    float *value, *gradient, *m, *v; /* (outputs, D) weights, then (outputs) biases */
    float *errors;                   /* (rows, outputs) */
    double weight;
};

enum { WHOLE, DENSE, HEADS };

/* The state of a run: all that a part file holds, and buffers.  T tokens, B images, D width. */
struct run {
    const struct pretrain_recipe *recipe;
    struct vit_weights *weights, gradients, m, v;
    struct head head[HEADS];
    size_t head_size;            /* numbers in all heads' values */
    float *heads;                /* (4, head_size): values, gradients, moments */
    float *images;               /* (B, 3, side, side) */
    float *numbers, *targets;    /* (B, FORMULA_NUMBERS) standardised, (B, FORMULA_TARGETS) */
    float *features, *dfeatures; /* (B, T, D) */
    float *tokens, *dtokens;     /* (B * cells, D): the patch tokens, dense */
    float *buffers;
    struct formula_basis basis;
    float scale[FORMULA_NUMBERS]; /* 1 / standard deviation */
    int step, threads;
    vit_batch *batch;
};

static void free_run(struct run *run)
{
    vit_weights_free(&run->gradients);
    vit_weights_free(&run->m);
    vit_weights_free(&run->v);
    free(run->heads);
    free(run->buffers);
    vit_batch_free(run->batch);
}

static int create_run(struct run *run, err *e)
{
    struct vit_shape shape = pretrain_shape(run->recipe);
    size_t D = (size_t)shape.width, B = (size_t)run->recipe->batch, T = (size_t)vit_tokens(&shape);
    size_t pixels = 3 * (size_t)shape.side * (size_t)shape.side;
    float *at;

    run->head[WHOLE] = (struct head){.outputs = FORMULA_TARGETS, .rows = B, .weight = 1};
    run->head[DENSE] = (struct head){.outputs = CELL_NUMBERS, .rows = B * CELLS, .weight = run->recipe->dense};
    if (run->recipe->dense > 0 && T - 1 != CELLS)
        return err_set(e, ERR_CONFIG,
                       "dense targets need %d x %d patches; side %d and patch %d give %zu patches: set dense to 0",
                       FORMULA_CELLS, FORMULA_CELLS, shape.side, shape.patch, T - 1);
    if (vit_weights_create(run->weights, &shape, e) || vit_weights_create(&run->gradients, &shape, e) ||
        vit_weights_create(&run->m, &shape, e) || vit_weights_create(&run->v, &shape, e) ||
        vit_batch_create(&run->batch, &shape, VIT_FULL, (int)B, 0, 0, run->threads, e))
        return e->code;
    for (int h = 0; h < HEADS; h++)
        run->head_size += run->head[h].outputs * (D + 1);
    run->heads = at = calloc(4 * run->head_size, sizeof *at);
    run->buffers =
        calloc(B * (pixels + FORMULA_NUMBERS + 2 * FORMULA_TARGETS + CELLS * CELL_NUMBERS + 2 * T * D + 2 * CELLS * D),
               sizeof *at);
    if (!run->heads || !run->buffers)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %zu images", B);
    for (int h = 0; h < HEADS; h++, at += run->head[h - 1].outputs * (D + 1)) {
        run->head[h].value = at;
        run->head[h].gradient = at + run->head_size;
        run->head[h].m = at + 2 * run->head_size;
        run->head[h].v = at + 3 * run->head_size;
    }
    run->images = run->buffers;
    run->numbers = run->images + B * pixels;
    run->targets = run->numbers + B * FORMULA_NUMBERS;
    run->head[WHOLE].errors = run->targets + B * FORMULA_TARGETS;
    run->head[DENSE].errors = run->head[WHOLE].errors + B * FORMULA_TARGETS;
    run->features = run->head[DENSE].errors + B * CELLS * CELL_NUMBERS;
    run->dfeatures = run->features + B * T * D;
    run->tokens = run->dfeatures + B * T * D;
    run->dtokens = run->tokens + B * CELLS * D;
    return 0;
}

/* Glorot and Bengio (AISTATS 2010): uniform with variance 2 / (inputs + outputs). */
static void glorot(float *w, size_t rows, size_t columns, rng *r)
{
    float bound = sqrtf(6.0f / (float)(rows + columns));

    rng_fill_uniform(r, w, rows * columns, -bound, bound);
}

/* Sine-cosine positions of the patch grid (a quarter of the width each: sine and cosine of row and column), small enough not to
 * drown the patches. */
static void sine_positions(const struct vit_weights *w)
{
    int grid = w->shape.side / w->shape.patch, D = w->shape.width, quarter = D / 4;

    for (int t = 0; t < grid * grid; t++)
        for (int i = 0; i < quarter; i++) {
            float frequency = 1.5707963f * powf(100, -(float)i / (float)quarter),
                  *x = w->pos_embed + (size_t)(t + 1) * (size_t)D + i;

            x[0] = 0.3f * sinf((float)(t / grid) * frequency);
            x[quarter] = 0.3f * cosf((float)(t / grid) * frequency);
            x[2 * quarter] = 0.3f * sinf((float)(t % grid) * frequency);
            x[3 * quarter] = 0.3f * cosf((float)(t % grid) * frequency);
        }
}

/* Rows of Q (D, D): random, orthonormal (modified Gram-Schmidt on normal numbers). */
static void orthonormal(float *Q, int D, rng *r)
{
    rng_fill_normal(r, Q, (size_t)D * (size_t)D, 1);
    for (int i = 0; i < D; i++) {
        float *row = Q + (size_t)i * (size_t)D, norm = 0;

        for (int k = 0; k < i; k++) {
            const float *other = Q + (size_t)k * (size_t)D;
            float dot = 0;

            for (int j = 0; j < D; j++)
                dot += row[j] * other[j];
            for (int j = 0; j < D; j++)
                row[j] -= dot * other[j];
        }
        for (int j = 0; j < D; j++)
            norm += row[j] * row[j];
        for (int j = 0; j < D; j++)
            row[j] /= sqrtf(norm);
    }
}

/* Attention begins as trained attention looks (Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers", ICML
 * 2023): tokens attend to tokens like themselves, Wq' Wk near the identity, and subtract what they find, Wproj Wv near its
 * negative.  Over all heads Wq' Wk = I + Z and Wproj Wv = 0.4 (Z - I), Z normal of variance 1/D. */
static void mimetic_attention(struct vit_weights *w, uint64_t seed)
{
    int D = w->shape.width;
    size_t matrix = (size_t)D * (size_t)D;

    for (int b = 0; b < w->shape.depth; b++) {
        rng r = rng_stream(seed, RNG_BACKBONE_INIT, 2, 0, (uint32_t)b);
        float *q = w->block[b].qkv_w, *k = q + matrix, *v = k + matrix, *projection = w->block[b].proj_w;

        orthonormal(k, D, &r);
        rng_fill_normal(&r, q, matrix, 1 / sqrtf((float)D));
        for (size_t i = 0; i < matrix; i++)
            q[i] += k[i];
        orthonormal(v, D, &r);
        rng_fill_normal(&r, projection, matrix, 1 / sqrtf((float)D));
        for (int i = 0; i < D; i++)
            for (int j = 0; j < D; j++)
                projection[i * D + j] = 0.4f / 0.75f * (projection[i * D + j] - v[j * D + i]);
        for (size_t i = 0; i < matrix; i++)
            v[i] *= 0.75f;
    }
}

static void init_weights(struct run *run)
{
    uint64_t seed = (uint64_t)run->recipe->seed;
    rng r = rng_stream(seed, RNG_HEAD_INIT, 0, 0, 0);
    struct vit_tensor t;

    vit_weights_init(run->weights, seed);
    for (int k = 0; vit_tensor(run->weights, k, &t); k++)
        if (t.rows > 1 && strcmp(t.name, "pos_embed")) {
            rng stream = rng_stream(seed, RNG_BACKBONE_INIT, 1, 0, (uint32_t)k);

            glorot(t.data, t.rows, t.columns, &stream);
        }
    mimetic_attention(run->weights, seed);
    sine_positions(run->weights);
    for (int h = 0; h < HEADS; h++)
        glorot(run->head[h].value, run->head[h].outputs, (size_t)run->recipe->width, &r);
}

/* The basis of the class token's targets, and the scale of every number over drawn images. */
static int measure_targets(struct run *run, err *e)
{
    double squares[FORMULA_NUMBERS] = {0};
    int side = run->recipe->side;

    if (formula_basis_measure((uint64_t)run->recipe->seed, side, &run->basis, e))
        return e->code;
    for (int i = 0; i < SCALE_IMAGES; i++) {
        formula_draw((uint64_t)run->recipe->seed, scale_index + (uint64_t)i, side, run->images);
        formula_describe(run->images, side, run->numbers);
        for (int j = 0; j < FORMULA_NUMBERS; j++) {
            double difference = (double)run->numbers[j] - (double)run->basis.mean[j];

            squares[j] += difference * difference;
        }
    }
    for (int j = 0; j < FORMULA_NUMBERS; j++)
        run->scale[j] = (float)(1 / sqrt(squares[j] / SCALE_IMAGES + 1e-8));
    return 0;
}

/* Draw the images of a step (grey, given to all three channels) and compute their targets. */
static void draw_batch(struct run *run)
{
    int B = run->recipe->batch, side = run->recipe->side;
    size_t plane = (size_t)side * (size_t)side;

#pragma omp parallel for num_threads(run->threads) schedule(dynamic, 4)
    for (int i = 0; i < B; i++) {
        float *image = run->images + (size_t)i * 3 * plane, *numbers = run->numbers + (size_t)i * FORMULA_NUMBERS;

        formula_draw((uint64_t)run->recipe->seed, (uint64_t)run->step * (uint64_t)B + (uint64_t)i, side, image);
        memcpy(image + plane, image, plane * sizeof *image);
        memcpy(image + 2 * plane, image, plane * sizeof *image);
        formula_describe(image, side, numbers);
        formula_targets(&run->basis, numbers, run->targets + (size_t)i * FORMULA_TARGETS);
        for (int j = 0; j < FORMULA_NUMBERS; j++)
            numbers[j] = (numbers[j] - run->basis.mean[j]) * run->scale[j];
    }
}

/* The target of one output of one row: of the image, or of a patch's own cell. */
static float target_of(const struct run *run, int h, size_t row, size_t output)
{
    const float *t = run->numbers + row / CELLS * FORMULA_NUMBERS;
    size_t cell = row % CELLS;

    if (h == WHOLE)
        return run->targets[row * FORMULA_TARGETS + output];
    return output < FORMULA_ORIENTATIONS ? t[cell * FORMULA_ORIENTATIONS + output] : t[FORMULA_HISTOGRAMS + cell];
}

/* One head on rows of features x, `stride` apart: its gradient, dx (same layout), and its share of the loss. */
static double head_step(struct run *run, int which, const float *x, int stride, float *dx)
{
    const struct kernels *k = kernels_best();
    struct head *h = &run->head[which];
    int n = (int)h->rows, outputs = (int)h->outputs, D = run->recipe->width;
    const float *bias = h->value + h->outputs * (size_t)D;
    float *dbias = h->gradient + h->outputs * (size_t)D,
          scale = (float)(2 * h->weight / ((double)h->rows * (double)h->outputs));
    double loss = 0;

    for (size_t i = 0; i < h->rows; i++)
        for (size_t j = 0; j < h->outputs; j++)
            h->errors[i * h->outputs + j] = bias[j] - target_of(run, which, i, j);
    linear_forward(k, h->rows, h->outputs, (size_t)D, x, (size_t)stride, h->value, true, h->errors, h->outputs, NULL);
    memset(dbias, 0, h->outputs * sizeof *dbias);
    for (size_t i = 0; i < h->rows; i++)
        for (size_t j = 0; j < h->outputs; j++) {
            float *error = &h->errors[i * h->outputs + j];

            loss += (double)*error * *error;
            *error *= scale;
            dbias[j] += *error;
        }
    gemm_tn(outputs, D, n, 1, h->errors, outputs, x, stride, 0, h->gradient, D);
    linear_backward(k, h->rows, h->outputs, (size_t)D, h->errors, h->outputs, h->value, false, dx, (size_t)stride,
                    NULL);
    return h->weight * loss / ((double)h->rows * (double)h->outputs);
}

/* Forward and backward of one batch; returns the loss, of which the class token's part goes to *whole. */
static double gradients_of_batch(struct run *run, double *whole)
{
    int B = run->recipe->batch, D = run->recipe->width;
    size_t row = (size_t)D * sizeof(float), patches = CELLS * row,
           image = (size_t)vit_tokens(&run->weights->shape) * (size_t)D;
    double loss;

    vit_forward(run->batch, run->weights, run->images, B, NULL, run->features);
    memset(run->dfeatures, 0, (size_t)B * image * sizeof(float));
    loss = *whole = head_step(run, WHOLE, run->features, (int)image, run->dfeatures);
    if (run->recipe->dense > 0) {
        for (int i = 0; i < B; i++)
            memcpy(run->tokens + (size_t)i * CELLS * (size_t)D, run->features + (size_t)i * image + D, patches);
        loss += head_step(run, DENSE, run->tokens, D, run->dtokens);
        for (int i = 0; i < B; i++)
            memcpy(run->dfeatures + (size_t)i * image + D, run->dtokens + (size_t)i * CELLS * (size_t)D, patches);
    }
    memset(run->gradients.memory, 0, run->gradients.count * sizeof(float));
    vit_backward(run->batch, run->weights, run->dfeatures, &(struct vit_gradients){.weights = &run->gradients});
    return loss;
}

static double square_norm(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static double rate_at(const struct pretrain_recipe *r, int step)
{
    double done;

    if (step < r->warmup)
        return r->lr * (step + 1) / r->warmup;
    done = (double)(step - r->warmup) / (r->steps > r->warmup ? r->steps - r->warmup : 1);
    return 0.5 * r->lr * (1 + cos(3.14159265358979323846 * done));
}

static void update(struct run *run)
{
    const struct pretrain_recipe *r = run->recipe;
    const struct kernels *k = kernels_best();
    double lr = rate_at(r, run->step), beta1 = 0.9, beta2 = 0.95;
    double norm = sqrt(square_norm(run->gradients.memory, run->gradients.count) +
                       square_norm(run->heads + run->head_size, run->head_size));
    struct adam_step s = {.rate = (float)(lr / (1 - pow(beta1, run->step + 1))),
                          .root_correction = (float)(1 / sqrt(1 - pow(beta2, run->step + 1))),
                          .beta1 = (float)beta1,
                          .beta2 = (float)beta2,
                          .fresh1 = (float)(1 - beta1),
                          .fresh2 = (float)(1 - beta2),
                          .epsilon = 1e-8f,
                          .gradient_scale = r->clip > 0 && norm > r->clip ? (float)(r->clip / norm) : 1};
    struct vit_tensor w, g, m, v;

    for (int i = 0; vit_tensor(run->weights, i, &w); i++) {
        vit_tensor(&run->gradients, i, &g);
        vit_tensor(&run->m, i, &m);
        vit_tensor(&run->v, i, &v);
        s.decay = w.rows > 1 && strcmp(w.name, "pos_embed") ? (float)(lr * r->decay) : 0;
        k->adam(w.data, m.data, v.data, g.data, w.rows * w.columns, &s);
    }
    s.decay = 0;
    k->adam(run->heads, run->heads + 2 * run->head_size, run->heads + 3 * run->head_size, run->heads + run->head_size,
            run->head_size, &s);
}

/* ---- the part file ------------------------------------------------------------------------------------------------ */

static void recipe_text(const struct pretrain_recipe *r, char text[1024])
{
    int used = 0;

    text[0] = 0;
    for (int i = 0; i < FIELDS; i++)
        used += snprintf(text + used, 1024 - (size_t)used, "%s=%g; ", fields[i].key, get_field(r, &fields[i]));
}

/* What a part file holds: the name, the numbers and how many. */
struct part_array {
    const char *name;
    float *data;
    size_t count;
};

static int part_arrays(struct run *run, struct part_array out[6])
{
    const struct part_array all[] = {
        {"weights", run->weights->memory, run->weights->count},
        {"m", run->m.memory, run->m.count},
        {"v", run->v.memory, run->v.count},
        {"heads", run->heads, run->head_size},
        {"heads_m", run->heads + 2 * run->head_size, run->head_size},
        {"heads_v", run->heads + 3 * run->head_size, run->head_size},
    };

    memcpy(out, all, sizeof all);
    return sizeof all / sizeof *all;
}

static int save_part(struct run *run, const char *part, err *e)
{
    struct part_array arrays[6];
    char text[1024];
    h5 *file;

    recipe_text(run->recipe, text);
    if (h5_create(part, &file, e))
        return e->code;
    if (!h5_write_text(file, "recipe", text, e))
        h5_write_number(file, "step", run->step, e);
    for (int i = 0, n = part_arrays(run, arrays); !e->code && i < n; i++)
        h5_write(file, arrays[i].name, H5_F32, 1, &arrays[i].count, arrays[i].data, false, e);
    if (e->code) {
        h5_close(file);
        return e->code;
    }
    return h5_commit(file, NULL, e);
}

static int load_part(struct run *run, const char *part, err *e)
{
    struct part_array arrays[6];
    char text[1024], *stored = NULL;
    double step;
    h5 *file;

    recipe_text(run->recipe, text);
    if (h5_open(part, &file, e))
        return e->code;
    if (!h5_read_text(file, "recipe", &stored, e) && strcmp(stored, text))
        err_set(e, ERR_CONFIG, "%s holds an unfinished run of another recipe; delete it or give another name", part);
    if (!e->code && !h5_read_number(file, "step", &step, e))
        run->step = (int)step;
    for (int i = 0, n = part_arrays(run, arrays); !e->code && i < n; i++)
        h5_read(file, arrays[i].name, H5_F32, 1, &arrays[i].count, arrays[i].data, e);
    free(stored);
    h5_close(file);
    return e->code;
}

char *pretrain_provenance(const struct pretrain_recipe *r, const char *recipe_path)
{
    const char *name = strrchr(recipe_path, '/');
    char text[1024], *out = NULL;

    recipe_text(r, text);
    return asprintf(&out, "sluice pretrain %s: %s only images drawn from formulas were seen",
                    name ? name + 1 : recipe_path, text) < 0
               ? NULL
               : out;
}

static int train(struct run *run, const char *part, double seconds, const struct host *host, double *loss, err *e)
{
    double saved = seconds_now();

    while (run->step < run->recipe->steps) {
        struct progress p = {
            .phase = "train", .epochs = 1, .fraction = (double)run->step / run->recipe->steps, .loss = *loss};
        bool go_on = host->go_on(host->context, &p);

        if (!go_on || seconds_now() - saved > seconds) {
            if (save_part(run, part, e))
                return e->code;
            saved = seconds_now();
        }
        if (!go_on)
            return err_set(e, ERR_INTERRUPTED, "stopped at step %d of %d", run->step, run->recipe->steps);
        draw_batch(run);
        if (!isfinite(gradients_of_batch(run, loss)))
            return err_set(e, ERR_DIVERGED, "the loss is not finite at step %d; try a smaller lr", run->step);
        update(run);
        run->step++;
    }
    return 0;
}

int pretrain_run(const struct pretrain_recipe *r, int threads, const char *part, double seconds,
                 const struct host *host, struct vit_weights *weights, double *loss, err *e)
{
    struct run *run = calloc(1, sizeof *run);

    memset(weights, 0, sizeof *weights);
    *loss = NAN;
    if (!run)
        return err_set(e, ERR_NOMEM, "no memory for a run");
    run->recipe = r;
    run->threads = threads;
    run->weights = weights;
    e->code = ERR_NONE;
    if (!create_run(run, e) && !measure_targets(run, e)) {
        init_weights(run);
        if (access(part, F_OK) == 0)
            load_part(run, part, e);
        if (!e->code && !train(run, part, seconds, host, loss, e))
            unlink(part);
    }
    free_run(run);
    free(run);
    weights->shape.pool = VIT_POOL_TOKEN;
    if (e->code)
        vit_weights_free(weights);
    return e->code;
}
