/* worker/command_data.c - sluice data: a table of its verbs. */
#include "worker/command_data.h"

#include <stdio.h>
#include <string.h>

#include "worker/commands.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
#define V(verb, summary) {#verb, summary, data_##verb},
    DATA_VERBS(V)
#undef V
};

static void usage(FILE *to)
{
    fputs("usage: sluice data VERB [ARGUMENT ...]\n\n", to);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\nEach verb explains itself: sluice data VERB --help\n"
          "Example: sluice data import cifar100 ~/downloads/cifar-100-binary --as cifar100\n",
          to);
}

int command_data(int argc, char **argv)
{
    char name[40];

    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        usage(stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[1], verbs[i].name)) {
            snprintf(name, sizeof name, "sluice data %s", verbs[i].name);
            argv[1] = name; /* getopt's complaints begin with it */
            return verbs[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "sluice data: there is no verb '%s'; see sluice data --help\n", argv[1]);
    return 2;
}
