/* worker/causes.c - see causes.h. */
#include "worker/causes.h"

#include <limits.h>
#include <string.h>

enum { RETRY = -1, ALWAYS = 0, RANK = 1, ELSE = 0 };

static const struct {
    const char *name;
    int budget;
    bool blames;
    const char *meaning;
} causes[CAUSE_COUNT] = {
#define X(name, budget, blames, meaning) {#name, budget, blames, meaning},
    CAUSES(X)
#undef X
};

/* What a trainer's own error says about its attempt. */
static const enum cause by_error[ERR_COUNT] = {
    [ERR_NONE] = CAUSE_none,
    [ERR_USAGE] = CAUSE_input,
    [ERR_CONFIG] = CAUSE_input,
    [ERR_MISSING] = CAUSE_damaged,
    [ERR_DAMAGED] = CAUSE_damaged,
    [ERR_STORAGE] = CAUSE_storage,
    [ERR_INTERRUPTED] = CAUSE_interrupted,
    [ERR_BUSY] = CAUSE_system,
    [ERR_SHAPE] = CAUSE_input,
    [ERR_DIVERGED] = CAUSE_diverged,
    [ERR_DATA] = CAUSE_input,
    [ERR_NOMEM] = CAUSE_memory,
    [ERR_SYSTEM] = CAUSE_system,
    [ERR_WORKER] = CAUSE_answer,
    [ERR_BUG] = CAUSE_bug,
};

const char *cause_name(enum cause c)
{
    return (unsigned)c < CAUSE_COUNT ? causes[c].name : "unknown";
}

const char *cause_meaning(enum cause c)
{
    return (unsigned)c < CAUSE_COUNT ? causes[c].meaning : "unknown cause";
}

int cause_budget(enum cause c, int attempts)
{
    int budget = causes[c].budget;

    return budget == ALWAYS ? INT_MAX : budget == RETRY ? attempts : budget;
}

bool cause_counts(enum cause c)
{
    return causes[c].budget == RETRY;
}

bool cause_blames_rank(enum cause c)
{
    return causes[c].blames;
}

enum cause cause_by_name(const char *name)
{
    enum cause c = 0;

    while (c < CAUSE_COUNT && strcmp(causes[c].name, name))
        c++;
    return c;
}

enum cause cause_of_error(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? by_error[code] : CAUSE_answer;
}
