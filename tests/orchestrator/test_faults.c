/* What goes wrong in whole runs, one thing at a time, and what must come of it: fake_sluice through mpirun, the real protocol and
 * the real ledger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/early_stop.h"
#include "orchestrator/study.h"
#include "runs.h"

static const char small[] = "grid:\n  gate.activation: [tanh, sigmoid]\n  seed: 0..1\n";

static void clean(const char *name)
{
    char words[300];

    snprintf(words, sizeof words, "/bin/rm -rf %s", name);
    assert_int_equal(runs_wait(runs_start_words(words, "rm.txt"), 10), 0);
}

static void assert_same(const char *a, const char *b)
{
    const char *difference = runs_difference(a, b);

    if (*difference)
        fail_msg("%s and %s: %s", a, b, difference);
}

static void assert_says(const char *file, const char *words)
{
    if (!strstr(runs_output(file), words))
        fail_msg("'%s' is not in %s: %s", words, file, runs_output(file));
}

/* Run a command of the program on a folder; its exit status. */
static int command(const char *words)
{
    char all[8000];

    snprintf(all, sizeof all, "%s %s", runs_program(), words);
    return runs_wait(runs_start_words(all, "command.txt"), 30);
}

/* Begin a run and stop it, by one signal or another, when so many stages are finished. */
static void begin(const char *sweep, const char *out, int workers, int finished)
{
    static const int signals[] = {SIGUSR1, SIGTERM, SIGUSR2, SIGINT};
    static size_t next;
    pid_t run;

    clean(out);
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    run = runs_start(sweep, out, workers, 5);
    assert_true(runs_wait_finished(out, finished));
    kill(run, signals[next++ % (sizeof signals / sizeof *signals)]);
    assert_int_equal(runs_wait(run, 10), 75);
    setenv("FAKE_SECONDS", "0.01", 1);
}

static int prepare(void **state)
{
    (void)state;
    setenv("FAKE_SECONDS", "0.01", 1);
    runs_write_sweep("small.yaml", "small", 2, small);
    clean("calm");
    return runs_run("small.yaml", "calm", 2);
}

/* ------------------------------------------------------------------------------------------------ stages and ranks */

/* One bad trial among twenty: twenty results, one failure with its cause, and no rank lost. */
static void test_poison_among_twenty(void **state)
{
    static const struct {
        const char *seed, *cause;
    } poisons[] = {
        {"9001", "signal: the trainer was ended by signal 11"},
        {"9003", "hang: no sign of life from the trainer for 5 s"},
        {"9004", "memory: the trainer used"},
        {"9005", "diverged: the loss is not finite"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof poisons / sizeof *poisons; i++) {
        char lines[300];

        snprintf(lines, sizeof lines,
                 "grid:\n  seeds.init: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, %s, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]\n"
                 "resources: {memory_gb: %s}\nretry: {attempts: 2}\n",
                 poisons[i].seed, RUNS_SLOWNESS > 1 ? "2" : "0.3"); /* sanitizers need some for themselves */
        runs_write_sweep("poison.yaml", "poison", 1, lines);
        clean("poison");
        assert_int_equal(runs_wait(runs_start("poison.yaml", "poison", 2, RUNS_SLOWNESS > 1 ? 12 : 5), 60), 1);
        assert_says("poison.txt", "20 of 21 trials are done, 1 failed");
        if (RUNS_SLOWNESS == 1)
            assert_says("poison.txt", poisons[i].cause);
        assert_null(strstr(runs_output("poison/log/rank-0.log"), "leases are free again"));
        assert_int_equal(command("status poison"), 0);
        assert_says("command.txt", "21: 20 done, 0 running, 1 failed, 0 pruned");
        assert_says("command.txt", "1 set aside");
    }
    assert_int_equal(runs_run("poison.yaml", "poison", 2), 1); /* at once: nothing is left to run */
    assert_says("poison.txt", "nothing is left to run");
}

/* A rank on which everything fails gets no more work, which `status` shows, and costs nothing but time. */
static void test_a_bad_rank_is_benched(void **state)
{
    double end = runs_clock() + 30 * RUNS_SLOWNESS;
    bool seen = false;
    pid_t run;

    (void)state;
    clean("bench");
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    setenv("FAKE_BAD_RANK", "1", 1);
    run = runs_start("small.yaml", "bench", 3, 5);
    while (!seen && runs_clock() < end && command("status bench") >= 0)
        seen = strstr(runs_output("command.txt"), "benched") != NULL;
    assert_int_equal(runs_wait(run, 60), 0);
    unsetenv("FAKE_BAD_RANK");
    setenv("FAKE_SECONDS", "0.01", 1);
    assert_true(seen);
    assert_same("bench", "calm");
}

/* ------------------------------------------------------------------------------------------------ files */

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    fputc(c ^ 0x10, f);
    assert_int_equal(fclose(f), 0);
}

/* A bit of the ledger is wrong: refused with the offset, and `verify` names the way out, after which what was lost is run
 * again. */
static void test_damaged_ledger(void **state)
{
    (void)state;
    clean("damaged");
    assert_int_equal(runs_wait(runs_start_words("/bin/cp -a calm damaged", "cp.txt"), 10), 0);
    flip("damaged/ledger", 3000);
    assert_int_equal(runs_run("small.yaml", "damaged", 2), 3);
    assert_says("damaged.txt", "damaged/ledger: offset ");
    assert_says("damaged.txt", "does not agree with its checksum");
    assert_int_equal(command("verify damaged"), 3);
    assert_says("command.txt", "verify DIR --salvage");
    assert_int_equal(command("verify damaged --salvage"), 3); /* results.h5 has more than the ledger now */
    assert_says("command.txt", "bytes lost in 1 places");
    assert_int_equal(runs_run("small.yaml", "damaged", 2), 0);
    assert_int_equal(command("verify damaged"), 0);
    assert_says("command.txt", "all is well");
    assert_same("damaged", "calm");
}

/* Checkpoints rot while nobody looks: what needs them says so, they are made again, and nothing is computed from them. */
static void test_rotten_checkpoints(void **state)
{
    const char *difference;
    glob_t found;

    (void)state;
    begin("small.yaml", "rotten", 2, 8);
    assert_int_equal(glob("rotten/checkpoints/*.h5", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat st;

        assert_int_equal(stat(found.gl_pathv[i], &st), 0);
        for (long at = st.st_size / 4; at < st.st_size && i % 2; at += 64)
            flip(found.gl_pathv[i], at);
    }
    globfree(&found);
    assert_int_equal(runs_run("small.yaml", "rotten", 2), 0);
    if (*(difference = runs_missing("rotten", "calm"))) /* those that nothing needs any more stay rotten */
        fail_msg("%s", difference);
    assert_non_null(strstr(runs_output("rotten/log/rank-0.log"), "is run again: "));
}

/* The output folder goes away under the run, and comes back. */
static void test_vanished_folder(void **state)
{
    pid_t run;

    (void)state;
    clean("vanished");
    clean("away");
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    run = runs_start("small.yaml", "vanished", 2, 5);
    assert_true(runs_wait_finished("vanished", 3));
    assert_int_equal(rename("vanished", "away"), 0);
    assert_int_equal(runs_wait(run, 20), 75);
    assert_says("vanished.txt", "vanished");
    assert_int_equal(access("vanished", F_OK), -1); /* not begun anew in its place */
    assert_int_equal(rename("away", "vanished"), 0);
    setenv("FAKE_SECONDS", "0.01", 1);
    assert_int_equal(runs_run("small.yaml", "vanished", 2), 0);
    assert_same("vanished", "calm");
}

/* ------------------------------------------------------------------------------------------------ sharing */

/* Each trial by itself, in a folder of its own, gives what it gave in the sweep that shares its stages. */
static void test_sharing_changes_nothing(void **state)
{
    static const char *const gates[] = {"tanh", "sigmoid"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char name[32], words[200];
        const char *difference;

        snprintf(name, sizeof name, "single%d", i);
        snprintf(words, sizeof words, "small.yaml gate.activation=%s seed=%d", gates[i / 2], i % 2);
        clean(name);
        assert_int_equal(runs_run(words, name, 1 + i % 2), 0);
        if (*(difference = runs_missing(name, "calm")))
            fail_msg("trial %d by itself: %s", i, difference);
    }
}

/* ------------------------------------------------------------------------------------------------ early stopping */

struct replay {
    struct study *study;
    struct history history;
    early_stop *rule;
    bool *failed;
    int pruned;
};

/* Every PRUNED fact must be what the rule says of the facts before it. */
static int judge_again(void *context, const struct ledger_record *record, err *e)
{
    struct replay *r = context;
    struct history after = {0};
    int before = r->history.pruned_count;

    if (record->type == FACT_PRUNED) {
        history_apply(&after, record->type, record->payload, record->n, e);
        for (int t = 0; t < r->study->plan.trials_count; t++) {
            struct early_stop_verdict v;

            if (!digest_equal(&r->study->plan.key[r->study->plan.trials[t].stage], &after.pruned[0].trial))
                continue;
            v = early_stop_judge(r->rule, t, &r->history, r->failed);
            assert_int_equal(v.goal, -1);
            assert_int_equal(v.after_task, after.pruned[0].after_task);
            assert_string_equal(v.why, after.pruned[0].why);
            r->pruned++;
        }
    }
    history_free(&after);
    history_apply(&r->history, record->type, record->payload, record->n, e);
    assert_true(r->history.pruned_count >= before);
    return e->code;
}

static int assert_verdicts_follow(const char *out)
{
    struct ledger_summary summary;
    struct replay r = {0};
    struct study s;
    err e = {0};

    assert_int_equal(study_from_folder(out, &s, &e), 0);
    assert_int_equal(early_stop_create(&s.plan, &r.rule, &e), 0);
    r.study = &s;
    r.failed = calloc((size_t)s.plan.trials_count, sizeof *r.failed);
    assert_int_equal(ledger_replay(s.folder.ledger, judge_again, &r, &summary, &e), 0);
    for (int t = 0; t < s.plan.trials_count; t++) /* and in the end no trial waits for a verdict */
        assert_true(s.standing.trial[t] == TRIAL_DONE || s.standing.trial[t] == TRIAL_PRUNED);
    history_free(&r.history);
    early_stop_free(r.rule);
    free(r.failed);
    study_close(&s);
    return r.pruned;
}

/* Each rule, interrupted and continued with another number of workers: its verdicts follow from the ledger alone, and those of
 * the rules that look at no order are the same for any number of workers. */
static void test_early_stopping(void **state)
{
    static const struct {
        const char *name, *lines;
        bool same;
    } rules[] = {
        {"halving", "rule: halving, reduction: 2, min_tasks: 1", true},
        {"floor", "rule: floor, floor: 75, min_tasks: 1", true},
        {"asha", "rule: asha, reduction: 2, min_tasks: 1", false},
        {"median", "rule: median, min_tasks: 1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char lines[200];
        int pruned;

        snprintf(lines, sizeof lines, "grid:\n  prompt.length: [5, 6, 7, 8, 9, 10]\nearly_stop: {%s}\n",
                 rules[i].lines);
        runs_write_sweep("early.yaml", "early", 3, lines);
        begin("early.yaml", "early", 3, 10);
        assert_int_equal(runs_run("early.yaml", "early", 1), 0);
        pruned = assert_verdicts_follow("early");
        if (!pruned)
            fail_msg("%s pruned nothing", rules[i].name);
        if (rules[i].same) {
            clean("early2");
            assert_int_equal(runs_run("early.yaml", "early2", 2), 0);
            assert_says("early2.txt", "were stopped early");
            assert_same("early", "early2");
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_poison_among_twenty), cmocka_unit_test(test_a_bad_rank_is_benched),
        cmocka_unit_test(test_damaged_ledger),      cmocka_unit_test(test_rotten_checkpoints),
        cmocka_unit_test(test_vanished_folder),     cmocka_unit_test(test_sharing_changes_nothing),
        cmocka_unit_test(test_early_stopping),
    };

    if (argc != 2)
        return 2;
    runs_prepare(argv[1]);
    return cmocka_run_group_tests(tests, prepare, NULL);
}
