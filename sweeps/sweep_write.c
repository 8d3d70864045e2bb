/* sweeps/sweep_write.c - a sweep as resolved, as a sweep file again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/sweep.h"

/* A text in double quotes, which YAML reads back byte for byte. */
static void write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ' || *text == 127)
            fprintf(out, "\\x%02X", (unsigned char)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

/* Values whose text YAML would split or read as something else are quoted. */
static void write_value(FILE *out, enum option_id id, union option_value value)
{
    const char *text = option_format(id, value);

    if (option_info(id)->type == OPTION_TYPE_LAYERS)
        write_quoted(out, text);
    else
        fputs(text, out);
}

static void write_assignments(FILE *out, const struct sweep_rule *rule)
{
    fputc('{', out);
    for (int i = 0; i < rule->assignments_count; i++) {
        fprintf(out, "%s%s: ", i ? ", " : "", option_info(rule->assignments[i].option)->key);
        write_value(out, rule->assignments[i].option, rule->assignments[i].value);
    }
    fputc('}', out);
}

/* The pairs of a map of conditions, without its braces. */
static void write_conditions(FILE *out, const struct sweep_rule *rule)
{
    for (int i = 0; i < rule->conditions_count; i++) {
        const struct sweep_condition *c = &rule->conditions[i];
        fprintf(out, "%s%s: [", i ? ", " : "", option_info(c->option)->key);
        for (int k = 0; k < c->count; k++) {
            fputs(k ? ", " : "", out);
            write_value(out, c->option, c->values[k]);
        }
        fputc(']', out);
    }
}

static void write_column(FILE *out, const struct sweep_axis *axis, int column)
{
    fprintf(out, "%s: [", option_info(axis->options[column])->key);
    for (int64_t i = 0; i < axis->length; i++) {
        fputs(i ? ", " : "", out);
        write_value(out, axis->options[column], axis->values[i * axis->options_count + column]);
    }
    fputc(']', out);
}

static void write_axes(FILE *out, const struct sweep *s)
{
    bool grid = false, zip = false;

    for (int a = 0; a < s->axes_count; a++) {
        const struct sweep_axis *axis = &s->axes[a];
        if (strcmp(axis->origin, "grid"))
            continue;
        fputs(grid ? "  " : "\ngrid:\n  ", out);
        grid = true;
        write_column(out, axis, 0);
        fputc('\n', out);
    }
    for (int a = 0; a < s->axes_count; a++) {
        const struct sweep_axis *axis = &s->axes[a];
        if (!strcmp(axis->origin, "grid"))
            continue;
        fprintf(out, "%s  - # %s\n", zip ? "" : "\nzip:\n", axis->origin);
        zip = true;
        for (int k = 0; k < axis->options_count; k++) {
            fputs("    ", out);
            write_column(out, axis, k);
            fputc('\n', out);
        }
    }
}

static void write_rules(FILE *out, const struct sweep *s)
{
    for (int i = 0; i < s->includes_count; i++) {
        fputs(i ? "  - " : "\ninclude:\n  - ", out);
        write_assignments(out, &s->includes[i]);
        fputc('\n', out);
    }
    for (int i = 0; i < s->excludes_count; i++) {
        fputs(i ? "  - {" : "\nexclude:\n  - {", out);
        write_conditions(out, &s->excludes[i]);
        fputs("}\n", out);
    }
    for (int i = 0; i < s->whens_count; i++) {
        fputs(i ? "  - {if: {" : "\nwhen:\n  - {if: {", out);
        write_conditions(out, &s->whens[i]);
        fputs("}, set: ", out);
        write_assignments(out, &s->whens[i]);
        fputs("}\n", out);
    }
}

static void write_published(FILE *out, const struct sweep *s)
{
    if (!s->published_count)
        return;
    fputs("\npublished:\n  source: ", out);
    write_quoted(out, s->published_source);
    fputs("\n  rows:\n", out);
    for (int i = 0; i < s->published_count; i++) {
        const struct sweep_published *p = &s->published[i];
        const char *comma = p->which.conditions_count ? ", " : "";
        fputs("    - {", out);
        write_conditions(out, &p->which);
        if (p->label[0]) {
            fprintf(out, "%slabel: ", comma);
            write_quoted(out, p->label);
            comma = ", ";
        }
#define N(name)                                             \
    if (!isnan(p->name)) {                                  \
        fprintf(out, "%s" #name ": %.10g", comma, p->name); \
        comma = ", ";                                       \
    }
        PUBLISHED_NUMBERS(N)
#undef N
        fputs("}\n", out);
    }
}

static void write_lines(FILE *out, const char *key, const char *const *lines, int count)
{
    if (count)
        fprintf(out, "  %s:\n", key);
    for (int i = 0; i < count; i++) {
        fputs("    - ", out);
        write_quoted(out, lines[i]);
        fputc('\n', out);
    }
}

/* Settings by groups: `a.b` stands under `a`, and the rows of a group follow each other. */
static void write_settings(FILE *out, const struct sweep *s)
{
    char group[32] = "";

    for (int i = 0; i < SETTING_COUNT; i++) {
        const char *key = setting_info(i)->key, *dot = strchr(key, '.');
        if (!s->setting[i].text[0])
            continue;
        if (dot && strncmp(group, key, (size_t)(dot - key) + 1)) {
            snprintf(group, sizeof group, "%.*s", (int)(dot - key) + 1, key);
            fprintf(out, "%.*s:\n", (int)(dot - key), key);
        }
        fprintf(out, "%s%s: ", dot ? "  " : "", dot ? dot + 1 : key);
        write_quoted(out, s->setting[i].text);
        fputc('\n', out);
    }
    write_lines(out, "setup", s->setup, s->setup_count); /* the last group is slurm */
    write_lines(out, "additional", s->additional, s->additional_count);
}

int sweep_write(const struct sweep *s, char **yaml, err *e)
{
    size_t size;
    FILE *out = open_memstream(yaml, &size);

    if (!out) {
        *yaml = NULL;
        return err_errno(e, "sweep");
    }
    write_settings(out, s);
    fputs("\ntrial:\n", out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        fprintf(out, "  %s: ", option_info(i)->key);
        write_value(out, i, s->base.value[i]);
        fputc('\n', out);
    }
    write_axes(out, s);
    write_rules(out, s);
    write_published(out, s);
    if (fclose(out)) {
        free(*yaml);
        *yaml = NULL;
        return err_errno(e, "sweep");
    }
    return 0;
}
