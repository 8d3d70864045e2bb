#!/usr/bin/env python3
"""Writes statistics_reference.h: small tables and what NumPy and SciPy say about them.

Run by hand where SciPy is installed; the header is committed, so the tests need no Python.
    python3 statistics_reference.py > statistics_reference.h
"""
import itertools

import numpy as np
import scipy
from scipy import stats

random = np.random.default_rng(2026)


def number(x):
    return "NAN" if np.isnan(x) else repr(float(x))


def array(values):
    return "{" + ", ".join(number(v) for v in values) + "}"


def samples():
    yield [71.25, 70.5]
    yield [0.1, 0.2, 0.3]
    yield list(np.round(random.normal(80, 2, 5), 3))
    yield list(np.round(random.normal(1e6, 1e-3, 7), 6))
    yield list(np.round(random.normal(0, 30, 24), 2))


def pairs():
    yield [71.0, 70.0], [70.0, 69.5]
    yield [1, 2, 3, 4], [1, 2, 3, 3]            # zeros among the differences
    yield [5, 5, 5], [4, 6, 5]                  # mean difference 0
    for n, shift in [(3, 1), (5, 0.5), (8, 2), (9, 0), (14, 0.7)]:
        base = random.normal(75, 3, n)
        yield list(np.round(base + random.normal(shift, 1, n), 1)), list(np.round(base, 1))


def holm_by_closure(p):
    """Adjusted p of i: the largest Bonferroni p of any set of hypotheses that contains i (closed testing)."""
    index = range(len(p))
    sets = [s for k in range(1, len(p) + 1) for s in itertools.combinations(index, k)]
    return [max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in index]


def design(levels, count):
    """Indicators of each level."""
    return np.array([[float(l == k) for k in range(count)] for l in levels])


def residual(y, blocks):
    x = np.hstack(blocks)
    beta, _, rank, _ = np.linalg.lstsq(x, y, rcond=1e-10)
    return float(np.sum((y - x @ beta) ** 2)), rank


def anova(rows):
    """Type II table of y = seed + a + b + a:b, by differences between least-squares fits."""
    a, b, s, y = (np.array(c) for c in zip(*rows))
    A, B, S = design(a, 3), design(b, 2), design(s, 5)
    AB = np.array([[x * z for x in r for z in q] for r, q in zip(A, B)])
    full, rank = residual(y, [S, A, B, AB])
    df = len(y) - rank
    total, _ = residual(y, [S])
    out = []
    for without, with_ in [([S, B], [S, B, A]), ([S, A], [S, A, B]), ([S, A, B], [S, A, B, AB])]:
        rss0, r0 = residual(y, without)
        rss1, r1 = residual(y, with_)
        squares, d = rss0 - rss1, r1 - r0
        f = squares / d / (full / df) if d else np.nan
        out.append((d, squares, squares / total, f, stats.f.sf(f, d, df) if d else np.nan))
    return out, df, full


def table(full):
    for a in range(3):
        for b in range(2):
            for s in range(5):
                if full or (a, b, s) not in [(0, 0, 1), (2, 1, 0), (2, 1, 4), (1, 1, 2)]:
                    yield a, b, s, round(70 + 2 * a - b + 1.5 * (a == 2) * b + 0.8 * s + random.normal(0, 0.7), 2)


print(f"""/* Made by statistics_reference.py with NumPy {np.__version__} and SciPy {scipy.__version__}; do not edit. */
/* clang-format off */
#include <math.h>
#include <stddef.h>

static const struct {{
    size_t count;
    double values[24], mean, sd, low, high;
}} sample_cases[] = {{""")
for v in samples():
    low, high = stats.t.interval(0.95, len(v) - 1, loc=np.mean(v), scale=stats.sem(v))
    print(f"    {{{len(v)}, {array(v)}, {number(np.mean(v))}, {number(np.std(v, ddof=1))}, {number(low)}, {number(high)}}},")
print("""};

static const struct {
    size_t count;
    double a[16], b[16], t, p_t, p_permutation;
} pair_cases[] = {""")
for a, b in pairs():
    t, p = stats.ttest_rel(a, b)
    d = np.subtract(a, b)
    exact = stats.permutation_test((d,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
                                   n_resamples=np.inf, vectorized=True).pvalue
    print(f"    {{{len(a)}, {array(a)}, {array(b)}, {number(t)}, {number(p)}, {number(exact)}}},")
print("""};

static const struct {
    size_t count;
    double p[8], adjusted[8];
} holm_cases[] = {""")
for p in [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.2], [0.9, 0.001, 0.02, 0.02, 0.6, 0.0004, 0.04]]:
    print(f"    {{{len(p)}, {array(p)}, {array(holm_by_closure(p))}}},")
print("""};

/* y = seed + a (3 levels) + b (2 levels) + a:b */
static const struct {
    size_t count;
    struct {
        int a, b, seed;
        double y;
    } row[30];
    struct {
        double df, squares, share, f, p;
    } term[3]; /* a, b, a:b */
    double residual_df, residual_squares;
} anova_cases[] = {""")
confounded = [r for r in table(True) if (r[0] == 0) == (r[1] == 0)]   # b is decided by a
for rows in [list(table(True)), list(table(False)), confounded]:
    terms, df, rss = anova(rows)
    body = ", ".join(f"{{{a}, {b}, {s}, {y}}}" for a, b, s, y in rows)
    print(f"    {{{len(rows)}, {{{body}}},\n     {{{', '.join(array(t) for t in terms)}}}, {df}, {number(rss)}}},")
print("};")
