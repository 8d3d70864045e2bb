/* slurm/script.c - see script.h. */
#include "slurm/script.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that are options of sbatch as they stand, when they are not empty. */
static const struct {
    enum setting setting;
    const char *option;
} plain_options[] = {
    {SETTING_SLURM_PARTITION, "partition"},   {SETTING_SLURM_ACCOUNT, "account"}, {SETTING_SLURM_QOS, "qos"},
    {SETTING_SLURM_CONSTRAINT, "constraint"}, {SETTING_SLURM_EXCLUDE, "exclude"}, {SETTING_SLURM_GRES, "gres"},
    {SETTING_SLURM_MAIL, "mail-user"},
};

/* Options of sbatch that slurm.additional may not set, and what to do instead. */
static const struct {
    const char *option, *instead;
} reserved[] = {
    {"partition", "use slurm.partition"},
    {"account", "use slurm.account"},
    {"qos", "use slurm.qos"},
    {"constraint", "use slurm.constraint"},
    {"exclude", "use slurm.exclude"},
    {"gres", "use slurm.gres"},
    {"mail-user", "use slurm.mail"},
    {"nodes", "use slurm.nodes"},
    {"ntasks", "use slurm.nodes and slurm.ranks_per_node"},
    {"ntasks-per-node", "use slurm.ranks_per_node"},
    {"cpus-per-task", "use slurm.cpus_per_rank"},
    {"mem", "use slurm.mem"},
    {"time", "use slurm.time"},
    {"job-name", "the sweep's name is the job's"},
    {"output", "the job's output goes to log/ in the output folder"},
    {"error", "the job's output goes to log/ in the output folder"},
    {"open-mode", "jobs that continue append to the log"},
    {"requeue", "the job requeues itself: see slurm.continue"},
    {"no-requeue", "the job requeues itself: see slurm.continue"},
    {"signal", "the job needs its own signal before the end"},
    {"array", "use sluice submit --array N"},
    {"wrap", "the script is given"},
    {"parsable", "sluice submit reads sbatch's answer"},
    {"quiet", "sluice submit reads sbatch's answer"},
    {"test-only", "use sluice submit --dry-run"},
    {"wait", "sluice watch shows how the sweep goes"},
    {"help", "it submits nothing"},
    {"usage", "it submits nothing"},
    {"version", "it submits nothing"},
};

/* ---- words ---- */

/* A word of a #SBATCH line. */
static void write_sbatch_word(FILE *out, const char *word)
{
    fputc('"', out);
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            fputc('\\', out);
        fputc(*word, out);
    }
    fputc('"', out);
}

/* A word of the shell: everything between single quotes is itself. */
static void write_shell_word(FILE *out, const char *word)
{
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

static void write_option(FILE *out, const char *option, const char *value)
{
    fprintf(out, "#SBATCH --%s=", option);
    write_sbatch_word(out, value);
    fputc('\n', out);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return true;
    return false;
}

/* ---- what the job asks for ---- */

/* A count, or 0 for auto. */
static int whole(const struct sweep *s, enum setting id, int *out, err *e)
{
    double x = s->setting[id].number;

    if (x != floor(x))
        return err_set(e, ERR_CONFIG, "%s is %s; it must be a whole number or auto", setting_info(id)->key,
                       s->setting[id].text);
    *out = (int)x;
    return 0;
}

int script_shape(const struct sweep *s, struct script_shape *out, err *e)
{
    int threads = 0;

    *out = (struct script_shape){.nodes = (int)s->setting[SETTING_SLURM_NODES].number,
                                 .seconds = s->setting[SETTING_SLURM_TIME].number};
    if (whole(s, SETTING_SLURM_RANKS_PER_NODE, &out->ranks_per_node, e) ||
        whole(s, SETTING_SLURM_CPUS_PER_RANK, &out->cpus_per_rank, e) ||
        whole(s, SETTING_RESOURCES_THREADS_PER_RANK, &threads, e))
        return e->code;
    if (!out->cpus_per_rank)
        out->cpus_per_rank = threads ? threads : 1;
    return 0;
}

/* --mem of a node: as given, or what its ranks may use and 1 GB for rank 0 and the launcher. */
static int write_memory(FILE *out, const struct sweep *s, const struct script_shape *shape, err *e)
{
    const char *mem = s->setting[SETTING_SLURM_MEM].text;
    double gb = s->setting[SETTING_RESOURCES_MEMORY_GB].number;
    size_t digits = strspn(mem, "0123456789");
    char text[32];

    if (*mem) {
        if (!digits || (mem[digits] && (!strchr("KMGT", mem[digits]) || mem[digits + 1])))
            return err_set(e, ERR_CONFIG, "slurm.mem is '%s'; it must be a number with K, M, G or T, such as 64G", mem);
        write_option(out, "mem", mem);
    } else if (!shape->ranks_per_node) {
        write_option(out, "mem", "0"); /* all that a node has */
    } else if (gb > 0) {
        snprintf(text, sizeof text, "%.0fM", ceil(1024 * (1 + gb * shape->ranks_per_node)));
        write_option(out, "mem", text);
    }
    return 0;
}

/* Seconds before the time limit at which SLURM sends the signal; it may come up to a minute earlier than that.  By then sluice
 * should have stopped by itself. */
static int notice(double limit)
{
    return limit > 0 && limit < 600 ? (int)fmax(10, limit / 30) : 20;
}

static void write_time(FILE *out, double seconds)
{
    long t = (long)seconds;
    char text[32];

    if (t <= 0)
        return;
    snprintf(text, sizeof text, "%ld-%02ld:%02ld:%02ld", t / 86400, t / 3600 % 24, t / 60 % 60, t % 60);
    write_option(out, "time", text);
}

/* The name in "--name" or "--name=value"; its length, 0 if the line is neither. */
static size_t option_name(const char *line)
{
    size_t n;

    if (strncmp(line, "--", 2) || line[2] == '-' || has_control(line))
        return 0;
    n = strspn(line + 2, "abcdefghijklmnopqrstuvwxyz-");
    return line[2 + n] && line[2 + n] != '=' ? 0 : n;
}

static int write_additional(FILE *out, const char *line, err *e)
{
    size_t n = option_name(line);

    if (!n)
        return err_set(e, ERR_CONFIG,
                       "slurm.additional: '%.60s' is no long option of sbatch; write --name or --name=value", line);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (!strncmp(reserved[i].option, line + 2, n)) /* sbatch takes abbreviations */
            return err_set(e, ERR_CONFIG, "slurm.additional: --%s cannot be set here: %s", reserved[i].option,
                           reserved[i].instead);
    fprintf(out, "#SBATCH --%.*s", (int)n, line + 2);
    if (line[2 + n]) {
        fputc('=', out);
        write_sbatch_word(out, line + 3 + n);
    }
    fputc('\n', out);
    return 0;
}

/* Where the job's output goes.  SLURM replaces %j and the like in it, and stops doing so at a backslash. */
static int write_log(FILE *out, const char *folder, bool array, err *e)
{
    if (has_control(folder) || strchr(folder, '\\'))
        return err_set(
            e, ERR_USAGE,
            "the output folder's name has a backslash or control character, which SLURM cannot use: choose --out");
    fputs("#SBATCH --output=\"", out);
    for (const char *p = folder; *p; p++)
        fputs(*p == '%' ? "%%" : *p == '"' ? "\\\"" : (char[]){*p, 0}, out);
    fputs(array ? "/log/slurm-%A_%a.log\"\n" : "/log/slurm-%j.log\"\n", out);
    return 0;
}

static int write_options(FILE *out, const struct sweep *s, const struct script_paths *paths,
                         const struct script_shape *shape, err *e)
{
    write_option(out, "job-name", s->setting[SETTING_NAME].text);
    if (write_log(out, paths->out, paths->array.shards, e))
        return e->code;
    fputs("#SBATCH --open-mode=append\n#SBATCH --requeue\n", out);
    if (paths->array.shards)
        fprintf(out, "#SBATCH --array=1-%d\n", paths->array.elements);
    fprintf(out, "#SBATCH --signal=B:USR1@%d\n", notice(shape->seconds));
    fprintf(out, "#SBATCH --nodes=%d\n", shape->nodes);
    if (shape->ranks_per_node)
        fprintf(out, "#SBATCH --ntasks-per-node=%d\n#SBATCH --cpus-per-task=%d\n", shape->ranks_per_node,
                shape->cpus_per_rank);
    else
        fputs("#SBATCH --exclusive\n", out);
    write_time(out, shape->seconds);
    for (size_t i = 0; i < sizeof plain_options / sizeof *plain_options; i++)
        if (*s->setting[plain_options[i].setting].text)
            write_option(out, plain_options[i].option, s->setting[plain_options[i].setting].text);
    if (*s->setting[SETTING_SLURM_MAIL].text)
        fputs("#SBATCH --mail-type=END,FAIL,REQUEUE\n", out);
    write_memory(out, s, shape, e);
    for (int i = 0; i < s->additional_count && !e->code; i++)
        write_additional(out, s->additional[i], e);
    return e->code;
}

/* ---- what the job does ---- */

/* mpirun fills a node with as many ranks as SLURM_TASKS_PER_NODE says, which for a job of whole nodes is one. */
static const char count_ranks[] =
    "ranks=0 tasks='' # as many as the cores of the nodes allow; SLURM says 36(x2),24\n"
    "IFS=, read -ra groups <<<\"${SLURM_JOB_CPUS_PER_NODE:-}\"\n"
    "for group in \"${groups[@]}\"; do\n"
    "    [[ $group =~ ^([0-9]+)(\\(x([0-9]+)\\))?$ ]] || continue\n"
    "    fit=$((BASH_REMATCH[1] < cpus ? 1 : BASH_REMATCH[1] / cpus)) nodes=${BASH_REMATCH[3]:-1}\n"
    "    ranks=$((ranks + fit * nodes)) tasks+=,$fit\"(x$nodes)\"\n"
    "done\n"
    "((ranks > 0)) || ranks=1\n"
    "[[ -z $tasks ]] || export SLURM_TASKS_PER_NODE=${tasks#,}\n";

static const char functions[] =
    "progressed() { # has a checkpoint, or a part of one, been written since the job began?\n"
    "    local out file\n"
    "    for out in \"${outs[@]}\"; do\n"
    "        for file in \"$out\"/checkpoints/*; do\n"
    "            [[ ! $file -nt $began ]] || return 0\n"
    "        done\n"
    "    done\n"
    "    return 1\n"
    "}\n"
    "\n"
    "child='' signals=0 last=''\n"
    "# shellcheck disable=SC2317 # the traps call it\n"
    "forward() { # a signal came: pass it on\n"
    "    signals=$((signals + 1))\n"
    "    [[ $last == TERM ]] || last=$1\n"
    "    [[ -z $child ]] || kill -s \"$1\" \"$child\" 2>/dev/null\n"
    "}\n"
    "trap 'forward USR1' USR1\n"
    "trap 'forward USR2' USR2\n"
    "trap 'forward TERM' TERM\n"
    "\n"
    "run() { # sluice run; sets status\n";

/* What starts the ranks: words before `sluice run` and behind it. */
static const struct {
    const char *before, *behind;
} launchers[] = {
    {"", " --ranks \"$ranks\""}, /* mpirun, which sluice run starts */
    /* srun, which is told of one rank more than there are tasks: rank 0 needs next to nothing. */
    {"export SLURM_MPI_TYPE=\"${SLURM_MPI_TYPE:-pmix}\"\n"
     "    unset SLURM_NTASKS_PER_NODE SLURM_CPUS_PER_TASK SLURM_NTASKS SLURM_NPROCS\n"
     "    srun --ntasks=\"$((ranks + 1))\" --overcommit --cpu-bind=none --kill-on-bad-exit=0 --wait=0 \\\n"
     "        ",
     ""},
};

static const char wait_for_it[] =
    "    child=$!\n"
    "    [[ -z $last ]] || kill -s \"$last\" \"$child\" 2>/dev/null\n"
    "    seen=-1\n"
    "    while ((seen != signals)); do # wait returns early when a signal comes\n"
    "        seen=$signals\n"
    "        wait \"$child\"\n"
    "        status=$?\n"
    "    done\n"
    "    child=''\n"
    "}\n"
    "\n"
    "incomplete() { # run again?  A crash counts too\n"
    "    ((status == 75 || status > 128))\n"
    "}\n"
    "\n"
    "cancelled() { # since the job began, sluice cancel has asked the run to stop, and is about to end the job\n"
    "    local out\n"
    "    for out in \"${outs[@]}\"; do\n"
    "        [[ ! $out/stop -nt $began ]] || return 0\n"
    "    done\n"
    "    return 1\n"
    "}\n"
    "\n";

/* Have the job run again. */
static const char again_requeue[] =
    "again() { # this job, once more; where that is forbidden, another one like it\n"
    "    scontrol requeue \"$job\" || [[ $last == TERM ]] || submit # it was being cancelled\n"
    "}\n\n";
static const char again_resubmit[] = "again() {\n"
                                     "    submit\n"
                                     "}\n\n";
static const char again_no[] = "again() {\n"
                               "    echo \"sluice: slurm.continue is no: sluice submit continues the sweep\"\n"
                               "}\n\n";
static const char submit_one[] = "submit() { # this job's successor\n"
                                 "    local answer\n"
                                 "    if answer=$(sbatch --parsable \"$root/job.sh\"); then\n";
static const char submit_element[] =
    "submit() { # this element's successor\n"
    "    local answer\n"
    "    if answer=$(sbatch --parsable --array=\"$SLURM_ARRAY_TASK_ID\" \"$root/job.sh\"); then\n";
static const char submit_end[] =
    "        echo \"${answer%%;*}\" >>\"$root/jobs\"\n"
    "        echo \"sluice: job ${answer%%;*} goes on\"\n"
    "    else\n"
    "        echo \"sluice: no other job can be submitted; sluice submit continues the sweep\"\n"
    "    fi\n"
    "}\n\n";

static const char run_one[] = "outs=(\"$root\")\n"
                              "run\n";
static const char run_shards[] = "outs=() worst=0\n"
                                 "for ((shard = SLURM_ARRAY_TASK_ID; shard <= shards; shard += elements)); do\n"
                                 "    outs+=(\"$root/shard-$shard-of-$shards\")\n"
                                 "    run --shard \"$shard/$shards\"\n"
                                 "    ! incomplete || break\n"
                                 "    ((status <= worst)) || worst=$status\n"
                                 "done\n"
                                 "incomplete || status=$worst\n";

static const char end[] =
    "\n"
    "if ! incomplete; then # it is finished, or cannot go on\n"
    "    rm -f \"$record\" \"$began\"\n"
    "    exit \"$status\"\n"
    "fi\n"
    "if cancelled; then\n"
    "    echo \"sluice: the run was cancelled; sluice submit continues the sweep\"\n"
    "    exit 75\n"
    "fi\n"
    "if [[ $last == TERM ]]; then\n"
    "    echo \"sluice: job $job was told to end; unless SLURM brings it back, sluice submit continues the sweep\"\n"
    "    exit 75\n"
    "fi\n"
    "fruitless=0\n"
    "if ! progressed; then\n"
    "    [[ -r $record ]] && read -r fruitless <\"$record\"\n"
    "    [[ $fruitless =~ ^[0-9]$ ]] || fruitless=0\n"
    "    fruitless=$((fruitless + 1))\n"
    "fi\n"
    "echo \"$fruitless\" >\"$record\"\n"
    "if ((fruitless >= most_fruitless)); then\n"
    "    rm -f \"$record\" \"$began\"\n"
    "    echo \"sluice: $fruitless jobs in a row have come no further; giving up.  A longer slurm.time may help.\"\n"
    "    exit 75\n"
    "fi\n"
    "echo \"sluice: job $job ends with status $status and work left\"\n"
    "again\n"
    "exit 75\n";

/* Who the job is, for SLURM and for its own records. */
static const char names_of_one[] = "job=$SLURM_JOB_ID\n"
                                   "record=$root/log/slurm-fruitless # how many jobs in a row have come no further\n";
static const char names_of_element[] =
    "job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\n"
    "record=$root/log/slurm-fruitless-$SLURM_ARRAY_TASK_ID # how many jobs in a row have come no further\n";

static void write_given(FILE *out, const struct sweep *s, const struct script_paths *paths)
{
    if (s->setup_count)
        fputs("\n# slurm.setup\n", out);
    for (int i = 0; i < s->setup_count; i++)
        fprintf(out, "%s\n", s->setup[i]);
    fputs("\nsluice=", out);
    write_shell_word(out, paths->program);
    fputs("\nroot=", out);
    write_shell_word(out, paths->out);
    fputs("\narguments=(\n    ", out);
    write_shell_word(out, paths->sweep);
    for (int i = 0; i < paths->overrides_count; i++) {
        fputs("\n    ", out);
        write_shell_word(out, paths->overrides[i]);
    }
    fputs("\n    --out \"$root\"\n)\n", out);
}

static void write_again(FILE *out, const struct sweep *s, bool array)
{
    static const char *const again[] = {again_requeue, again_resubmit, again_no}; /* as slurm.continue's choices */
    int how = (int)s->setting[SETTING_SLURM_CONTINUE].number;

    if (again[how] != again_no)
        fprintf(out, "%s%s", array ? submit_element : submit_one, submit_end);
    fputs(again[how], out);
}

static void write_body(FILE *out, const struct sweep *s, const struct script_paths *paths,
                       const struct script_shape *shape)
{
    int launcher = (int)s->setting[SETTING_SLURM_LAUNCHER].number; /* as its choices */
    bool array = paths->array.shards;

    fprintf(out, "\n# Written by `sluice submit`: %s of a sweep, which asks to be run again while work is left.\n",
            array ? "some shards" : "one job");
    write_given(out, s, paths);
    fprintf(out, "%sbegan=$record.began\nmost_fruitless=%d\n", array ? names_of_element : names_of_one,
            SCRIPT_FRUITLESS);
    if (array)
        fprintf(out, "shards=%d elements=%d # of the sweep, of the array\n", paths->array.shards,
                paths->array.elements);
    fprintf(out, "cpus=%d # of a rank\n", shape->cpus_per_rank);
    if (shape->ranks_per_node)
        fprintf(out, "ranks=%ld\n", (long)shape->nodes * shape->ranks_per_node);
    else
        fputs(count_ranks, out);
    fprintf(out, "\n%s", functions);
    fprintf(out, "    %s\"$sluice\" run \"${arguments[@]}\"%s%s --threads \"$cpus\" &\n%s", launchers[launcher].before,
            array ? " \"$@\"" : "", launchers[launcher].behind, wait_for_it);
    write_again(out, s, array);
    fprintf(out, "touch \"$began\"\n%s%s", array ? run_shards : run_one, end);
}

int script_render(const struct sweep *s, const struct script_paths *paths, char **text, err *e)
{
    struct script_shape shape;
    size_t size;
    FILE *out = open_memstream(text, &size);

    if (!out) {
        *text = NULL;
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    fputs("#!/bin/bash\n", out);
    if (!script_shape(s, &shape, e) && !write_options(out, s, paths, &shape, e))
        write_body(out, s, paths, &shape);
    if (fclose(out) && !e->code)
        err_set(e, ERR_NOMEM, "out of memory");
    if (e->code) {
        free(*text);
        *text = NULL;
    }
    return e->code;
}
