/* Job scripts: the golden ones, what bash and shellcheck say of them, what they do, and that no value gets out of its word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "slurm/estimate.h"
#include "slurm/jobs.h"
#include "slurm/process.h"
#include "slurm/remaining.h"
#include "slurm/script.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char here[2000]; /* the test's folder */

/* ---- what the tests share ---- */

static char *read_file(const char *path)
{
    FILE *in = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    if (in && getdelim(&text, &size, 0, in) < 0) {
        free(text);
        text = NULL;
    }
    if (in)
        fclose(in);
    return text;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *out;

    unlink(path);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static char *render(const char *yaml, const struct script_paths *paths, err *e)
{
    struct sweep sweep;
    char *text = NULL;

    if (!sweep_parse("x.yaml", ".", yaml, strlen(yaml), NULL, 0, &sweep, e))
        script_render(&sweep, paths, &text, e);
    sweep_free(&sweep);
    assert_true(!text == (e->code != 0));
    return text;
}

static const struct script_paths plain_paths = {
    "/opt/sluice/bin/sluice", "/home/ada/gates.yaml", "/home/ada/runs/gate ablation", NULL, 0, {0}};

/* ---- golden scripts ---- */

static const char *const three[] = {"seed=0,1", "slurm.time=4h", "dataset.name=it's"};

static const struct {
    const char *file, *yaml;
    struct script_paths paths;
} golden[] = {
    {"plain.sh",
     "name: gate-ablation\n",
     {"/opt/sluice/bin/sluice", "/home/ada/gates.yaml", "/home/ada/runs/gate-ablation", NULL, 0, {0}}},
    {"full.sh",
     "name: gate-ablation\n"
     "resources: {threads_per_rank: 2, memory_gb: 1.5}\n"
     "slurm:\n"
     "  {partition: cpu, account: lab, qos: long, constraint: \"avx512&ib\", exclude: \"node[1-3],node7\", gres: "
     "\"tmp:10G\",\n"
     "   nodes: 4, ranks_per_node: 8, time: 12:00:00, mail: ada@example.org, setup: [module load openmpi, export "
     "A=1],\n"
     "   additional: [--reservation=spring course, --nice=100, --spread-job]}\n",
     {"/opt/sluice/bin/sluice", "/home/ada/it's 100%/gates.yaml", "/home/ada/it's 100%/runs/gates", three, 3, {0}}},
    {"srun.sh",
     "name: short\nslurm: {launcher: srun, ranks_per_node: 4, cpus_per_rank: 3, mem: 64G, time: 90s, continue: no}\n",
     {"/opt/sluice/bin/sluice", "/home/ada/short.yaml", "/home/ada/runs/short", NULL, 0, {0}}},
    {"array.sh",
     "name: wide\nslurm: {ranks_per_node: 4, time: 8h, continue: resubmit}\n",
     {"/opt/sluice/bin/sluice",
      "/home/ada/wide.yaml",
      "/home/ada/runs/wide",
      NULL,
      0,
      {.shards = 250, .elements = 100}}},
    {"array-srun.sh",
     "name: wide\nslurm: {launcher: srun}\n",
     {"/opt/sluice/bin/sluice", "/home/ada/wide.yaml", "/home/ada/runs/wide", NULL, 0, {.shards = 3, .elements = 3}}},
};

static void test_golden(void **state)
{
    const char *other = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        err e = {0};
        char path[500], *text = render(golden[i].yaml, &golden[i].paths, &e), *expected;
        snprintf(path, sizeof path, SOURCE_DIR "/tests/slurm/golden/%s", golden[i].file);
        expected = read_file(path);
        if (e.code)
            fail_msg("%s: %s", golden[i].file, e.text);
        write_file(golden[i].file, text, 0644);
        if (!expected || strcmp(expected, text))
            other = golden[i].file;
        free(expected);
        free(text);
    }
    if (other)
        fail_msg("tests/slurm/golden/%s is another script than the one now in %s", other, here);
}

static void run_checker(const char *const *argv)
{
    char output[4000];
    int status;
    err e = {0};

    if (process_run(argv, 60, output, sizeof output, &status, &e) == ERR_MISSING) {
        print_message("%s is not installed: not checked with it\n", argv[0]);
        return;
    }
    assert_int_equal(e.code, 0);
    if (status || *output)
        fail_msg("%s %s: %s", argv[0], argv[1], output);
}

static void test_golden_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        char path[500];
        snprintf(path, sizeof path, SOURCE_DIR "/tests/slurm/golden/%s", golden[i].file);
        run_checker((const char *[]){"bash", "-n", path, NULL});
        run_checker((const char *[]){"shellcheck", path, NULL});
    }
}

/* ---- what cannot be rendered ---- */

static void test_refused(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"slurm: {ranks_per_node: 1.5}", "slurm.ranks_per_node is 1.5; it must be a whole number or auto"},
        {"slurm: {cpus_per_rank: 2.5}", "slurm.cpus_per_rank is 2.5; it must be a whole number or auto"},
        {"resources: {threads_per_rank: 1.25}",
         "resources.threads_per_rank is 1.25; it must be a whole number or auto"},
        {"slurm: {mem: lots}", "slurm.mem is 'lots'; it must be a number with K, M, G or T, such as 64G"},
        {"slurm: {mem: 64GB}", "slurm.mem is '64GB'; it must be a number with K, M, G or T, such as 64G"},
        {"slurm: {additional: [-p x]}",
         "slurm.additional: '-p x' is no long option of sbatch; write --name or --name=value"},
        {"slurm: {additional: [--]}",
         "slurm.additional: '--' is no long option of sbatch; write --name or --name=value"},
        {"slurm: {additional: [\"\"]}",
         "slurm.additional: '' is no long option of sbatch; write --name or --name=value"},
        {"slurm: {additional: [---x]}",
         "slurm.additional: '---x' is no long option of sbatch; write --name or --name=value"},
        {"slurm: {additional: [--nice 10]}",
         "slurm.additional: '--nice 10' is no long option of sbatch; write --name or --name=value"},
        {"slurm: {additional: [\"--comment=a\\tb\"]}",
         "slurm.additional: '--comment=a\tb' is no long option of sbatch; write --name or --name=value"},
        {"slurm: {additional: [--array=0-3]}",
         "slurm.additional: --array cannot be set here: use sluice submit --array N"},
        {"slurm: {additional: [--arr=0-3]}",
         "slurm.additional: --array cannot be set here: use sluice submit --array N"},
        {"slurm: {additional: [--no-requeue]}",
         "slurm.additional: --no-requeue cannot be set here: the job requeues itself: see slurm.continue"},
        {"slurm: {additional: [--time=1]}", "slurm.additional: --time cannot be set here: use slurm.time"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render(cases[i].yaml, &plain_paths, &e);
        assert_null(text);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_string_equal(e.text, cases[i].message);
    }
}

static void test_folders_that_slurm_cannot_log_to(void **state)
{
    static const char *const folders[] = {"/home/ada/a\\b", "/home/ada/a\nb", "/home/ada/\033[31m"};

    (void)state;
    for (size_t i = 0; i < COUNT(folders); i++) {
        struct script_paths paths = plain_paths;
        err e = {0};
        paths.out = folders[i];
        assert_null(render("name: x\n", &paths, &e));
        assert_int_equal(e.code, ERR_USAGE);
    }
}

/* sbatch splits its lines itself: between double quotes, a backslash keeps the next character (test_cluster.py asks it). */
static void test_quotes_for_sbatch(void **state)
{
    struct script_paths paths = plain_paths;
    err e = {0};
    char *text;

    (void)state;
    paths.out = "/home/ada/\"100%\"";
    text = render("slurm: {constraint: 'a\"b\\c', additional: ['--comment=\"x\" \\ y']}", &paths, &e);
    assert_non_null(text);
    assert_non_null(strstr(text, "\n#SBATCH --constraint=\"a\\\"b\\\\c\"\n"));
    assert_non_null(strstr(text, "\n#SBATCH --comment=\"\\\"x\\\" \\\\ y\"\n"));
    assert_non_null(strstr(text, "\n#SBATCH --output=\"/home/ada/\\\"100%%\\\"/log/slurm-%j.log\"\n"));
    free(text);
}

/* ---- nothing gets out of its word ---- */

/* Each would leave a file `pwned` behind if a shell read it as anything but a word. */
static const char *const payloads[] = {
    "x; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "\\'; touch pwned; \\'",
    "\\\"; touch pwned #",
    "x\\",
    "x\ntouch pwned",
    "\r\ntouch pwned\r\n",
    "x' 'y\" \"z",
    "${IFS}a[$(touch pwned)]",
    "*",
    "~root/$HOME",
    "--wrap=touch pwned",
    "a && touch pwned || touch pwned & touch pwned | touch pwned",
    "> pwned",
    "!touch\tpwned",
    "%j %% %x",
    "# touch pwned",
};

/* A text in double quotes for YAML, every byte that is not a letter or digit as an escape. */
static void yaml_text(char *to, const char *text)
{
    to += sprintf(to, "\"");
    for (; *text; text++)
        to += sprintf(to, "\\x%02X", (unsigned char)*text);
    sprintf(to, "\"");
}

/* The arguments of the last stub, each after the other with a line feed behind it and line feeds inside as \n. */
static const char stub_sluice[] = "#!/bin/bash\n"
                                  "printf '%s\\n' \"${@//$'\\n'/\\\\n}\" >\"$STUB_FOLDER/arguments\"\n"
                                  "echo \"$SLURM_TASKS_PER_NODE\" >\"$STUB_FOLDER/tasks\"\n"
                                  "exit \"${STUB_STATUS:-0}\"\n";

/* Run a script; its exit status.  Programs of SLURM are stubs in ./bin. */
static int run_script(const char *text)
{
    char output[4000];
    int status = -1;
    err e = {0};

    write_file("job.sh", text, 0644);
    process_run((const char *[]){"bash", "job.sh", NULL}, 60, output, sizeof output, &status, &e);
    if (e.code || status == 127 || status == 126)
        fail_msg("%s: %s", e.text, output);
    return status;
}

static void assert_not_pwned(const char *what)
{
    if (!access("pwned", F_OK) || !access("out/pwned", F_OK)) {
        unlink("pwned");
        fail_msg("%s was executed", what);
    }
}

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* One payload in every setting that takes it, each alone and all together: as many lines as with a plain word, each #SBATCH
 * line still one, and nothing executed. */
static void inject_settings(const char *payload)
{
    char quoted[500], line[700], all[8000] = "slurm:\n", plain[8000] = "slurm:\n", program[2100], out[2100], *text,
                                 *calm;
    struct script_paths paths = {program, "/home/ada/x.yaml", out, NULL, 0, {0}};
    int taken = 0;
    err e = {0};

    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    yaml_text(quoted, payload);
    for (int id = 0; id < SETTING_COUNT; id++) {
        const char *key = setting_info(id)->key;
        err refused = {0};
        char *alone, whole[800];
        if (strncmp(key, "slurm.", 6))
            continue;
        snprintf(line, sizeof line, "  %s: %s\n", key + 6, quoted);
        snprintf(whole, sizeof whole, "slurm:\n%s", line);
        alone = render(whole, &paths, &refused);
        free(alone);
        if (!alone) {
            assert_int_equal(refused.code, ERR_CONFIG);
            continue;
        }
        taken++;
        strcat(all, line);
        snprintf(line, sizeof line, "  %s: x\n", key + 6);
        strcat(plain, line);
    }
    if (!strpbrk(payload, "\r\n\t")) {
        assert_int_equal(taken, 7); /* all texts of slurm: but mem */
        snprintf(line, sizeof line, "  additional: [\"--comment=\\x%02X%.*s]\n", (unsigned char)*payload,
                 (int)strlen(quoted) - 5, quoted + 5);
        strcat(all, line);
        strcat(plain, "  additional: [--comment=x]\n");
        text = render(all, &paths, &e);
        calm = render(plain, &paths, &e);
        assert_int_equal(e.code, 0);
        assert_int_equal(count_lines(text), count_lines(calm));
        assert_int_equal(run_script(text), 0);
        assert_not_pwned(payload);
        free(text);
        free(calm);
    } else {
        assert_int_equal(taken, 0);
    }
}

static void test_settings_stay_in_their_word(void **state)
{
    (void)state;
    setenv("STUB_STATUS", "0", 1);
    for (size_t i = 0; i < COUNT(payloads); i++)
        inject_settings(payloads[i]);
}

/* The name of a sweep takes letters and digits only. */
static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(payloads); i++) {
        char quoted[500], yaml[600];
        err e = {0};
        yaml_text(quoted, payloads[i]);
        snprintf(yaml, sizeof yaml, "name: %s\n", quoted);
        assert_null(render(yaml, &plain_paths, &e));
        assert_int_equal(e.code, ERR_CONFIG);
    }
}

static void expect_line(const char **arguments, const char *expected)
{
    size_t n = strcspn(*arguments, "\n");
    char flat[4000], *to = flat;

    for (const char *p = expected; *p; p++)
        to += sprintf(to, *p == '\n' ? "\\n" : "%c", *p);
    if (strlen(flat) != n || memcmp(*arguments, flat, n))
        fail_msg("the program got '%.*s' in place of '%s'", (int)n, *arguments, flat);
    *arguments += n + 1;
}

/* Program, sweep, output folder and arguments reach the program as they are. */
static void test_paths_stay_in_their_word(void **state)
{
    (void)state;
    setenv("STUB_STATUS", "0", 1);
    for (size_t i = 0; i < COUNT(payloads); i++) {
        const char *const overrides[] = {payloads[i], "a=b"}, *left;
        char program[2100], sweep[2100], out[2100], *text, *arguments;
        struct script_paths paths = {program, sweep, out, overrides, 2, {0}};
        err e = {0};
        bool slash = strchr(payloads[i], '/');

        snprintf(program, sizeof program, "%s/%s", here, slash ? "sluice" : payloads[i]);
        snprintf(sweep, sizeof sweep, "/x/%s", payloads[i]);
        snprintf(out, sizeof out, "%s/out%s", here, strpbrk(payloads[i], "\n\r\t\\/") ? "" : payloads[i]);
        write_file(program, stub_sluice, 0755);
        unlink("arguments");
        text = render("name: x\nslurm: {ranks_per_node: 2, time: 1h}\n", &paths, &e);
        if (e.code)
            fail_msg("%s", e.text);
        assert_int_equal(run_script(text), 0);
        assert_not_pwned(payloads[i]);
        arguments = read_file("arguments");
        assert_non_null(arguments);
        left = arguments;
        expect_line(&left, "run");
        expect_line(&left, sweep);
        expect_line(&left, payloads[i]);
        expect_line(&left, "a=b");
        expect_line(&left, "--out");
        expect_line(&left, out);
        expect_line(&left, "--ranks");
        expect_line(&left, "2");
        expect_line(&left, "--threads");
        expect_line(&left, "1");
        assert_int_equal(*left, 0);
        if (!slash)
            unlink(program);
        free(arguments);
        free(text);
    }
    write_file("sluice", stub_sluice, 0755);
}

/* ---- what a job does in the end ---- */

/* Behaves as the environment says: writes files, sends a signal to the script, and leaves. */
static const char stub_working[] = "#!/bin/bash\n"
                                   "printf '%s\\n' \"$*\" >>\"$STUB_FOLDER/arguments\"\n"
                                   "if [[ $STUB_SIGNAL ]]; then\n"
                                   "    trap 'echo \"$STUB_SIGNAL\" >\"$STUB_FOLDER/got\"; exit 75' \"$STUB_SIGNAL\"\n"
                                   "    kill -s \"$STUB_SIGNAL\" \"$PPID\"\n"
                                   "    for i in {1..200}; do sleep 0.05; done\n"
                                   "    exit 99\n"
                                   "fi\n"
                                   "sleep 0.02 # clocks of file systems tick slowly\n"
                                   "[[ $STUB_FINISH ]] && touch \"$STUB_FOLDER/out/$STUB_FINISH\"\n"
                                   "[[ $STUB_STATUS == KILL ]] && kill -s KILL $$\n"
                                   "[[ ! $STUB_75_AT || $* != *\"$STUB_75_AT\"* ]] || exit 75\n"
                                   "exit \"$STUB_STATUS\"\n";

static void prepare_job(const char *record, const char *name)
{
    unlink("out/checkpoints/b.h5");
    unlink("out/checkpoints/b.h5.train.part");
    unlink("out/shard-2-of-5/checkpoints/b.h5");
    unlink("out/jobs");
    unlink("requeued");
    unlink("arguments");
    unlink("got");
    write_file("out/checkpoints/a.h5", "", 0644);
    write_file("out/stop", "", 0644); /* asked of a job before this one */
    if (*record)
        write_file(name, record, 0644);
    else
        unlink(name);
}

static void test_ends(void **state)
{
    static const struct {
        const char *what, *status, *finish, *signal, *record; /* record: of the jobs before */
        int expected;
        bool requeued;
        const char *left; /* the record behind it; NULL: none */
    } cases[] = {
        {"all done", "0", "checkpoints/b.h5", "", "1\n", 0, false, NULL},
        {"some failed", "1", "checkpoints/b.h5", "", "", 1, false, NULL},
        {"wrong file", "2", "", "", "", 2, false, NULL},
        {"damaged file", "3", "", "", "", 3, false, NULL},
        {"out of time, with a stage done", "75", "checkpoints/b.h5", "", "2\n", 75, true, "0\n"},
        {"out of time, within a stage", "75", "checkpoints/b.h5.train.part", "", "2\n", 75, true, "0\n"},
        {"out of time, without", "75", "", "", "", 75, true, "1\n"},
        {"again without", "75", "log/rank-0.log", "", "1\n", 75, true, "2\n"},
        {"the third time", "75", "", "", "2\n", 75, false, NULL},
        {"a record that is no number", "75", "", "", "a[$(touch pwned)]\n", 75, true, "1\n"},
        {"crashed, with progress", "KILL", "checkpoints/b.h5", "", "", 75, true, "0\n"},
        {"the signal before the end", "", "", "USR1", "", 75, true, "1\n"},
        {"the other signal", "", "", "USR2", "", 75, true, "1\n"},
        {"told to end", "", "", "TERM", "", 75, false, NULL},
        {"cancelled", "75", "stop", "", "1\n", 75, false, "1\n"},
    };
    char program[2100], out[2100];
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0, {0}};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    write_file("sluice", stub_working, 0755);
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render("slurm: {ranks_per_node: 1}\n", &paths, &e), *record, *asked, *got;

        prepare_job(cases[i].record, "out/log/slurm-fruitless");
        setenv("STUB_STATUS", cases[i].status, 1);
        setenv("STUB_FINISH", cases[i].finish, 1);
        setenv("STUB_SIGNAL", cases[i].signal, 1);
        if (run_script(text) != cases[i].expected)
            fail_msg("%s: another exit status", cases[i].what);
        asked = read_file("requeued");
        if (!asked != !cases[i].requeued || (asked && strcmp(asked, "scontrol requeue 17\n")))
            fail_msg("%s: requeued: %s", cases[i].what, asked ? asked : "no");
        record = read_file("out/log/slurm-fruitless");
        if (!record != !cases[i].left || (record && strcmp(record, cases[i].left)))
            if (strcmp(cases[i].record, record ? record : "")) /* told to end: left alone */
                fail_msg("%s: the record is %s", cases[i].what, record ? record : "not there");
        got = read_file("got");
        assert_true(!got == !*cases[i].signal);
        assert_not_pwned(cases[i].what);
        free(got);
        free(record);
        free(asked);
        free(text);
    }
    setenv("STUB_SIGNAL", "", 1);
    setenv("STUB_FINISH", "", 1);
    unlink("out/log/slurm-fruitless");
    write_file("sluice", stub_sluice, 0755);
}

/* How the sweep goes on, where the job may requeue itself and where it may not. */
static void test_another_job(void **state)
{
    static const struct {
        const char *yaml, *refuse; /* what SLURM refuses */
        const char *asked, *jobs;  /* what was asked of it, if not for a successor, which is then written down */
    } cases[] = {
        {"slurm: {ranks_per_node: 1}\n", "", "scontrol requeue 17\n", NULL},
        {"slurm: {ranks_per_node: 1}\n", "scontrol", "", "99\n"},
        {"slurm: {ranks_per_node: 1}\n", "scontrol sbatch", "", NULL},
        {"slurm: {ranks_per_node: 1}\n", "scontrol TERM", "", NULL}, /* the job is cancelled at that moment */
        {"slurm: {ranks_per_node: 1, continue: resubmit}\n", "", "", "99\n"},
        {"slurm: {ranks_per_node: 1, continue: no}\n", "", "", NULL},
    };
    char program[2100], out[2100];
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0, {0}};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    write_file("sluice", stub_working, 0755);
    setenv("STUB_STATUS", "75", 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render(cases[i].yaml, &paths, &e), *asked, *jobs, expected[2200];

        prepare_job("", "out/log/slurm-fruitless");
        setenv("STUB_REFUSE", cases[i].refuse, 1);
        assert_int_equal(run_script(text), 75);
        asked = read_file("requeued");
        jobs = read_file("out/jobs");
        snprintf(expected, sizeof expected, "sbatch --parsable %s/job.sh\n", out);
        if (strcmp(asked ? asked : "", cases[i].jobs ? expected : cases[i].asked))
            fail_msg("case %zu: asked: %s", i, asked ? asked : "nothing");
        if (!jobs != !cases[i].jobs || (jobs && strcmp(jobs, cases[i].jobs)))
            fail_msg("case %zu: written down: %s", i, jobs ? jobs : "nothing");
        free(jobs);
        free(asked);
        free(text);
    }
    setenv("STUB_REFUSE", "", 1);
    unlink("out/log/slurm-fruitless");
    write_file("sluice", stub_sluice, 0755);
}

/* Element 2 of an array of 2 for 5 shards has the shards 2 and 4. */
static void test_elements_of_an_array(void **state)
{
    static const struct {
        const char *what, *status, *at, *finish; /* at: the shard that is not finished */
        int expected;
        const char *shards, *asked, *left;
    } cases[] = {
        {"all done", "0", "", "", 0, "2/5 4/5 ", NULL, NULL},
        {"failed trials", "1", "", "", 1, "2/5 4/5 ", NULL, NULL},
        {"out of time in the first", "0", "2/5", "", 75, "2/5 ", "scontrol requeue 17_2\n", "1\n"},
        {"out of time in the second", "0", "4/5", "shard-2-of-5/checkpoints/b.h5", 75, "2/5 4/5 ",
         "scontrol requeue 17_2\n", "0\n"},
    };
    char program[2100], out[2100];
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0, {.shards = 5, .elements = 2}};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    write_file("sluice", stub_working, 0755);
    mkdir("out/shard-2-of-5", 0777);
    mkdir("out/shard-2-of-5/checkpoints", 0777);
    setenv("SLURM_ARRAY_JOB_ID", "17", 1);
    setenv("SLURM_ARRAY_TASK_ID", "2", 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render("slurm: {ranks_per_node: 1}\n", &paths, &e), *arguments, *asked, *record, shards[200] = "";

        prepare_job("", "out/log/slurm-fruitless-2");
        setenv("STUB_STATUS", cases[i].status, 1);
        setenv("STUB_75_AT", cases[i].at, 1);
        setenv("STUB_FINISH", cases[i].finish, 1);
        assert_int_equal(run_script(text), cases[i].expected);
        arguments = read_file("arguments");
        for (const char *p = arguments; p && (p = strstr(p, "--shard ")); p++)
            sprintf(shards + strlen(shards), "%.3s ", p + 8);
        assert_string_equal(shards, cases[i].shards);
        asked = read_file("requeued");
        if (!asked != !cases[i].asked || (asked && strcmp(asked, cases[i].asked)))
            fail_msg("%s: asked: %s", cases[i].what, asked ? asked : "nothing");
        record = read_file("out/log/slurm-fruitless-2");
        if (!record != !cases[i].left || (record && strcmp(record, cases[i].left)))
            fail_msg("%s: the record is %s", cases[i].what, record ? record : "not there");
        free(record);
        free(asked);
        free(arguments);
        free(text);
    }
    unsetenv("SLURM_ARRAY_JOB_ID");
    unsetenv("SLURM_ARRAY_TASK_ID");
    setenv("STUB_75_AT", "", 1);
    setenv("STUB_FINISH", "", 1);
    write_file("sluice", stub_sluice, 0755);
}

/* Whole nodes: the script counts ranks by what SLURM says of the nodes; and tells the program when the job must end. */
static void test_ranks_of_whole_nodes(void **state)
{
    static const struct {
        const char *cpus, *ranks;
        const char *tasks; /* of each node, for mpirun */
    } cases[] = {{"36", "12", "12(x1)"}, {"36(x2),24", "32", "12(x2),8(x1)"},
                 {"2", "1", "1(x1)"},    {"7(x3)", "6", "2(x3)"},
                 {"", "1", "as it was"}, {"a[$(touch pwned)]", "1", "as it was"}};
    char program[2100], out[2100], expected[100];
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0, {0}};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    setenv("STUB_STATUS", "0", 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render("slurm: {cpus_per_rank: 3}\n", &paths, &e), *arguments, *tasks;
        setenv("SLURM_JOB_CPUS_PER_NODE", cases[i].cpus, 1);
        setenv("SLURM_TASKS_PER_NODE", "as it was", 1);
        assert_int_equal(run_script(text), 0);
        arguments = read_file("arguments");
        snprintf(expected, sizeof expected, "\n--ranks\n%s\n--threads\n3\n", cases[i].ranks);
        if (!arguments || !strstr(arguments, expected))
            fail_msg("%s: %s", cases[i].cpus, arguments);
        tasks = read_file("tasks");
        if (!tasks || strncmp(tasks, cases[i].tasks, strlen(cases[i].tasks)))
            fail_msg("%s: tasks of the nodes: %s", cases[i].cpus, tasks);
        free(tasks);
        assert_not_pwned(cases[i].cpus);
        free(arguments);
        free(text);
    }
}

/* ---- what a job knows of its end ---- */

static void test_times(void **state)
{
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {{"0:00", 0},
                 {"12:34", 754},
                 {"1:02:03", 3723},
                 {"2-01:02:03", 176523},
                 {"UNLIMITED", -1},
                 {"INVALID", -1},
                 {"NOT_SET", -1},
                 {"", -1},
                 {"12", -1},
                 {"1:2:3:4", -1},
                 {"1-2:3", -1},
                 {"-1:02:03", -1},
                 {"1:02:03 ", -1},
                 {"1-", -1},
                 {"9999999999999:00", -1},
                 {"1-1-01:02:03", -1},
                 {"1:-2:03", -1}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (remaining_read(cases[i].text) != cases[i].seconds)
            fail_msg("'%s' is read as %g s", cases[i].text, remaining_read(cases[i].text));
}

static void test_end_time(void **state)
{
    double now = (double)time(NULL);

    (void)state;
    setenv("SLURM_JOB_ID", "17", 1);
    unsetenv("SLURM_JOB_END_TIME");
    setenv("STUB_LEFT", "1-00:10:00", 1);
    assert_in_range((long)(remaining_end() - now), 86400 + 599, 86400 + 605); /* squeue knows */
    setenv("STUB_LEFT", "UNLIMITED", 1);
    assert_true(remaining_end() == 0);
    setenv("SLURM_JOB_END_TIME", "1800000000", 1); /* SLURM says it itself */
    assert_true(remaining_end() == 1800000000);
    setenv("SLURM_JOB_END_TIME", "soon", 1);
    assert_true(remaining_end() == 0);
    unsetenv("SLURM_JOB_END_TIME");
    setenv("SLURM_JOB_ID", "17; touch pwned", 1);
    assert_true(remaining_end() == 0);
    unsetenv("SLURM_JOB_ID");
    setenv("STUB_LEFT", "10:00", 1);
    assert_true(remaining_end() == 0); /* no job */
    setenv("SLURM_JOB_ID", "17", 1);
}

/* ---- the jobs of a folder ---- */

static void show_jobs(char text[2000])
{
    FILE *out = fmemopen(memset(text, 0, 2000), 2000, "w");

    jobs_show("out", out);
    fclose(out);
}

static void test_jobs(void **state)
{
    static const char answer[] = "4711|PENDING|2:00:00|2026-11-22T05:10:03|Priority\n"
                                 "4712_[3-7%2]|PENDING|UNLIMITED|N/A|Resources, or | so\n"
                                 "4713|RUNNING|1:02:03|2026-11-22T05:10:03|None\n"
                                 "nonsense\n"
                                 "|||||\n";
    struct jobs jobs;
    char text[2000], *asked;
    int count;
    err e = {0};

    (void)state;
    unlink("out/jobs");
    assert_int_equal(jobs_read("out", &jobs, &e), 0);
    assert_int_equal(jobs.count, 0); /* and squeue was not asked */
    jobs_free(&jobs);
    assert_int_equal(jobs_record("out", "4711", &e), 0);
    assert_int_equal(jobs_record("out", "4712", &e), 0);
    write_file("extra", "#!/bin/bash\nprintf '%s\\n' '; touch pwned' '' 'x' >>out/jobs\n", 0755);
    assert_int_equal(system("./extra"), 0);
    assert_int_equal(jobs_record("out", "4713", &e), 0);
    setenv("STUB_ANSWER", answer, 1);
    assert_int_equal(jobs_read("out", &jobs, &e), 0);
    assert_int_equal(jobs.count, 3);
    assert_string_equal(jobs.list[1].reason, "Resources, or | so");
    assert_true(jobs.list[1].left < 0);
    assert_true(jobs.list[2].left == 3723);
    jobs_free(&jobs);
    asked = read_file("asked");
    assert_string_equal(asked, "squeue --noheader --format=%i|%T|%L|%S|%r --jobs=4711,4712,4713\n");
    free(asked);
    show_jobs(text);
    assert_string_equal(text, "job 4711 is pending (Priority), expected to start 2026-11-22T05:10:03\n"
                              "job 4712_[3-7%2] is pending (Resources, or | so)\n"
                              "job 4713 is running, 1:02:03 left\n");
    assert_int_equal(jobs_cancel("out", &count, &e), 0);
    assert_int_equal(count, 3);
    asked = read_file("asked");
    assert_string_equal(asked, "scancel --quiet 4711 4712 4713\n");
    free(asked);
    setenv("STUB_ANSWER", "", 1);
    setenv("STUB_REFUSE", "squeue", 1);
    setenv("STUB_COMPLAINT", "slurm_load_jobs error: Invalid job id specified", 1); /* SLURM has forgotten it */
    show_jobs(text);
    assert_string_equal(text, "");
    setenv("STUB_COMPLAINT", "slurm_load_jobs error: Unable to contact slurm controller", 1);
    show_jobs(text);
    assert_string_equal(text, "SLURM does not answer: slurm_load_jobs error: Unable to contact slurm controller\n");
    assert_int_equal(jobs_cancel("out", &count, &e), ERR_SYSTEM);
    setenv("STUB_REFUSE", "", 1);
    unlink("out/jobs");
}

/* ---- estimate and processes ---- */

static void test_estimate(void **state)
{
    const struct estimate sweep = {.left = 360000, .critical = 3600};
    struct script_shape shape = {.nodes = 2, .ranks_per_node = 5, .cpus_per_rank = 1, .seconds = 3600};
    const struct script_array whole = {0}, array = {.shards = 4, .elements = 4}, few = {.shards = 4, .elements = 2};
    const double share[] = {0.25, 0.25, 0.5, 0.25}; /* a quarter is done twice */
    struct job_estimate a = job_estimate_make(&sweep, &shape, 64, &whole, NULL), b;

    (void)state;
    assert_true(fabs(a.core_hours - 100) < 1e-6);
    assert_true(a.ranks == 10);
    assert_true(fabs(a.wall_seconds - 36000) < 1e-6); /* 100 core-hours on 10 ranks */
    assert_true(a.jobs == 10);
    b = job_estimate_make(&sweep, &shape, 64, &array, share);
    assert_true(fabs(b.core_hours - 125) < 1e-6);
    assert_true(fabs(b.wall_seconds - 18000) < 1e-6); /* the third, half of the work */
    assert_true(b.jobs == 5);
    b = job_estimate_make(&sweep, &shape, 64, &few, share);
    assert_true(fabs(b.core_hours - 125) < 1e-6);
    assert_true(fabs(b.wall_seconds - 27000) < 1e-6); /* the first and the third, one after the other */
    shape = (struct script_shape){.nodes = 1, .ranks_per_node = 0, .cpus_per_rank = 2, .seconds = 0};
    b = job_estimate_make(&sweep, &shape, 65, &whole, NULL); /* 32 ranks of 2 cores */
    assert_true(b.ranks == 32);
    assert_true(fabs(b.wall_seconds - 360000.0 / 64) < 1e-6);
    assert_true(b.jobs == 0);
    shape = (struct script_shape){.nodes = 1000, .ranks_per_node = 1000, .cpus_per_rank = 1, .seconds = 60};
    b = job_estimate_make(&sweep, &shape, 1, &whole, NULL);
    assert_true(fabs(b.wall_seconds - 3600) < 1e-6); /* never faster than the longest chain */
}

static void test_process(void **state)
{
    char output[8];
    int status;
    err e = {0};

    (void)state;
    assert_int_equal(process_run((const char *[]){"bash", "-c", "echo a; echo b >&2; exit 7", NULL}, 60, output,
                                 sizeof output, &status, &e),
                     0);
    assert_string_equal(output, "a\nb\n");
    assert_int_equal(status, 7);
    process_run((const char *[]){"bash", "-c", "printf %0100000d 1; kill -TERM $$", NULL}, 60, output, sizeof output,
                &status, &e);
    assert_string_equal(output, "0000000"); /* cut, and the program could say it all */
    assert_int_equal(status, 128 + 15);
    assert_int_equal(process_run((const char *[]){"no-such-program", NULL}, 60, output, sizeof output, &status, &e),
                     ERR_MISSING);
    assert_non_null(strstr(e.text, "no-such-program"));
    e = (err){0};
    assert_int_equal(process_run((const char *[]){"bash", "-c", "echo a; sleep 60 & wait", NULL}, 0.3, output,
                                 sizeof output, &status, &e),
                     ERR_SYSTEM);
    assert_string_equal(output, "a\n");
    assert_non_null(strstr(e.text, "bash did not answer within 0.3 s"));
}

static int prepare(void **state)
{
    char path[4000];

    (void)state;
    if (!getcwd(here, sizeof here))
        return 1;
    mkdir("bin", 0777);
    mkdir("out", 0777);
    mkdir("out/log", 0777);
    mkdir("out/checkpoints", 0777);
    unlink("pwned");
    unlink("requeued");
    write_file("sluice", stub_sluice, 0755);
    write_file("bin/scontrol",
               "#!/bin/bash\n[[ $STUB_REFUSE == *TERM* ]] && kill -s TERM $PPID\n"
               "[[ $STUB_REFUSE == *scontrol* ]] && exit 1\necho \"scontrol $*\" >\"$STUB_FOLDER/requeued\"\n",
               0755);
    write_file("bin/sbatch",
               "#!/bin/bash\n[[ $STUB_REFUSE == *sbatch* ]] && exit 1\necho \"sbatch $*\" >\"$STUB_FOLDER/requeued\"\n"
               "echo '99;cluster'\n",
               0755);
    write_file("bin/squeue",
               "#!/bin/bash\necho \"squeue $*\" >\"$STUB_FOLDER/asked\"\n"
               "[[ $STUB_REFUSE == *squeue* ]] && { echo \"$STUB_COMPLAINT\"; exit 1; }\n"
               "if [[ $* == *--format=%L* ]]; then echo \"$STUB_LEFT\"; else printf %s \"$STUB_ANSWER\"; fi\n",
               0755);
    write_file("bin/scancel", "#!/bin/bash\necho \"scancel $*\" >\"$STUB_FOLDER/asked\"\n", 0755);
    snprintf(path, sizeof path, "%s/bin:/usr/bin:/bin", here);
    setenv("PATH", path, 1);
    setenv("TZ", "UTC", 1);
    setenv("STUB_FOLDER", here, 1);
    setenv("SLURM_JOB_ID", "17", 1);
    unsetenv("SLURM_JOB_END_TIME");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_golden_are_sound),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_folders_that_slurm_cannot_log_to),
        cmocka_unit_test(test_quotes_for_sbatch),
        cmocka_unit_test(test_settings_stay_in_their_word),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_paths_stay_in_their_word),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_another_job),
        cmocka_unit_test(test_elements_of_an_array),
        cmocka_unit_test(test_ranks_of_whole_nodes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_end_time),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_process),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
