/* orchestrator/changes.c - see changes.h. */
#include "orchestrator/changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/methods.h"

enum { SHOWN = 8 /* values of an option */ };

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* The trials' keys, sorted; malloc'd, NULL when memory is out. */
static struct digest *sorted_keys(const struct plan *p)
{
    struct digest *keys = malloc(((size_t)p->trials_count + 1) * sizeof *keys);

    for (int t = 0; keys && t < p->trials_count; t++)
        keys[t] = p->key[p->trials[t].stage];
    if (keys)
        qsort(keys, (size_t)p->trials_count, sizeof *keys, compare_keys);
    return keys;
}

int changes_between(const struct plan *before, const struct plan *now, struct changes *out, err *e)
{
    struct digest *old = sorted_keys(before), *new = sorted_keys(now);
    int i = 0, j = 0;

    *out = (struct changes){0};
    if (!old || !new)
        err_set(e, ERR_NOMEM, "no memory for %d trials", before->trials_count + now->trials_count);
    while (!e->code && i < before->trials_count && j < now->trials_count) {
        int order = compare_keys(&old[i], &new[j]);

        out->kept += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    out->orphaned = before->trials_count - out->kept;
    out->added = now->trials_count - out->kept;
    free(old);
    free(new);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ why */

/* The distinct values that the trials of a plan give to an option that they read, in ascending order; malloc'd. */
struct values {
    int count;
    union option_value *value;
};

static int compare_values(const void *a, const void *b, void *context)
{
    const union option_value *x = a, *y = b;

    switch (option_info(*(enum option_id *)context)->type) {
    case OPTION_TYPE_REAL:
        return (x->real > y->real) - (x->real < y->real);
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_SEQUENCE:
        return strcmp(x->text, y->text);
    case OPTION_TYPE_LAYERS:
        return (x->layers > y->layers) - (x->layers < y->layers);
    default:
        return (x->integer > y->integer) - (x->integer < y->integer);
    }
}

static bool values_of(const struct plan *p, enum option_id id, struct values *out)
{
    int n = 0;

    *out = (struct values){.value = malloc(((size_t)p->trials_count + 1) * sizeof *out->value)};
    for (int t = 0; out->value && t < p->trials_count; t++) {
        struct trial_config config;

        plan_trial_config(p, t, &config);
        if (id == OPTION_METHOD || id == OPTION_SEED || method_reads(method_of(&config), id))
            out->value[n++] = config.value[id];
    }
    if (!out->value)
        return false;
    qsort_r(out->value, (size_t)n, sizeof *out->value, compare_values, &id);
    for (int i = 0; i < n; i++)
        if (!i || !option_equal(id, out->value[i], out->value[i - 1]))
            out->value[out->count++] = out->value[i];
    return true;
}

static bool same_values(enum option_id id, const struct values *a, const struct values *b)
{
    for (int i = 0; i < a->count && i < b->count; i++)
        if (!option_equal(id, a->value[i], b->value[i]))
            return false;
    return a->count == b->count;
}

static void print_values(FILE *out, enum option_id id, const struct values *v)
{
    for (int i = 0; i < v->count && i < SHOWN; i++)
        fprintf(out, "%s%s", i ? ", " : "", option_format(id, v->value[i]));
    if (v->count > SHOWN)
        fprintf(out, ", ... (%d values)", v->count);
    if (!v->count)
        fputs("not read", out);
}

/* A line if the values of this option are others. */
static bool explain_option(FILE *out, enum option_id id, const struct plan *before, const struct plan *now)
{
    struct values old, new = {0};
    bool good = values_of(before, id, &old) && values_of(now, id, &new);

    if (good && !same_values(id, &old, &new)) {
        fprintf(out, "%s was ", option_info(id)->key);
        print_values(out, id, &old);
        fputs("; it is ", out);
        print_values(out, id, &new);
        fputc('\n', out);
    }
    free(old.value);
    free(new.value);
    return good;
}

/* Can its values differ between trials of one of the plans, or between the plans? */
static bool may_differ(enum option_id id, const struct plan *before, const struct plan *now)
{
    struct trial_config old, new;

    for (int i = 0; i < before->varied_count; i++)
        if (before->varied[i] == id)
            return true;
    for (int i = 0; i < now->varied_count; i++)
        if (now->varied[i] == id)
            return true;
    plan_trial_config(before, 0, &old);
    plan_trial_config(now, 0, &new);
    return !option_equal(id, old.value[id], new.value[id]);
}

/* Seeds of their own that follow `seed` in both plans would only repeat what is said of it. */
static bool follows_seed(enum option_id id, const struct plan *p)
{
    bool varied = false;

    for (int i = 0; i < p->varied_count; i++)
        varied |= p->varied[i] == id;
    return option_info(id)->type == OPTION_TYPE_SEED && !varied;
}

static void explain_contents(FILE *out, const struct plan *now, const struct history *h)
{
    for (int i = 0; i < h->contents_count; i++)
        for (int k = 0; k < now->contents_count; k++)
            if (!strcmp(h->contents[i].what, now->contents[k].what) && strcmp(h->contents[i].is, now->contents[k].is))
                fprintf(out, "%s is not what it was when the sweep last ran here\n", now->contents[k].what);
}

char *changes_why(const struct plan *before, const struct plan *now, const struct history *h)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool good = out != NULL;

    for (int id = 0; good && id < OPTION_COUNT; id++)
        if (may_differ(id, before, now) && !(follows_seed(id, before) && follows_seed(id, now)))
            good = explain_option(out, id, before, now);
    if (good)
        explain_contents(out, now, h);
    if (out && fclose(out))
        good = false;
    if (good)
        return text;
    free(text);
    return NULL;
}
