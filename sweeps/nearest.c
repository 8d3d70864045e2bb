/* sweeps/nearest.c - see nearest.h. */
#include "sweeps/nearest.h"

#include <string.h>

enum { LONGEST = 63 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Damerau's distance restricted to neighbours, three rows at a time. */
static int edit_distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b), rows[3][LONGEST + 1];

    if (n > LONGEST || m > LONGEST)
        return LONGEST;
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], above2[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *nearest_word(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    int best_distance = LONGEST;

    for (size_t i = 0; i < n; i++) {
        const char *dot = strrchr(candidates[i], '.');
        int distance = dot && !strcmp(dot + 1, word) ? 1 : edit_distance(word, candidates[i]);
        int allowed = (int)strlen(candidates[i]) / 3;
        if (distance < best_distance && distance <= (allowed > 2 ? allowed : 2) &&
            distance < (int)strlen(candidates[i])) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}
