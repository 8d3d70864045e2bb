/* analysis/measured.c - see measured.h. */
#include "analysis/measured.h"

#include "io/store.h"

#include <stdlib.h>
#include <string.h>

const struct metric_info metric_info[METRIC_COUNT] = {
#define M(id, field, label, unit, sign, digits, help) {#field, label, unit, sign, digits, help},
    METRICS(M)
#undef M
};

const char *const trial_status_names[STATUS_COUNT] = {
#define S(name) #name,
    TRIAL_STATUSES(S)
#undef S
};

enum metric metric_by_key(const char *key)
{
    int k = 0;

    while (k < METRIC_COUNT && strcmp(metric_info[k].key, key))
        k++;
    return (enum metric)k;
}

enum trial_status trial_status_by_name(const char *name)
{
    int k = 0;

    while (k < STATUS_COUNT && strcmp(trial_status_names[k], name))
        k++;
    return (enum trial_status)k;
}

static bool same_option(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '.' || *a == '_') && (*b == '.' || *b == '_')))
            return false;
    return *a == *b;
}

int measured_factor(const struct measured *m, const char *name)
{
    for (int f = 0; f < m->factors_count; f++)
        if (same_option(m->factors[f].name, name) ||
            (!strcmp(name, "dataset") && !strcmp(m->factors[f].name, "dataset.name")))
            return f;
    return -1;
}

const char *measured_fact(const struct measured *m, const char *name)
{
    for (size_t i = 0; i < m->facts_count; i++)
        if (!strcmp(m->facts[i].name, name))
            return m->facts[i].text;
    return NULL;
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
}

void measured_free(struct measured *m)
{
    for (size_t i = 0; i < m->facts_count; i++) {
        free(m->facts[i].name);
        free(m->facts[i].text);
    }
    for (int f = 0; f < m->factors_count; f++) {
        free_texts(m->factors[f].levels, (size_t)m->factors[f].levels_count);
        free(m->factors[f].level);
    }
    for (int k = 0; k < METRIC_COUNT; k++)
        free(m->metric[k]);
    free_texts(m->seeds, (size_t)m->seeds_count);
    free_texts(m->cause, m->trials);
    void *blocks[] = {m->name,    m->facts,       m->number, m->seed,       m->status, m->attempts,
                      m->factors, m->evaluations, m->after,  m->forgetting, m->tries};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    memset(m, 0, sizeof *m);
}
