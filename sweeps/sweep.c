/* sweeps/sweep.c - walking a sweep trial by trial; its memory. */
#include "sweeps/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "sweeps/sweep_private.h"

/* Blocks of memory, newest first; large requests get one of their own. */
struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

void *sweep_memory(struct sweep *s, size_t n)
{
    size_t room = (n + 15) & ~(size_t)15, size = room > 65536 ? room : 65536;
    struct block *b = s->memory;

    if (!b || b->size - b->used < room) {
        b = calloc(1, sizeof *b + size);
        if (!b)
            return NULL;
        b->size = size;
        b->next = s->memory;
        s->memory = b;
    }
    b->used += room;
    return b->bytes + b->used - room;
}

void sweep_free(struct sweep *s)
{
    for (struct block *b = s->memory, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *s = (struct sweep){0};
}

int64_t sweep_points(const struct sweep *s)
{
    return s->product + s->includes_count;
}

bool sweep_matches(const struct sweep_rule *rule, const struct trial_config *config)
{
    for (int i = 0; i < rule->conditions_count; i++) {
        const struct sweep_condition *c = &rule->conditions[i];
        bool any = false;
        for (int k = 0; k < c->count && !any; k++)
            any = option_equal(c->option, config->value[c->option], c->values[k]);
        if (!any)
            return false;
    }
    return true;
}

static void assign(const struct sweep_rule *rule, struct trial_config *config)
{
    for (int i = 0; i < rule->assignments_count; i++)
        config->value[rule->assignments[i].option] = rule->assignments[i].value;
}

/* The values of the i-th combination: the last axis runs fastest. */
static void walk_axes(const struct sweep *s, int64_t i, struct trial_config *config)
{
    for (int a = s->axes_count - 1; a >= 0; a--) {
        const struct sweep_axis *axis = &s->axes[a];
        const union option_value *line = axis->values + i % axis->length * axis->options_count;
        for (int k = 0; k < axis->options_count; k++)
            config->value[axis->options[k]] = line[k];
        i /= axis->length;
    }
}

bool sweep_point(const struct sweep *s, int64_t i, struct trial_config *out)
{
    bool product = i < s->product;

    *out = s->base;
    if (product)
        walk_axes(s, i, out);
    else
        assign(&s->includes[i - s->product], out);
    for (int k = 0; k < s->whens_count; k++)
        if (sweep_matches(&s->whens[k], out))
            assign(&s->whens[k], out);
    for (int k = 0; product && k < s->excludes_count; k++)
        if (sweep_matches(&s->excludes[k], out))
            return false;
    trial_resolve_seeds(out);
    return true;
}
