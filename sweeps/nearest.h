/* sweeps/nearest.h - the known word nearest to a mistyped one. */
#ifndef SWEEPS_NEAREST_H
#define SWEEPS_NEAREST_H

#include <stddef.h>

/* The candidate with the least edit distance (insertion, deletion, substitution, swap of neighbours), the first among
 * equals; NULL if even that one differs in more than a third of its characters (at least 2).  A candidate whose last part
 * after a dot equals the word counts as distance 1, so that `length` finds `prompt.length`. */
const char *nearest_word(const char *word, const char *const *candidates, size_t n);

#endif
