/* tests/model/reference.h - reading tests/reference/trainer.h5, whose arrays are described at the top of trainer.py
 * beside it, and comparing with it.  Everything here fails the running test with a message instead of returning an
 * error. */
#ifndef TESTS_MODEL_REFERENCE_H
#define TESTS_MODEL_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/h5.h"
#include "model/vit.h"

/* Sizes of the reference; reference_open() checks that the file has them. */
enum { D = 24, H = 2, C = 6, T = 3, LAYERS = 2, IMAGES = 36, PIXELS = 3 * 12 * 12, IN_TASK = 2 };

struct reference {
    h5 *file;
    struct vit_weights weights, raw_weights; /* the backbone; the same without the final norm */
    float images[IMAGES][PIXELS];
    int32_t labels[IMAGES], classes[T][IN_TASK];
};

void reference_open(struct reference *r);
void reference_close(struct reference *r);

double reference_number(struct reference *r, const char *name); /* attribute */
/* An array that must have `count` numbers, whatever its shape: malloc'd, or into given memory. */
float *reference_floats(struct reference *r, const char *name, size_t count);
double *reference_doubles(struct reference *r, const char *name, size_t count);
int32_t *reference_integers(struct reference *r, const char *name, size_t count);
void reference_read(struct reference *r, const char *name, enum h5_type type, size_t count, void *to);

/* The largest distance, over the largest expected number, is at most `tolerance`.  The message names the worst place;
 * NaN never passes. */
void expect_close(const char *what, const float *got, const float *expected, size_t n, double tolerance);
void expect_number(const char *what, double got, double expected, double tolerance);
/* As expect_close(), with the array of this name. */
void expect_array(struct reference *r, const char *name, const float *got, size_t n, double tolerance);

#endif
