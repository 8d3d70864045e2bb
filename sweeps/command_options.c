/* sweeps/command_options.c - `sluice options`: what a trial can be told. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "sweeps/commands.h"
#include "sweeps/options_page.h"
#include "sweeps/settings.h"
#include "sweeps/stage.h"

static const char help[] =
    "usage: sluice options [KEY] [--json | --markdown]\n"
    "\n"
    "Lists every option of a trial and every setting of a sweep with its default and meaning; with\n"
    "KEY, everything about one of them, or about a group such as `prompt`.\n"
    "\n"
    "  --json       as JSON\n"
    "  --markdown   as the page docs/options.md\n"
    "\n"
    "example: sluice options gate.activation\n";

static bool in_group(const char *key, const char *group)
{
    size_t n = group ? strlen(group) : 0;

    return !group || !strcmp(key, group) || (!strncmp(key, group, n) && key[n] == '.');
}

static void print_readers(enum option_id id)
{
    int n = 0;

    printf("  read by   ");
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (option_in_key(kind, id))
            printf("%s%s", n++ ? ", " : "", stage_kind_name(kind));
    puts(n ? "" : strcmp(option_info(id)->reads, "*") ? "no stage" : "any stage; it cannot change a result");
}

/* One option or setting, whole; how many there were. */
static int print_details(const char *key)
{
    char rule[300];
    int n = 0;

    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_info *o = option_info(id);
        if (!in_group(o->key, key))
            continue;
        option_rule(id, rule, sizeof rule);
        printf("%s%s: %s\n  type      %s\n  default   %s\n  must be   %s%s%s\n", n++ ? "\n" : "", o->key, o->help,
               option_type_name(o->type), o->initial, rule, o->unit[0] ? "; in " : "", o->unit);
        print_readers(id);
    }
    for (int id = 0; id < SETTING_COUNT; id++) {
        const struct setting_info *s = setting_info(id);
        if (!in_group(s->key, key))
            continue;
        setting_rule(id, rule, sizeof rule);
        printf("%s%s: %s\n  default   %s\n  must be   %s\n", n++ ? "\n" : "", s->key, s->help, s->initial, rule);
    }
    return n;
}

static void print_list(void)
{
    for (int id = 0; id < OPTION_COUNT; id++)
        printf("%-24s %-14s %s\n", option_info(id)->key, option_info(id)->initial, option_info(id)->help);
    puts("\nSettings of a sweep:\n");
    for (int id = 0; id < SETTING_COUNT; id++)
        printf("%-27s %-11s %s\n", setting_info(id)->key, setting_info(id)->initial, setting_info(id)->help);
}

static json_t *json_option(enum option_id id)
{
    const struct option_info *o = option_info(id);
    json_t *readers = json_array();
    char rule[300];

    option_rule(id, rule, sizeof rule);
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (option_in_key(kind, id))
            json_array_append_new(readers, json_string(stage_kind_name(kind)));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "key", o->key, "type", option_type_name(o->type), "default",
                     o->initial, "must_be", rule, "unit", o->unit, "meaning", o->help, "read_by", readers);
}

/* How many rows there were. */
static int print_json(const char *key)
{
    json_t *options = json_array(), *settings = json_array(), *root;
    int n;

    for (int id = 0; id < OPTION_COUNT; id++)
        if (in_group(option_info(id)->key, key))
            json_array_append_new(options, json_option(id));
    for (int id = 0; id < SETTING_COUNT; id++) {
        const struct setting_info *s = setting_info(id);
        char rule[300];
        setting_rule(id, rule, sizeof rule);
        if (in_group(s->key, key))
            json_array_append_new(settings, json_pack("{s:s, s:s, s:s, s:s}", "key", s->key, "default", s->initial,
                                                      "must_be", rule, "meaning", s->help));
    }
    n = (int)(json_array_size(options) + json_array_size(settings));
    root = json_pack("{s:o, s:o}", "options", options, "settings", settings);
    if (n)
        json_dumpf(root, stdout, JSON_INDENT(2));
    if (n)
        putchar('\n');
    json_decref(root);
    return n;
}

static int unknown(const char *key)
{
    const char *near = option_nearest_key(key);

    fprintf(stderr, "sluice options: there is no option '%s'%s%s%s\n", key,
            near ? "; did you mean '" : "; sluice options lists them all", near ? near : "", near ? "'?" : "");
    return 2;
}

int command_options(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'}, {"markdown", no_argument, NULL, 'm'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *key;
    bool json = false, markdown = false;
    int c;

    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (c == '?') {
            fprintf(stderr, "sluice options: cannot understand '%s'; see sluice options --help\n", argv[optind - 1]);
            return 2;
        }
        json |= c == 'j';
        markdown |= c == 'm';
    }
    key = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc) {
        fprintf(stderr, "sluice options: one KEY at a time; see sluice options --help\n");
        return 2;
    }
    if (markdown)
        options_page_write(stdout);
    else if (!json && !key)
        print_list();
    else if (!(json ? print_json(key) : print_details(key)))
        return unknown(key);
    return 0;
}
