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
#include <unistd.h>

#include "slurm/estimate.h"
#include "slurm/process.h"
#include "slurm/script.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char here[2000]; /* the test's folder */

/* ---- helpers ---- */

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

static const struct script_paths plain_paths = {"/opt/sluice/bin/sluice", "/home/ada/gates.yaml",
                                                "/home/ada/runs/gate ablation", NULL, 0};

/* ---- golden scripts ---- */

static const char *const three[] = {"seed=0,1", "slurm.time=4h", "dataset.name=it's"};

static const struct {
    const char *file, *yaml;
    struct script_paths paths;
} golden[] = {
    {"plain.sh",
     "name: gate-ablation\n",
     {"/opt/sluice/bin/sluice", "/home/ada/gates.yaml", "/home/ada/runs/gate-ablation", NULL, 0}},
    {"full.sh",
     "name: gate-ablation\n"
     "resources: {threads_per_rank: 2, memory_gb: 1.5}\n"
     "slurm:\n"
     "  {partition: cpu, account: lab, qos: long, constraint: \"avx512&ib\", exclude: \"node[1-3],node7\", gres: "
     "\"tmp:10G\",\n"
     "   nodes: 4, ranks_per_node: 8, time: 12:00:00, mail: ada@example.org, setup: [module load openmpi, export "
     "A=1],\n"
     "   additional: [--reservation=spring course, --nice=100, --spread-job]}\n",
     {"/opt/sluice/bin/sluice", "/home/ada/it's 100%/gates.yaml", "/home/ada/it's 100%/runs/gates", three, 3}},
    {"srun.sh",
     "name: short\nslurm: {launcher: srun, ranks_per_node: 4, cpus_per_rank: 3, mem: 64G, time: 90s}\n",
     {"/opt/sluice/bin/sluice", "/home/ada/short.yaml", "/home/ada/runs/short", NULL, 0}},
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
         "slurm.additional: --array cannot be set here: one job runs the whole sweep"},
        {"slurm: {additional: [--arr=0-3]}",
         "slurm.additional: --array cannot be set here: one job runs the whole sweep"},
        {"slurm: {additional: [--no-requeue]}",
         "slurm.additional: --no-requeue cannot be set here: the job requeues itself"},
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
    struct script_paths paths = {program, "/home/ada/x.yaml", out, NULL, 0};
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
        struct script_paths paths = {program, sweep, out, overrides, 2};
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

/* Behaves as the environment says: finishes stages, sends a signal to the script, and leaves. */
static const char stub_working[] = "#!/bin/bash\n"
                                   "if [[ $STUB_SIGNAL ]]; then\n"
                                   "    trap 'echo \"$STUB_SIGNAL\" >\"$STUB_FOLDER/got\"; exit 75' \"$STUB_SIGNAL\"\n"
                                   "    kill -s \"$STUB_SIGNAL\" \"$PPID\"\n"
                                   "    for i in {1..200}; do sleep 0.05; done\n"
                                   "    exit 99\n"
                                   "fi\n"
                                   "[[ $STUB_FINISH ]] && touch \"$STUB_FOLDER/out/checkpoints/$STUB_FINISH.h5\"\n"
                                   "[[ $STUB_STOP ]] && touch \"$STUB_FOLDER/out/stop\"\n"
                                   "[[ $STUB_STATUS == KILL ]] && kill -s KILL $$\n"
                                   "exit \"$STUB_STATUS\"\n";

static void test_ends(void **state)
{
    static const struct {
        const char *what, *status, *finish, *signal, *stop, *record; /* record: of the jobs before */
        int expected;
        bool requeued;
        const char *left; /* the record behind it; NULL: none */
    } cases[] = {
        {"all done", "0", "b", "", "", "1\n", 0, false, NULL},
        {"some failed", "1", "b", "", "", "", 1, false, NULL},
        {"wrong file", "2", "", "", "", "", 2, false, NULL},
        {"damaged file", "3", "", "", "", "", 3, false, NULL},
        {"out of time, with progress", "75", "b", "", "", "2\n", 75, true, "0\n"},
        {"out of time, without", "75", "", "", "", "", 75, true, "1\n"},
        {"again without", "75", "", "", "", "1\n", 75, true, "2\n"},
        {"the third time", "75", "", "", "", "2\n", 75, false, NULL},
        {"a record that is no number", "75", "", "", "", "a[$(touch pwned)]\n", 75, true, "1\n"},
        {"crashed, with progress", "KILL", "b", "", "", "", 75, true, "0\n"},
        {"cancelled", "75", "b", "", "yes", "", 75, false, NULL},
        {"the signal before the end", "", "", "USR1", "", "", 75, true, "1\n"},
        {"the other signal", "", "", "USR2", "", "", 75, true, "1\n"},
        {"told to end", "", "", "TERM", "", "", 75, false, NULL},
    };
    char program[2100], out[2100];
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    write_file("sluice", stub_working, 0755);
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render("slurm: {ranks_per_node: 1}\n", &paths, &e), *record, *asked, *got;

        unlink("out/checkpoints/b.h5");
        unlink("out/stop");
        unlink("requeued");
        unlink("got");
        write_file("out/checkpoints/a.h5", "", 0644);
        if (*cases[i].record)
            write_file("out/log/slurm-fruitless", cases[i].record, 0644);
        else
            unlink("out/log/slurm-fruitless");
        setenv("STUB_STATUS", cases[i].status, 1);
        setenv("STUB_FINISH", cases[i].finish, 1);
        setenv("STUB_SIGNAL", cases[i].signal, 1);
        setenv("STUB_STOP", cases[i].stop, 1);
        if (run_script(text) != cases[i].expected)
            fail_msg("%s: another exit status", cases[i].what);
        asked = read_file("requeued");
        if (!asked != !cases[i].requeued || (asked && strcmp(asked, "requeue 17\n")))
            fail_msg("%s: requeued: %s", cases[i].what, asked ? asked : "no");
        record = read_file("out/log/slurm-fruitless");
        if (!record != !cases[i].left || (record && strcmp(record, cases[i].left)))
            if (strcmp(cases[i].record, record ? record : "")) /* told to end or cancelled: left alone */
                fail_msg("%s: the record is %s", cases[i].what, record ? record : "not there");
        got = read_file("got");
        assert_true(!got == !*cases[i].signal);
        assert_not_pwned(cases[i].what);
        free(got);
        free(record);
        free(asked);
        free(text);
    }
    unlink("out/stop");
    unlink("out/log/slurm-fruitless");
    write_file("sluice", stub_sluice, 0755);
}

/* Whole nodes: the script counts ranks by what SLURM says of the nodes; and tells the program when the job must end. */
static void test_ranks_of_whole_nodes(void **state)
{
    static const struct {
        const char *cpus, *ranks;
    } cases[] = {{"36", "12"}, {"36(x2),24", "32"}, {"2", "1"}, {"7(x3)", "6"}, {"", "1"}, {"a[$(touch pwned)]", "1"}};
    char program[2100], out[2100], expected[100];
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    setenv("STUB_STATUS", "0", 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        err e = {0};
        char *text = render("slurm: {cpus_per_rank: 3}\n", &paths, &e), *arguments;
        setenv("SLURM_JOB_CPUS_PER_NODE", cases[i].cpus, 1);
        assert_int_equal(run_script(text), 0);
        arguments = read_file("arguments");
        snprintf(expected, sizeof expected, "\n--ranks\n%s\n--threads\n3\n", cases[i].ranks);
        if (!arguments || !strstr(arguments, expected))
            fail_msg("%s: %s", cases[i].cpus, arguments);
        assert_not_pwned(cases[i].cpus);
        free(arguments);
        free(text);
    }
}

static void test_end_time(void **state)
{
    char program[2100], out[2100], *text, *end;
    struct script_paths paths = {program, "/x.yaml", out, NULL, 0};
    err e = {0};

    (void)state;
    snprintf(program, sizeof program, "%s/sluice", here);
    snprintf(out, sizeof out, "%s/out", here);
    write_file("sluice", "#!/bin/bash\necho \"$SLURM_JOB_END_TIME\" >end\n", 0755);
    text = render("slurm: {ranks_per_node: 1}\n", &paths, &e);
    assert_int_equal(run_script(text), 0); /* the stub of squeue knows */
    end = read_file("end");
    assert_string_equal(end, "1700000000\n");
    free(end);
    setenv("SLURM_JOB_END_TIME", "1800000000", 1); /* SLURM says it itself */
    assert_int_equal(run_script(text), 0);
    end = read_file("end");
    assert_string_equal(end, "1800000000\n");
    unsetenv("SLURM_JOB_END_TIME");
    free(end);
    write_file("bin/squeue", "#!/bin/bash\necho N/A\n", 0755);
    assert_int_equal(run_script(text), 0);
    end = read_file("end");
    assert_string_equal(end, "\n");
    free(end);
    free(text);
    write_file("sluice", stub_sluice, 0755);
}

/* ---- estimate and processes ---- */

static void test_estimate(void **state)
{
    const struct plan plan = {.work = 3600e12, .critical = 36e12};
    struct script_shape shape = {.nodes = 2, .ranks_per_node = 5, .cpus_per_rank = 1, .seconds = 3600};
    struct estimate a = estimate_make(&plan, &shape, 10, 64), b;

    (void)state;
    assert_true(fabs(a.core_hours - 100) < 1e-6);
    assert_true(a.ranks == 10);
    assert_true(fabs(a.wall_seconds - 36000) < 1e-6); /* 100 core-hours on 10 ranks */
    assert_true(a.jobs == 10);
    shape = (struct script_shape){.nodes = 1, .ranks_per_node = 0, .cpus_per_rank = 2, .seconds = 0};
    b = estimate_make(&plan, &shape, 10, 65); /* 32 ranks of 2 cores */
    assert_true(b.ranks == 32);
    assert_true(fabs(b.wall_seconds - 360000.0 / 64) < 1e-6);
    assert_true(b.jobs == 0);
    shape = (struct script_shape){.nodes = 1000, .ranks_per_node = 1000, .cpus_per_rank = 1, .seconds = 60};
    b = estimate_make(&plan, &shape, 10, 1);
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
    write_file("bin/scontrol", "#!/bin/bash\necho \"$@\" >\"$STUB_FOLDER/requeued\"\n", 0755);
    write_file("bin/squeue", "#!/bin/bash\n[[ $* == '--noheader --job=17 --format=%e' ]] && echo 2023-11-14T22:13:20\n",
               0755);
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
        cmocka_unit_test(test_ranks_of_whole_nodes),
        cmocka_unit_test(test_end_time),
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_process),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
