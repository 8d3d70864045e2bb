/* sweeps/methods.c - see methods.h. */
#include "sweeps/methods.h"

#include <string.h>

#define LENGTH(array) (int)(sizeof(array) / sizeof *(array))

static const struct method methods[] = {
    {"norga", 5, {STAGE_FEATURES, STAGE_TII, STAGE_WTP, STAGE_INFER, STAGE_TAP}},
    {"hide", 5, {STAGE_FEATURES, STAGE_TII, STAGE_WTP, STAGE_INFER, STAGE_TAP}},
    {"sequential", 2, {STAGE_FEATURES, STAGE_SEQUENTIAL}},
    {"joint", 1, {STAGE_JOINT}},
};

/* Where `option` is (or is not) `text`, `then` becomes `value`; NULL: its default. */
static const struct {
    enum option_id option;
    bool is;
    const char *text;
    enum option_id then;
    const char *value;
} rules[] = {
    {OPTION_METHOD, true, "hide", OPTION_GATE_ACTIVATION, "none"},
    {OPTION_GATE_ACTIVATION, true, "none", OPTION_GATE_TRAIN, NULL},
    {OPTION_GATE_ACTIVATION, true, "none", OPTION_GATE_SCOPE, NULL},
    {OPTION_GATE_ACTIVATION, true, "none", OPTION_GATE_A0, NULL},
    {OPTION_GATE_ACTIVATION, true, "none", OPTION_GATE_A1, NULL},
    {OPTION_GATE_ACTIVATION, true, "none", OPTION_GATE_LR_FACTOR, NULL},
    {OPTION_GATE_TRAIN, true, "never", OPTION_GATE_LR_FACTOR, NULL},
    {OPTION_STATISTICS_KIND, false, "multi_centroid", OPTION_STATISTICS_CENTROIDS, NULL},
};

const struct need stage_needs[] = {
    {STAGE_TII, STAGE_FEATURES, NEED_WHOLE, false},
    {STAGE_TII, STAGE_TII, NEED_PREVIOUS, false},
    {STAGE_WTP, STAGE_WTP, NEED_BEFORE, false},
    {STAGE_WTP, STAGE_TAP, NEED_PREVIOUS, true},
    {STAGE_INFER, STAGE_TII, NEED_SAME, false},
    {STAGE_INFER, STAGE_WTP, NEED_UP_TO, false},
    {STAGE_INFER, STAGE_INFER, NEED_PREVIOUS, false},
    {STAGE_TAP, STAGE_INFER, NEED_SAME, false},
    {STAGE_TAP, STAGE_WTP, NEED_UP_TO, false},
    {STAGE_TAP, STAGE_TAP, NEED_PREVIOUS, false},
    {STAGE_SEQUENTIAL, STAGE_FEATURES, NEED_WHOLE, false},
    {STAGE_SEQUENTIAL, STAGE_SEQUENTIAL, NEED_PREVIOUS, false},
};
const int stage_needs_count = LENGTH(stage_needs);

bool stage_kind_has_tasks(enum stage_kind kind)
{
    return kind != STAGE_FEATURES && kind != STAGE_JOINT;
}

const struct method *method_of(const struct trial_config *config)
{
    const char *name = option_choice_text(OPTION_METHOD, config->value[OPTION_METHOD].integer);

    for (int i = 0; i < LENGTH(methods); i++)
        if (!strcmp(methods[i].name, name))
            return &methods[i];
    return NULL;
}

bool method_reads(const struct method *method, enum option_id id)
{
    for (int i = 0; i < method->kinds_count; i++)
        if (option_in_key(method->kinds[i], id))
            return true;
    return false;
}

/* The rules with their texts parsed; a plan applies them millions of times. */
static const struct parsed_rule {
    int64_t choice;
    union option_value value;
} * parsed_rules(void)
{
    static struct parsed_rule parsed[LENGTH(rules)];
    static bool done;
    err e = {0};

    for (int i = 0; i < LENGTH(rules) && !done; i++) {
        const char *value = rules[i].value ? rules[i].value : option_info(rules[i].then)->initial;
        union option_value choice;
        option_parse(rules[i].option, rules[i].text, &choice, &e);
        option_parse(rules[i].then, value, &parsed[i].value, &e);
        parsed[i].choice = choice.integer;
    }
    done = true;
    return parsed;
}

void method_normalise(struct trial_config *config)
{
    const struct parsed_rule *parsed = parsed_rules();

    for (int i = 0; i < LENGTH(rules); i++)
        if ((config->value[rules[i].option].integer == parsed[i].choice) == rules[i].is)
            config->value[rules[i].then] = parsed[i].value;
}

bool method_fixes(enum option_id id)
{
    for (int i = 0; i < LENGTH(rules); i++)
        if (rules[i].then == id)
            return true;
    return false;
}
