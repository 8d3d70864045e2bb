/* sweeps/sequence.c - see sequence.h. */
#include "sweeps/sequence.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/mt19937.h"
#include "sweeps/nearest.h"
#include "sweeps/stage.h"

/* The forms but the explicit list: word, does ":N" follow, does the shuffle come first, how the tasks are made. */
static void cut_evenly(struct class_sequence *s, int n, uint64_t seed);
static void cut_first(struct class_sequence *s, int n, uint64_t seed);
static void cut_permuted(struct class_sequence *s, int n, uint64_t seed);
static void cut_rotated(struct class_sequence *s, int n, uint64_t seed);

static const struct form {
    const char *word, *shown;
    bool number, shuffle;
    void (*cut)(struct class_sequence *s, int n, uint64_t seed);
} forms[] = {
    {"natural", "natural", false, false, cut_evenly},
    {"shuffled", "shuffled", false, true, cut_evenly},
    {"first", "first:N", true, false, cut_first},
    {"shuffled-first", "shuffled-first:N", true, true, cut_first},
    {"permutation", "permutation:K", true, false, cut_permuted},
    {"rotation", "rotation:K", true, false, cut_rotated},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* ---- texts ---- */

static const struct form *find_form(const char *text, int *number)
{
    size_t word = strcspn(text, ":");

    *number = 0;
    for (int i = 0; i < FORMS; i++) {
        if (strlen(forms[i].word) != word || strncmp(forms[i].word, text, word) || forms[i].number != !!text[word])
            continue;
        if (forms[i].number) {
            const char *digits = text + word + 1;
            size_t n = strspn(digits, "0123456789");
            if (!n || n > 6 || digits[n])
                return NULL;
            *number = atoi(digits);
        }
        return &forms[i];
    }
    return NULL;
}

/* Copy "[[0,1],[2]]" without blanks and leading zeros; false if it is no list of lists of numbers. */
static bool copy_lists(const char *text, char *out)
{
    enum { START, OUTER, INNER, NUMBER, AFTER_NUMBER, AFTER_LIST, END } state = START;
    char before = 0;
    int digits = 0;

    for (; *text; text++) {
        char c = *text;
        if (isspace((unsigned char)c)) {
            state = state == NUMBER ? AFTER_NUMBER : state;
            continue;
        }
        if (state == START && c == '[') {
            state = OUTER;
        } else if (state == OUTER && c == '[') {
            state = INNER;
        } else if ((state == INNER || state == NUMBER) && isdigit((unsigned char)c)) {
            digits = state == NUMBER ? digits + 1 : 1;
            if (digits > 6)
                return false;
            if (state == NUMBER && before == '0' && digits == 2) { /* a leading zero */
                digits = 1;
                out--;
            }
            state = NUMBER;
        } else if ((state == NUMBER || state == AFTER_NUMBER) && c == ',') {
            state = INNER;
        } else if ((state == NUMBER || state == AFTER_NUMBER) && c == ']') {
            state = AFTER_LIST;
        } else if (state == AFTER_LIST && c == ',') {
            state = OUTER;
        } else if (state == AFTER_LIST && c == ']') {
            state = END;
        } else {
            return false;
        }
        *out++ = c;
        before = c;
    }
    *out = 0;
    return state == END;
}

static int fail_text(const char *text, err *e)
{
    const char *words[FORMS], *near;
    char word[64];

    for (int i = 0; i < FORMS; i++)
        words[i] = forms[i].word;
    snprintf(word, sizeof word, "%.*s", (int)(strcspn(text, ":") < 60 ? strcspn(text, ":") : 60), text);
    near = nearest_word(word, words, FORMS);
    for (int i = 0; i < FORMS; i++)
        if (near == words[i])
            near = forms[i].shown;
    return err_set(e, ERR_CONFIG,
                   "must be natural, shuffled, first:N, shuffled-first:N, permutation:K, rotation:K or a list of the "
                   "classes of each task like [[0, 1], [2, 3]]%s%s%s",
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int sequence_canonical(const char *text, const char **out, err *e)
{
    const struct form *form;
    int number;
    char *copy;

    *out = NULL;
    copy = malloc(strlen(text) + 80);
    if (!copy)
        return err_errno(e, "class order");
    form = find_form(text, &number);
    if (form && form->number)
        sprintf(copy, "%s:%d", form->word, number);
    else if (form)
        strcpy(copy, form->word);
    if (form || copy_lists(text, copy)) {
        *out = intern(copy);
        if (!*out)
            err_set(e, ERR_NOMEM, "out of memory");
    } else {
        fail_text(text, e);
    }
    free(copy);
    return e->code;
}

int sequence_explicit_tasks(const char *text)
{
    int open = 0;

    for (; *text; text++)
        open += *text == '[';
    return open ? open - 1 : 0;
}

/* ---- tasks ---- */

static void cut_evenly(struct class_sequence *s, int n, uint64_t seed)
{
    int size = (s->classes + s->tasks - 1) / s->tasks;

    (void)n;
    (void)seed;
    for (int t = 0; t <= s->tasks; t++)
        s->first[t] = t * size < s->classes ? t * size : s->classes;
}

static void cut_first(struct class_sequence *s, int n, uint64_t seed)
{
    int others = s->tasks - 1, rest = s->classes - n;

    (void)seed;
    s->first[0] = 0;
    if (n > s->classes || !others)
        rest = 0;
    for (int t = 1; t <= s->tasks; t++) /* differences of at most one class, larger tasks first */
        s->first[t] = s->classes - rest + (others ? (t - 1) * (rest / others) : 0) +
                      (others ? (t - 1 < rest % others ? t - 1 : rest % others) : 0);
}

/* Lay out the natural tasks in the given order. */
static void cut_in_order(struct class_sequence *s, const int *order)
{
    int size = (s->classes + s->tasks - 1) / s->tasks, at = 0;

    for (int t = 0; t < s->tasks; t++) {
        int from = order[t] * size, to = from + size;
        s->first[t] = at;
        for (int c = from; c < to && c < s->classes; c++)
            s->ids[at++] = c;
    }
    s->first[s->tasks] = at;
}

static void cut_permuted(struct class_sequence *s, int n, uint64_t seed)
{
    int order[SEQUENCE_MAX_TASKS];

    for (int t = 0; t < s->tasks; t++)
        order[t] = t;
    python_shuffle(order, s->tasks, seed + ((uint64_t)n << 32));
    cut_in_order(s, order);
}

static void cut_rotated(struct class_sequence *s, int n, uint64_t seed)
{
    int order[SEQUENCE_MAX_TASKS];

    (void)seed;
    for (int t = 0; t < s->tasks; t++)
        order[t] = (t + n) % s->tasks;
    cut_in_order(s, order);
}

/* The list as written; ids beyond the data set's classes are found by check(). */
static int cut_explicit(struct class_sequence *s, const char *text, err *e)
{
    int at = 0, task = -1;

    for (const char *p = text + 1; *p; p++) {
        if (*p == '[') {
            s->first[++task] = at;
        } else if (isdigit((unsigned char)*p)) {
            int id = (int)strtol(p, (char **)&p, 10);
            p--;
            if (id >= s->classes)
                return err_set(e, ERR_CONFIG, "class %d of task %d: the data set has classes 0 to %d", id, task,
                               s->classes - 1);
            if (s->task_of[id] >= 0)
                return err_set(e, ERR_CONFIG, "class %d is in task %d and in task %d", id, s->task_of[id], task);
            s->task_of[id] = task;
            s->ids[at++] = id;
        }
    }
    s->first[s->tasks] = at;
    for (int id = 0; id < s->classes; id++)
        if (s->task_of[id] < 0)
            return err_set(e, ERR_CONFIG, "class %d is in no task", id);
    return 0;
}

static int fill(struct class_sequence *s, const char *text, uint64_t seed, err *e)
{
    int number;
    const struct form *form = find_form(text, &number);

    for (int i = 0; i < s->classes; i++) {
        s->ids[i] = i;
        s->task_of[i] = -1;
    }
    if (!form)
        return cut_explicit(s, text, e);
    if (!strcmp(form->word, "rotation") && number >= s->tasks)
        return err_set(e, ERR_CONFIG, "%s: there are tasks 0 to %d to start from", text, s->tasks - 1);
    if (form->shuffle)
        python_shuffle(s->ids, s->classes, seed);
    form->cut(s, number, seed);
    for (int t = 0; t < s->tasks; t++) {
        if (s->first[t + 1] <= s->first[t])
            return err_set(e, ERR_CONFIG, "%s: task %d of %d gets none of the %d classes", text, t, s->tasks,
                           s->classes);
        for (int i = s->first[t]; i < s->first[t + 1]; i++)
            s->task_of[s->ids[i]] = t;
    }
    return 0;
}

int sequence_resolve(const char *text, int classes, int tasks, uint64_t seed, struct class_sequence *out, err *e)
{
    const char *canonical;
    int named;

    *out = (struct class_sequence){.classes = classes, .tasks = tasks};
    if (sequence_canonical(text, &canonical, e))
        return err_context(e, "%.80s", text);
    if (classes < 1 || classes > SEQUENCE_MAX_CLASSES || tasks < 1 || tasks > SEQUENCE_MAX_TASKS)
        return err_set(e, ERR_CONFIG, "%d classes in %d tasks: at most %d in %d", classes, tasks, SEQUENCE_MAX_CLASSES,
                       SEQUENCE_MAX_TASKS);
    named = sequence_explicit_tasks(canonical);
    if (named && named != tasks)
        return err_set(e, ERR_CONFIG, "the list names the classes of %d tasks, but dataset.tasks is %d", named, tasks);
    out->first = calloc((size_t)tasks + 1, sizeof *out->first);
    out->ids = calloc((size_t)classes, sizeof *out->ids);
    out->task_of = calloc((size_t)classes, sizeof *out->task_of);
    if (!out->first || !out->ids || !out->task_of)
        err_errno(e, "class order");
    else
        fill(out, canonical, seed, e);
    if (e->code)
        sequence_free(out);
    return e->code;
}

void sequence_free(struct class_sequence *s)
{
    free(s->first);
    free(s->ids);
    free(s->task_of);
    *s = (struct class_sequence){0};
}
