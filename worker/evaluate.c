/* worker/evaluate.c - see evaluate.h. */
#include "worker/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/losses.h"

enum { BATCH = 256 };

static void evaluate_task(const struct test_features *t, struct parameters *p, classifier *head,
                          const struct classifier_shape *shape, const uint8_t *allowed, int task, float *logits,
                          struct accuracy_row *row)
{
    double loss = 0;
    int64_t right = 0, right_task = 0;

    for (size_t i = t->first[task]; i < t->first[task + 1]; i += BATCH) {
        size_t left = t->first[task + 1] - i;
        int n = left < BATCH ? (int)left : BATCH, correct;

        classifier_forward(head, p, t->features + i * (size_t)t->width, n, logits);
        loss += n * cross_entropy(logits, t->labels + i, allowed, n, shape->classes, true, &correct);
        right += correct;
        for (int j = 0; t->inferred && j < n; j++)
            right_task += t->inferred[i + (size_t)j] == task;
    }
    row->task = task;
    row->images = (int64_t)(t->first[task + 1] - t->first[task]);
    row->accuracy = 100.0 * (double)right / (double)row->images;
    row->tii_accuracy = t->inferred ? 100.0 * (double)right_task / (double)row->images : NAN;
    row->loss = loss / (double)row->images;
}

int evaluate(struct stage_run *run, const struct test_features *t, struct parameters *p,
             const struct classifier_shape *shape, const uint8_t *allowed, int after_task, const char *phase, err *e)
{
    struct accuracy_row row = {.after_task = after_task};
    float *logits = malloc(BATCH * (size_t)shape->classes * sizeof *logits);
    classifier *head = NULL;

    if (!logits)
        err_set(e, ERR_NOMEM, "no memory for an evaluation");
    else
        classifier_create(&head, shape, BATCH, e);
    strcpy(row.phase, phase);
    for (int task = 0; task < t->tasks && !e->code; task++) {
        evaluate_task(t, p, head, shape, allowed, task, logits, &row);
        run->host->accuracy(run->host->context, &row);
    }
    classifier_free(head);
    free(logits);
    return e->code;
}

uint8_t *evaluate_allowed(struct stage_run *run, const struct class_sequence *s, int after_task, err *e)
{
    const char *unseen = option_choice(&run->options, OPTION_EVALUATE_UNSEEN);

    return !e->code && !strcmp(unseen, "mask") ? stage_allowed(s, 0, after_task, e) : NULL;
}
