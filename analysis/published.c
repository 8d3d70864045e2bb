/* analysis/published.c - see published.h. */
#include "analysis/published.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number of the row; NaN if the key is none of the numbers or its value is not one. */
static double *number_of(struct published_row *row, const char *key, double *seeds)
{
    for (int k = METRIC_FAA; k <= METRIC_BWT; k++) {
        size_t n = strlen(metric_info[k].key);
        if (strncmp(key, metric_info[k].key, n))
            continue;
        if (!key[n])
            return &row->metric[k].mean;
        if (!strcmp(key + n, "_sd"))
            return &row->metric[k].sd;
    }
    return strcmp(key, "seeds") ? NULL : seeds;
}

static bool read_number(const struct yaml_node *node, double *out)
{
    char *end;

    if (node->kind != YAML_SCALAR || !*node->text)
        return false;
    *out = strtod(node->text, &end);
    return !*end && isfinite(*out);
}

static bool read_row(const struct yaml_node *node, struct published_row *row)
{
    double seeds = 0;

    for (int k = 0; k < METRIC_COUNT; k++)
        row->metric[k] = (struct estimate){.mean = NAN, .sd = NAN, .low = NAN, .high = NAN};
    row->label = "";
    row->conditions = calloc((size_t)node->count + 1, sizeof *row->conditions);
    if (!row->conditions)
        return false;
    for (int i = 0; i < node->count; i++) {
        const char *key = node->keys[i]->text;
        double *number = number_of(row, key, &seeds);
        if (number) {
            if (!read_number(node->values[i], number))
                *number = number == &seeds ? 0 : NAN;
        } else if (!strcmp(key, "label")) {
            row->label = node->values[i]->text;
        } else if (node->values[i]->kind != YAML_MAP) {
            row->conditions[row->conditions_count++] = (struct published_condition){key, node->values[i]};
        }
    }
    for (int k = 0; k < METRIC_COUNT; k++)
        row->metric[k].count = seeds > 0 && seeds < 1e6 ? (size_t)seeds : 0;
    return true;
}

int published_read(const char *yaml, size_t n, struct published *out, err *e)
{
    *out = (struct published){.source = ""};
    if (yaml_parse("sweep.yaml", yaml, n, &out->document, e))
        return e->code;
    const struct yaml_node *section = yaml_get(yaml_root(out->document), "published");
    const struct yaml_node *rows = yaml_get(section, "rows"), *source = yaml_get(section, "source");
    if (source && source->kind == YAML_SCALAR)
        out->source = source->text;
    if (!rows || rows->kind != YAML_LIST)
        return 0;
    out->rows = calloc((size_t)rows->count + 1, sizeof *out->rows);
    for (int i = 0; out->rows && i < rows->count; i++) {
        if (rows->values[i]->kind != YAML_MAP)
            continue;
        if (!read_row(rows->values[i], &out->rows[out->count]))
            return err_set(e, ERR_NOMEM, "no memory for published numbers");
        out->count++;
    }
    return out->rows ? 0 : err_set(e, ERR_NOMEM, "no memory for published numbers");
}

void published_free(struct published *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->rows[i].conditions);
    free(p->rows);
    yaml_close(p->document);
    *p = (struct published){.source = ""};
}

/* "0.010" is 0.01. */
static bool same_value(const struct yaml_node *node, const char *text)
{
    char *end;

    if (node->kind != YAML_SCALAR)
        return false;
    if (!strcmp(node->text, text))
        return true;
    double x = strtod(node->text, &end);
    if (end == node->text || *end)
        return false;
    double y = strtod(text, &end);
    return end != text && !*end && x == y;
}

static bool holds(const struct published_condition *c, const char *text)
{
    if (c->value->kind == YAML_SCALAR)
        return same_value(c->value, text);
    for (int i = 0; i < c->value->count; i++)
        if (same_value(c->value->values[i], text))
            return true;
    return false;
}

bool published_speaks_of(const struct published_row *row, const struct ablation *a, int group)
{
    const struct group *g = &a->groups[group];

    for (int i = 0; i < row->conditions_count; i++) {
        int f = measured_factor(a->m, row->conditions[i].option);
        if (f < 0)
            continue;
        for (size_t k = 0; k < g->trials; k++) {
            const struct factor *factor = &a->m->factors[f];
            if (!holds(&row->conditions[i], factor->levels[factor->level[a->order[g->begin + k]]]))
                return false;
        }
    }
    return true;
}
