/* sweeps/options_page.c - see options_page.h. */
#include "sweeps/options_page.h"

#include <string.h>

#include "sweeps/methods.h"
#include "sweeps/settings.h"
#include "sweeps/stage.h"

/* A bar would end a cell of a table. */
static void write_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputs(", ", out);
        else
            fputc(*text, out);
    }
}

static void write_readers(FILE *out, enum option_id id)
{
    int n = 0;

    if (!strcmp(option_info(id)->reads, "*"))
        fputs("any, without a part in keys", out);
    else
        for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
            if (option_in_key(kind, id))
                fprintf(out, "%s%s", n++ ? ", " : "", stage_kind_name(kind));
}

static void write_options(FILE *out)
{
    fputs("| option | default | values | unit | meaning | read by |\n| --- | --- | --- | --- | --- | --- |\n", out);
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_info *o = option_info(id);
        char rule[300];
        option_rule(id, rule, sizeof rule);
        fprintf(out, "| `%s` | `%s` | ", o->key, o->initial);
        write_cell(out, rule);
        fprintf(out, " | %s | ", o->unit);
        write_cell(out, o->help);
        fputs(" | ", out);
        write_readers(out, id);
        fputs(" |\n", out);
    }
}

static void write_settings(FILE *out)
{
    fputs("| setting | default | values | meaning |\n| --- | --- | --- | --- |\n", out);
    for (int id = 0; id < SETTING_COUNT; id++) {
        const struct setting_info *s = setting_info(id);
        char rule[300];
        setting_rule(id, rule, sizeof rule);
        fprintf(out, "| `%s` | %s%s%s | ", s->key, s->initial[0] ? "`" : "", s->initial, s->initial[0] ? "`" : "");
        write_cell(out, rule);
        fputs(" | ", out);
        write_cell(out, s->help);
        fputs(" |\n", out);
    }
    fputs("| `slurm.setup` | | a list of lines | shell commands before the program, such as `module load openmpi` |\n"
          "| `slurm.additional` | | a list of lines | more options of sbatch, such as `--reservation=course` |\n",
          out);
}

static void write_need(FILE *out, const struct need *need)
{
    static const char *const tasks[] = {[NEED_WHOLE] = "",
                                        [NEED_SAME] = "(t)",
                                        [NEED_PREVIOUS] = "(t-1)",
                                        [NEED_BEFORE] = "(0..t-1)",
                                        [NEED_UP_TO] = "(0..t)"};

    fprintf(out, "%s%s%s", stage_kind_name(need->of), tasks[need->tasks],
            need->fc_norm_only ? " with `feature.norm: fc_norm`" : "");
}

static void write_stages(FILE *out)
{
    fputs("| stage | version | what it does | needs |\n| --- | --- | --- | --- |\n", out);
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        int n = 0;
        fprintf(out, "| %s%s | %d | %s | ", stage_kind_name(kind), stage_kind_has_tasks(kind) ? "(t)" : "",
                stage_kind_version(kind), stage_kind_meaning(kind));
        for (int i = 0; i < stage_needs_count; i++) {
            if (stage_needs[i].kind != (enum stage_kind)kind)
                continue;
            fputs(n++ ? ", " : "", out);
            write_need(out, &stage_needs[i]);
        }
        fputs(" |\n", out);
    }
}

void options_page_write(FILE *out)
{
    fputs(
        "# Options, settings, stages\n\n"
        "Written by `sluice options --markdown` from the tables in `sweeps/options.h` and `sweeps/settings.h`; do not "
        "edit.\n\n"
        "## Options of a trial\n\n"
        "They stand under `trial`, `grid`, `zip`, `random`, `include`, `exclude` and `when` of a sweep file, nested "
        "(`prompt: {length: 5}`)\nor dotted (`prompt.length: 5`), and on the command line (`prompt.length=5`). The "
        "last "
        "column names the stages whose\nresult depends on the option: trials that differ only in options that a stage "
        "does not read share that stage.\n\n",
        out);
    write_options(out);
    fputs("\n## Settings of a sweep\n\nThey change no result.\n\n", out);
    write_settings(out);
    fputs("\n## Stages\n\nA trial is a chain of stages for each task t; it is known by the key of its last one.\n\n",
          out);
    write_stages(out);
}
