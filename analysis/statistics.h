/* analysis/statistics.h - what may be said about a few numbers: estimates, paired comparisons, corrections.
 *
 * Pure arithmetic on arrays of finite numbers; distributions are GSL's.  A quantity that does not exist (the spread of
 * one number, the t of differences that do not vary) is NaN, which a renderer shows as a dash.
 *
 * Sources
 *   Student, "The probable error of a mean", Biometrika 6 (1908): interval of a mean, paired t test.
 *   Fisher, The Design of Experiments (1935), section 21: exact test by the signs of paired differences.
 *   Horowitz and Sahni, JACM 21 (1974): subset sums from two sorted halves, used here to count the 2^n sign patterns.
 *   Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979). */
#ifndef ANALYSIS_STATISTICS_H
#define ANALYSIS_STATISTICS_H

#include <stddef.h>

/* Mean of a sample with its spread. */
struct estimate {
    size_t count;
    double mean;      /* NaN when count is 0 */
    double sd;        /* with n - 1; NaN below 2 values */
    double low, high; /* 95 % confidence interval of the mean, mean -+ t(0.975, n-1) sd / sqrt(n); NaN below 2 values */
};

struct estimate estimate_of(const double *values, size_t count);

/* Two treatments measured on the same seeds: a[i] and b[i] belong together. */
struct paired {
    struct estimate difference; /* of a[i] - b[i]; its count is the number of pairs */
    double t;                   /* mean / (sd / sqrt(n)); NaN below 2 pairs, or when the differences are all equal */
    double p_t;           /* two-sided, n - 1 degrees of freedom.  1 when all differences are 0; else NaN where t is */
    double p_permutation; /* share of the 2^n sign patterns whose mean is at least as far from 0; NaN for 0 pairs or
                             more than PERMUTATION_PAIRS */
};

enum { PERMUTATION_PAIRS = 32 }; /* the exact test sorts two halves of 2^(n/2) sums: 65,536 each at this size */

struct paired paired_compare(const double *a, const double *b, size_t count);

/* The two-sided exact sign-flip test of the mean of the differences; see struct paired.  Sums that differ by less than
 * 1e-9 of the sum of magnitudes count as equal, so that ties do not depend on rounding. */
double permutation_test(const double *differences, size_t count);

/* Holm's step-down adjustment of a family of p values: controls the chance of any false positive.  NaN entries are not
 * part of the family and stay NaN.  `adjusted` may be `p`.  Returns 0, or -1 when out of memory. */
int holm_adjust(const double *p, size_t count, double *adjusted);

/* P(F >= f) for (numerator, denominator) degrees of freedom; NaN where it does not exist. */
double f_test(double f, double numerator, double denominator);
/* t(0.975, df): half the width of a 95 % interval in standard errors; NaN for df < 1. */
double t_quantile(double df);

#endif
