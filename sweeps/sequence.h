/* sweeps/sequence.h - which classes come in which task, and in which order.
 *
 * Texts of `dataset.sequence`:
 *   natural           0, 1, 2, ... cut into tasks of ceil(classes / tasks)
 *   shuffled          the classes shuffled by seeds.order exactly as the official code does, then cut likewise (methods.md 4.1)
 *   [[0,1],[2,3]]     the classes of each task
 *   first:N           natural, but the first task has N classes and the others share the rest evenly
 *   shuffled-first:N  the same after the shuffle
 *   permutation:K     the natural tasks in the K-th sampled order: random.Random(seeds.order + K * 2**32).shuffle(tasks)
 *                     (K = 0 is how the official code orders 5-Datasets)
 *   rotation:K        the natural tasks from task K on, cyclically: over K = 0..tasks-1 a Latin square, each task once in each
 *                     place
 * Class ids are those of the data set; they are never renumbered. */
#ifndef SWEEPS_SEQUENCE_H
#define SWEEPS_SEQUENCE_H

#include <stdint.h>

#include "io/err.h"

enum { SEQUENCE_MAX_CLASSES = 100000, SEQUENCE_MAX_TASKS = 1000 };

struct class_sequence {
    int classes, tasks;
    int *first;   /* (tasks + 1): task t owns ids[first[t]] .. ids[first[t + 1] - 1] */
    int *ids;     /* (classes): class ids, task by task, in order */
    int *task_of; /* (classes): the task of a class id */
};

/* The canonical form of such a text, interned; ERR_CONFIG if it has none.  Says nothing about a data set. */
int sequence_canonical(const char *text, const char **out, err *e);

/* How many tasks an explicit list names; 0 for the other forms.  `text` is canonical. */
int sequence_explicit_tasks(const char *text);

/* The tasks of a data set with so many classes.  ERR_CONFIG: a class in two tasks, in none, out of range; a task without
 * classes; another number of tasks than asked for.  Release with sequence_free(). */
int sequence_resolve(const char *text, int classes, int tasks, uint64_t seed, struct class_sequence *out, err *e);
void sequence_free(struct class_sequence *s); /* what it owns, not the struct */

#endif
