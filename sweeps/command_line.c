/* sweeps/command_line.c - see command_line.h. */
#include "sweeps/command_line.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_LETTER = 256 };

static int take_option(const struct command_line_option *o, err *e)
{
    char *end;

    if (o->flag)
        *o->flag = true;
    else if (o->text)
        *o->text = optarg;
    else if (*o->number = strtod(optarg, &end), end == optarg || *end || !(*o->number > 0 && *o->number < 1e9))
        return err_set(e, ERR_USAGE, "--%s needs a positive number, not '%s'", o->name, optarg);
    return 0;
}

int command_line_read(int argc, char **argv, const struct command_line_option *options, int count,
                      struct command_line *out, err *e)
{
    struct option list[COMMAND_LINE_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
    int letter;

    *out = (struct command_line){0};
    for (int i = 0; i < count; i++)
        list[1 + i] =
            (struct option){options[i].name, options[i].flag ? no_argument : required_argument, NULL, FIRST_LETTER + i};
    opterr = 0;
    optind = 1;
    while ((letter = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
        if (letter == '?')
            return err_set(e, ERR_USAGE, "cannot understand '%s'; see sluice %s --help", argv[optind - 1], argv[0]);
        if (letter == ':')
            return err_set(e, ERR_USAGE, "%s needs a value; see sluice %s --help", argv[optind - 1], argv[0]);
        if (letter == 'h')
            out->help = true;
        else if (take_option(&options[letter - FIRST_LETTER], e))
            return e->code;
    }
    if (out->help)
        return 0;
    if (optind == argc)
        return err_set(e, ERR_USAGE, "which sweep?  See sluice %s --help", argv[0]);
    out->sweep = argv[optind];
    out->overrides = (const char *const *)argv + optind + 1;
    out->overrides_count = argc - optind - 1;
    return 0;
}

int command_line_complain(const char *verb, const struct sweep *sweep, const err *e)
{
    for (int i = 0; i < sweep->problems_count; i++)
        fprintf(stderr, "sluice %s: %s\n", verb, sweep->problems[i]);
    if (!sweep->problems_count)
        fprintf(stderr, "sluice %s: %s\n", verb, e->text);
    return err_exit_status(e->code);
}

const char *command_line_duration(double seconds, char text[32])
{
    if (seconds < 100)
        snprintf(text, 32, "%.2g s", seconds);
    else if (seconds < 6000)
        snprintf(text, 32, "%.0f min", seconds / 60);
    else if (seconds < 360000)
        snprintf(text, 32, "%.1f h", seconds / 3600);
    else
        snprintf(text, 32, "%.0f days", seconds / 86400);
    return text;
}
