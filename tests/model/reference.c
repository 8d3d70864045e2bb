/* tests/model/reference.c - see reference.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference.h"

/* Shape in the file of an array that must have `count` numbers. */
static void find(struct reference *r, const char *name, size_t count, int *rank, size_t shape[H5_MAX_RANK])
{
    size_t total = 1;
    err e = {0};

    if (h5_shape(r->file, name, rank, shape, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < *rank; i++)
        total *= shape[i];
    if (total != count)
        fail_msg("%s has %zu numbers, expected %zu", name, total, count);
}

void reference_read(struct reference *r, const char *name, enum h5_type type, size_t count, void *to)
{
    size_t shape[H5_MAX_RANK];
    int rank;
    err e = {0};

    find(r, name, count, &rank, shape);
    if (h5_read(r->file, name, type, rank, shape, to, &e))
        fail_msg("%s", e.text);
}

static void *read_new(struct reference *r, const char *name, enum h5_type type, size_t count, size_t size)
{
    void *data = malloc(count * size);

    assert_non_null(data);
    reference_read(r, name, type, count, data);
    return data;
}

float *reference_floats(struct reference *r, const char *name, size_t count)
{
    return read_new(r, name, H5_F32, count, sizeof(float));
}

double *reference_doubles(struct reference *r, const char *name, size_t count)
{
    return read_new(r, name, H5_F64, count, sizeof(double));
}

int32_t *reference_integers(struct reference *r, const char *name, size_t count)
{
    return read_new(r, name, H5_I32, count, sizeof(int32_t));
}

double reference_number(struct reference *r, const char *name)
{
    double value;
    err e = {0};

    if (h5_read_number(r->file, name, &value, &e))
        fail_msg("%s", e.text);
    return value;
}

static void load_weights(struct reference *r, bool no_final_norm, struct vit_weights *w)
{
    struct vit_shape shape = {.side = (int)reference_number(r, "side"),
                              .patch = (int)reference_number(r, "patch"),
                              .width = (int)reference_number(r, "width"),
                              .depth = (int)reference_number(r, "depth"),
                              .heads = (int)reference_number(r, "heads"),
                              .hidden = (int)reference_number(r, "hidden"),
                              .no_final_norm = no_final_norm};
    struct vit_tensor t;
    char name[96];
    err e = {0};

    if (vit_weights_create(w, &shape, &e))
        fail_msg("%s", e.text);
    for (int k = 0; vit_tensor(w, k, &t); k++) {
        snprintf(name, sizeof name, "backbone/%s", t.name);
        reference_read(r, name, H5_F32, t.rows * t.columns, t.data);
    }
}

void reference_open(struct reference *r)
{
    static const struct {
        const char *name;
        int expected;
    } sizes[] = {{"width", D}, {"heads", H}, {"classes", C}, {"tasks", T}, {"layers", LAYERS}};
    err e = {0};

    if (h5_open(SOURCE_DIR "/tests/reference/trainer.h5", &r->file, &e))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal((int)reference_number(r, sizes[i].name), sizes[i].expected);
    load_weights(r, false, &r->weights);
    load_weights(r, true, &r->raw_weights);
    reference_read(r, "images", H5_F32, IMAGES * PIXELS, r->images);
    reference_read(r, "labels", H5_I32, IMAGES, r->labels);
    reference_read(r, "classes", H5_I32, T * IN_TASK, r->classes);
}

void reference_close(struct reference *r)
{
    vit_weights_free(&r->weights);
    vit_weights_free(&r->raw_weights);
    h5_close(r->file);
}

void expect_close(const char *what, const float *got, const float *expected, size_t n, double tolerance)
{
    double largest = 0, worst = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (size_t i = 0; i < n && !isnan(worst); i++) {
        double distance = fabs((double)got[i] - (double)expected[i]);

        if (!(distance <= worst)) {
            worst = distance;
            at = i;
        }
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s[%zu] is %.9g, expected %.9g (largest number %g)", what, at, (double)got[at], (double)expected[at],
                 largest);
}

void expect_number(const char *what, double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fabs(expected)))
        fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

void expect_array(struct reference *r, const char *name, const float *got, size_t n, double tolerance)
{
    float *expected = reference_floats(r, name, n);

    expect_close(name, got, expected, n, tolerance);
    free(expected);
}
