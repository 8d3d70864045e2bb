/* orchestrator/arguments.c - see arguments.h. */
#include "orchestrator/arguments.h"

#include <getopt.h>
#include <stdio.h>

int arguments_fail(char **argv, const err *e)
{
    fprintf(stderr, "sluice %s: %s\n", argv[0], e->text);
    return err_exit_status(e->code);
}

bool arguments_read(int argc, char **argv, const char *help, const char *const *flags, struct arguments *out,
                    int *status)
{
    struct option options[FLAGS + 2] = {{"help", no_argument, NULL, 'h'}};
    int letter;
    err e = {0};

    *out = (struct arguments){0};
    *status = 0;
    for (int i = 0; i < FLAGS && flags[i]; i++)
        options[i + 1] = (struct option){flags[i], no_argument, NULL, 256 + i};
    optind = 1;
    while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (letter == 'h') {
            fputs(help, stdout);
            return false;
        }
        if (letter == '?') {
            err_set(&e, ERR_USAGE, "see sluice %s --help", argv[0]);
            *status = arguments_fail(argv, &e);
            return false;
        }
        out->flag[letter - 256] = true;
    }
    if (optind == argc) {
        err_set(&e, ERR_USAGE, "which output folder?  See sluice %s --help", argv[0]);
        *status = arguments_fail(argv, &e);
        return false;
    }
    out->folder = argv[optind];
    out->rest = (const char *const *)argv + optind + 1;
    out->rest_count = argc - optind - 1;
    return true;
}
