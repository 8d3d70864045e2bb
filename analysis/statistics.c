/* analysis/statistics.c - see statistics.h. */
#include "analysis/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>

struct estimate estimate_of(const double *values, size_t count)
{
    struct estimate r = {.count = count, .mean = NAN, .sd = NAN, .low = NAN, .high = NAN};
    double sum = 0, squares = 0;

    if (!count)
        return r;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    r.mean = sum / (double)count;
    if (count < 2)
        return r;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - r.mean) * (values[i] - r.mean);
    r.sd = sqrt(squares / (double)(count - 1));
    double half = t_quantile((double)count - 1) * r.sd / sqrt((double)count);
    r.low = r.mean - half;
    r.high = r.mean + half;
    return r;
}

double t_quantile(double df)
{
    return df >= 1 ? gsl_cdf_tdist_Pinv(0.975, df) : NAN;
}

double f_test(double f, double numerator, double denominator)
{
    if (!(numerator >= 1) || !(denominator >= 1) || isnan(f))
        return NAN;
    return isinf(f) ? 0 : gsl_cdf_fdist_Q(f, numerator, denominator);
}

struct paired paired_compare(const double *a, const double *b, size_t count)
{
    struct paired r = {.t = NAN, .p_t = NAN, .p_permutation = NAN};
    double *d = calloc(count + 1, sizeof *d), size = 0;

    if (!d) {
        r.difference = estimate_of(NULL, 0);
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        d[i] = a[i] - b[i];
        size = fmax(size, fmax(fabs(a[i]), fabs(b[i])));
    }
    r.difference = estimate_of(d, count);
    r.p_permutation = permutation_test(d, count);
    free(d);
    if (count < 2)
        return r;
    /* Equal differences leave a spread of rounding errors behind; a t from those would be noise. */
    if (r.difference.sd > 1e-12 * size) {
        r.t = r.difference.mean / (r.difference.sd / sqrt((double)count));
        r.p_t = 2 * gsl_cdf_tdist_Q(fabs(r.t), (double)count - 1);
    } else if (fabs(r.difference.mean) <= 1e-12 * size) {
        r.p_t = 1;
    }
    return r;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* All 2^n sums of d[0..n) with every choice of signs, sorted; malloc'd. */
static double *signed_sums(const double *d, size_t n)
{
    size_t count = 1;
    double *sums = malloc(((size_t)1 << n) * sizeof *sums);

    if (!sums)
        return NULL;
    sums[0] = 0;
    for (size_t i = 0; i < n; i++, count *= 2)
        for (size_t k = 0; k < count; k++) {
            sums[count + k] = sums[k] + d[i];
            sums[k] -= d[i];
        }
    qsort(sums, count, sizeof *sums, ascending);
    return sums;
}

double permutation_test(const double *differences, size_t count)
{
    if (!count || count > PERMUTATION_PAIRS)
        return NAN;
    size_t left = count / 2, right = count - left, lefts = (size_t)1 << left, rights = (size_t)1 << right;
    double *x = signed_sums(differences, left), *y = signed_sums(differences + left, right);
    double observed = 0, magnitude = 0, p = NAN;

    for (size_t i = 0; i < count; i++) {
        observed += differences[i];
        magnitude += fabs(differences[i]);
    }
    if (x && y) {
        double limit = fabs(observed) - 1e-9 * magnitude;
        uint64_t extreme = 0;
        size_t j = rights; /* y[j..] is what reaches the limit together with x[i]; it grows as x[i] grows */
        for (size_t i = 0; i < lefts; i++) {
            while (j > 0 && x[i] + y[j - 1] >= limit)
                j--;
            extreme += rights - j;
        }
        /* The patterns come in pairs (s, -s), so the lower tail is as large as the upper one. */
        p = limit <= 0 ? 1 : fmin(1, 2 * (double)extreme / ((double)lefts * (double)rights));
    }
    free(x);
    free(y);
    return p;
}

struct ranked {
    double p;
    size_t index;
};

static int by_p(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return (x->p > y->p) - (x->p < y->p);
}

int holm_adjust(const double *p, size_t count, double *adjusted)
{
    struct ranked *family = malloc((count ? count : 1) * sizeof *family);
    size_t size = 0;
    double largest = 0;

    if (!family)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!isnan(p[i]))
            family[size++] = (struct ranked){p[i], i};
    qsort(family, size, sizeof *family, by_p);
    for (size_t i = 0; i < count; i++)
        adjusted[i] = NAN;
    for (size_t k = 0; k < size; k++) {
        largest = fmax(largest, fmin(1, (double)(size - k) * family[k].p));
        adjusted[family[k].index] = largest;
    }
    free(family);
    return 0;
}
