/* tests/storm/same.c - a sweep that really trains gives the same rows and checkpoints with 1, 2 and 4 workers, and when each trial
 * is run by itself, so that nothing is shared.
 *
 *   same SLUICE */
#include <stdio.h>
#include <stdlib.h>

#include "runs.h"

static const char sweep[] = "name: same\n"
                            "trial:\n"
                            "  method: norga\n"
                            "  backbone: vit-micro\n"
                            "  dataset: {name: fashion-mnist, tasks: 2, train_per_class: 4, test_per_class: 4}\n"
                            "  prompt: {length: 4, layers: 0-1}\n"
                            "  train: {epochs: 1, batch: 8}\n"
                            "grid:\n"
                            "  gate.activation: [tanh, sigmoid]\n";

enum { GATES = 2 };
static const char *const gates[GATES] = {"tanh", "sigmoid"};

/* Run it into an empty folder; true if it went well and `differs` finds nothing against the first run. */
static bool agrees(const char *arguments, const char *out, int workers,
                   const char *(*differs)(const char *out, const char *first))
{
    const char *difference = "it failed";
    char words[300];

    snprintf(words, sizeof words, "/bin/rm -rf %s", out);
    runs_wait(runs_start_words(words, "rm.txt"), 10);
    if (!runs_wait(runs_start(arguments, out, workers, 60), 300))
        difference = differs ? differs(out, "workers2") : "";
    printf("%s: %s\n", out, *difference ? difference : "the same");
    return !*difference;
}

int main(int argc, char **argv)
{
    bool good;
    FILE *out;

    if (argc != 2)
        return 2;
    runs_use(argv[1]);
    if (!(out = fopen("same.yaml", "w")) || fputs(sweep, out) < 0 || fclose(out))
        return 1;
    good = agrees("same.yaml", "workers2", 2, NULL) && agrees("same.yaml", "workers1", 1, runs_difference) &&
           agrees("same.yaml", "workers4", 4, runs_difference);
    for (int i = 0; i < GATES && good; i++) {
        char arguments[100];

        snprintf(arguments, sizeof arguments, "same.yaml gate.activation=%s", gates[i]);
        good = agrees(arguments, gates[i], 2, runs_missing);
    }
    return !good;
}
