/* io/tables.c - see tables.h. */
#include "io/tables.h"

#include <string.h>

#define F(kind, name, unit, help) {FIELD_##kind, #name, unit, help, offsetof(struct ROW, name)},

#define ROW trial_row
static const struct field trial_fields[] = {TRIAL_FIELDS(F)};
#undef ROW
#define ROW option_row
static const struct field option_fields[] = {OPTION_FIELDS(F)};
#undef ROW
#define ROW accuracy_row
static const struct field accuracy_fields[] = {ACCURACY_FIELDS(F)};
#undef ROW
#define ROW training_row
static const struct field training_fields[] = {TRAINING_FIELDS(F)};
#undef ROW
#define ROW attempt_row
static const struct field attempt_fields[] = {ATTEMPT_FIELDS(F)};
#undef ROW
#define ROW stage_row
static const struct field stage_fields[] = {STAGE_FIELDS(F)};
#undef ROW

#define TABLE(symbol, fields, row) \
    const struct table table_##symbol = {#symbol, fields, sizeof(fields) / sizeof *(fields), sizeof(struct row)}

TABLE(trials, trial_fields, trial_row);
TABLE(options, option_fields, option_row);
TABLE(accuracy, accuracy_fields, accuracy_row);
TABLE(training, training_fields, training_row);
TABLE(attempts, attempt_fields, attempt_row);
TABLE(stages, stage_fields, stage_row);

size_t field_size(enum field_kind kind)
{
    static const size_t sizes[] = {[FIELD_INT] = sizeof(int64_t),
                                   [FIELD_REAL] = sizeof(double),
                                   [FIELD_NAME] = NAME_SIZE,
                                   [FIELD_TEXT] = TEXT_SIZE,
                                   [FIELD_KEY] = KEY_SIZE};

    return sizes[kind];
}

const struct field *table_field(const struct table *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->fields[i].name, name))
            return &t->fields[i];
    return NULL;
}
