/* orchestrator/study.c - see study.h. */
#include "orchestrator/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_history(struct study *s, err *e)
{
    if (!access(s->folder.ledger, F_OK) && ledger_replay(s->folder.ledger, history_visit, &s->history, &s->ledger, e))
        return e->code;
    return standing_make(&s->plan, &s->history, &s->standing, e);
}

int study_from_sweep(const char *path, const char *const *overrides, int count, const char *out, struct study *s,
                     err *e)
{
    *s = (struct study){0};
    if (sweep_load(path, overrides, count, &s->sweep, e) || folder_of(out, &s->sweep, &s->folder, e) ||
        plan_make(&s->sweep, &sources_installed, &s->plan, e) || plan_keys(&s->plan, e))
        return e->code;
    return read_history(s, e);
}

int study_from_folder(const char *path, struct study *s, err *e)
{
    *s = (struct study){0};
    if (folder_name(path, "", &s->folder, e) || folder_check(&s->folder, e) ||
        sweep_load(s->folder.sweep, NULL, 0, &s->sweep, e) || plan_make(&s->sweep, &sources_installed, &s->plan, e) ||
        plan_keys(&s->plan, e))
        return e->code;
    return read_history(s, e);
}

int study_refresh(struct study *s, err *e)
{
    history_free(&s->history);
    standing_free(&s->standing);
    return read_history(s, e);
}

void study_close(struct study *s)
{
    standing_free(&s->standing);
    history_free(&s->history);
    plan_free(&s->plan);
    sweep_free(&s->sweep);
}

void study_trial_name(const struct study *s, int trial, char *text, size_t size)
{
    char label[400];

    plan_trial_label(&s->plan, trial, label, sizeof label);
    snprintf(text, size, "trial %d%s%s%s", trial, *label ? " (" : "", label, *label ? ")" : "");
}

int study_find_trial(const struct study *s, const char *word, int *trial, err *e)
{
    char *end, hex[DIGEST_HEX];
    long number = strtol(word, &end, 10);
    int found = 0;

    if (end != word && !*end && number >= 0 && number < s->plan.trials_count) {
        *trial = (int)number;
        return 0;
    }
    for (int t = 0; t < s->plan.trials_count && strlen(word) >= 4; t++) {
        digest_to_hex(&s->plan.key[s->plan.trials[t].stage], hex);
        if (!strncmp(hex, word, strlen(word))) {
            *trial = t;
            found++;
        }
    }
    if (found == 1)
        return 0;
    if (found)
        return err_set(e, ERR_USAGE, "'%s' begins the keys of several trials", word);
    return err_set(e, ERR_USAGE, "there is no trial '%s'; the sweep has trials 0 to %d", word,
                   s->plan.trials_count - 1);
}
