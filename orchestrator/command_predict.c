/* orchestrator/command_predict.c - `sluice predict`: what a trained learner says about every image of a data set. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "orchestrator/commands.h"
#include "orchestrator/study.h"
#include "sweeps/methods.h"
#include "worker/console.h"
#include "worker/predict.h"

static const char help[] =
    "usage: sluice predict DIR TRIAL --data NAME[:train|:test] --out FILE.h5 [--per-class N] [--threads N]\n"
    "       sluice predict DIR/checkpoints/KEY.h5 --data NAME[:train|:test] --out FILE.h5 ...\n"
    "\n"
    "Lets a trained learner look at every image of a data set (by default its test images): a trial of a finished "
    "sweep,\n"
    "by number or first digits of its key, after its last task; or the learner of a tap, sequential or joint "
    "checkpoint,\n"
    "which may be one of an earlier task.  Checkpoints build on each other, so the file must lie in its output "
    "folder.\n"
    "\n"
    "FILE.h5 holds, one row for each image in file order: features, logits (of all classes), predicted_class, label, "
    "and\n"
    "inferred_task for methods that infer one; its attributes say which trial, which options and which images.\n"
    "\n"
    "  --per-class N   only the first N images of each class\n"
    "  --threads N     threads (default: all cores)\n"
    "\n"
    "example: sluice predict runs/quickstart 7 --data fashion-mnist:test --out predictions.h5\n";

static const char *const part_names[DATASET_PARTS] = {"train", "test"};

struct request {
    char folder[FOLDER_PATH];
    const char *trial; /* a word, or NULL: */
    struct digest key; /* of a checkpoint */
    char dataset[NAME_SIZE];
    struct predict_images images;
    const char *out;
};

/* "NAME", "NAME:train" or "NAME:test". */
static int read_data(const char *text, struct request *r, err *e)
{
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);

    r->images.part = colon && !strcmp(colon, ":train") ? DATASET_TRAIN : DATASET_TEST;
    if (!n || n >= sizeof r->dataset || (colon && strcmp(colon, ":train") && strcmp(colon, ":test")))
        return err_set(e, ERR_USAGE, "--data '%s' is not NAME, NAME:train or NAME:test", text);
    memcpy(r->dataset, text, n);
    r->images.dataset = r->dataset;
    return 0;
}

static int read_count(const char *text, const char *flag, int64_t *out, err *e)
{
    char *end;
    long long n = strtoll(text, &end, 10);

    if (end == text || *end || n < 1 || n > 1000000000)
        return err_set(e, ERR_USAGE, "%s '%s' is not a number from 1 to 1000000000", flag, text);
    *out = n;
    return 0;
}

/* DIR/checkpoints/KEY.h5 into folder and key. */
static int read_checkpoint_path(const char *path, struct request *r, err *e)
{
    char full[FOLDER_PATH], hex[DIGEST_HEX] = "", *slash, *up;

    if (!realpath(path, full))
        return err_errno(e, "%s", path);
    slash = strrchr(full, '/');
    if (strlen(slash + 1) == DIGEST_HEX - 1 + strlen(".h5"))
        memcpy(hex, slash + 1, DIGEST_HEX - 1);
    *slash = 0;
    up = strrchr(full, '/');
    if (!digest_from_hex(hex, &r->key) || !up || strcmp(up, "/checkpoints"))
        return err_set(
            e, ERR_USAGE,
            "%s is no checkpoint in an output folder: DIR/checkpoints/KEY.h5, with the checkpoints that it builds on "
            "beside it",
            path);
    *up = 0;
    snprintf(r->folder, sizeof r->folder, "%s", full);
    return 0;
}

static int read_place(char **words, int count, struct request *r, err *e)
{
    size_t n = count ? strlen(words[0]) : 0;

    if (count == 1 && n > 3 && !strcmp(words[0] + n - 3, ".h5"))
        return read_checkpoint_path(words[0], r, e);
    if (count != 2 || n >= sizeof r->folder)
        return err_set(e, ERR_USAGE, "give DIR and TRIAL, or a checkpoint; see sluice predict --help");
    snprintf(r->folder, sizeof r->folder, "%s", words[0]);
    r->trial = words[1];
    return 0;
}

static int read_arguments(int argc, char **argv, struct request *r, bool *helped, err *e)
{
    static const struct option options[] = {{"data", required_argument, NULL, 'd'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"per-class", required_argument, NULL, 'p'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int64_t threads;
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1 && !e->code)
        switch (c) {
        case 'd':
            read_data(optarg, r, e);
            break;
        case 'o':
            r->out = optarg;
            break;
        case 'p':
            read_count(optarg, "--per-class", &r->images.per_class, e);
            break;
        case 't':
            if (!read_count(optarg, "--threads", &threads, e))
                setenv("OMP_NUM_THREADS", optarg, 1);
            break;
        case 'h':
            *helped = true;
            return 0;
        default:
            return err_set(e, ERR_USAGE, "see sluice predict --help");
        }
    if (e->code || read_place(argv + optind, argc - optind, r, e))
        return e->code;
    if (!r->images.dataset || !r->out)
        return err_set(e, ERR_USAGE, "--data and --out are needed; see sluice predict --help");
    return 0;
}

/* The stage whose result is the learner. */
static int find_learner(const struct study *s, const struct request *r, int *stage, err *e)
{
    char hex[DIGEST_HEX];
    int trial;

    if (r->trial) {
        if (study_find_trial(s, r->trial, &trial, e))
            return e->code;
        *stage = s->plan.trials[trial].stage;
        if (!s->standing.finished[*stage])
            return err_set(e, ERR_USAGE, "trial %d is not finished; sluice why %s %d says how it stands", trial,
                           s->folder.root, trial);
        return 0;
    }
    *stage = plan_find_stage(&s->plan, &r->key);
    digest_to_hex(&r->key, hex);
    if (*stage < 0)
        return err_set(e, ERR_USAGE, "%s.h5 belongs to no trial of the sweep in %s", hex, s->folder.root);
    if (s->plan.kind[*stage] != STAGE_TAP && s->plan.kind[*stage] != STAGE_SEQUENTIAL &&
        s->plan.kind[*stage] != STAGE_JOINT)
        return err_set(e, ERR_USAGE,
                       "%s.h5 is of %s: no learner by itself.  Give a tap, sequential or joint checkpoint, or DIR "
                       "and TRIAL",
                       hex, stage_kind_name((enum stage_kind)s->plan.kind[*stage]));
    return 0;
}

/* The infer stage that a tap stage needs; -1 for other learners. */
static int infer_of(const struct plan *p, int stage)
{
    int needs[PLAN_MAX_NEEDS], n = plan_needs(p, stage, needs);

    for (int i = 0; i < n; i++)
        if (p->kind[stage] == STAGE_TAP && p->kind[needs[i]] == STAGE_INFER)
            return needs[i];
    return -1;
}

static int run(const struct study *s, int stage, const struct request *r, struct prediction *out, err *e)
{
    struct stage_job result = {0}, infer = {0};
    int prompts = infer_of(&s->plan, stage);
    struct console console;

    if (!plan_job(&s->plan, stage, s->folder.checkpoints, &result, e) &&
        (prompts < 0 || !plan_job(&s->plan, prompts, s->folder.checkpoints, &infer, e))) {
        console_open(&console, "predict");
        predict_run(&result, prompts < 0 ? NULL : &infer, &r->images, &console.host, out, e);
        console_close(&console);
    }
    stage_job_free(&result);
    stage_job_free(&infer);
    return e->code;
}

/* "key value" of every option that the trial's method reads, one a line; malloc'd. */
static char *options_text(const struct plan *plan, int trial)
{
    struct trial_config config;
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    if (!file)
        return NULL;
    plan_trial_config(plan, trial, &config);
    for (int id = 0; id < OPTION_COUNT; id++)
        if (id == OPTION_METHOD || method_reads(method_of(&config), (enum option_id)id))
            fprintf(file, "%s %s\n", option_info((enum option_id)id)->key,
                    option_format((enum option_id)id, config.value[id]));
    fclose(file);
    return text;
}

static int write_attributes(h5 *file, const struct study *s, int stage, const struct request *r, err *e)
{
    int trial = plan_example(&s->plan, stage);
    char key[DIGEST_HEX], *options = options_text(&s->plan, trial);

    digest_to_hex(&s->plan.key[stage], key);
    if (!options)
        err_set(e, ERR_NOMEM, "no memory for the options");
    else if (!h5_write_text(file, "sweep", s->sweep.setting[SETTING_NAME].text, e) &&
             !h5_write_number(file, "trial", trial, e) && !h5_write_text(file, "options", options, e) &&
             !h5_write_text(file, "checkpoint", key, e) &&
             !h5_write_number(file, "after_task", s->plan.task[stage], e) &&
             !h5_write_text(file, "dataset", r->dataset, e))
        h5_write_text(file, "part", part_names[r->images.part], e);
    free(options);
    return e->code;
}

static int write_file(const struct study *s, int stage, const struct request *r, const struct prediction *p, err *e)
{
    size_t n = p->n;
    h5 *file;

    if (h5_create(r->out, &file, e))
        return e->code;
    if (write_attributes(file, s, stage, r, e) ||
        h5_write(file, "features", H5_F32, 2, (size_t[]){n, (size_t)p->width}, p->features, true, e) ||
        h5_write(file, "logits", H5_F32, 2, (size_t[]){n, (size_t)p->classes}, p->logits, true, e) ||
        h5_write(file, "predicted_class", H5_I32, 1, &n, p->predicted, true, e) ||
        h5_write(file, "label", H5_I32, 1, &n, p->labels, true, e) ||
        (p->inferred && h5_write(file, "inferred_task", H5_I32, 1, &n, p->inferred, true, e))) {
        h5_close(file);
        return e->code;
    }
    return h5_commit(file, NULL, e);
}

static void tell(const struct study *s, int stage, const struct request *r, const struct prediction *p)
{
    size_t right = 0;
    char name[500];

    for (size_t i = 0; i < p->n; i++)
        right += p->predicted[i] == p->labels[i];
    study_trial_name(s, plan_example(&s->plan, stage), name, sizeof name);
    printf("%s: %zu %s images of %s, %.2f %% as labelled\npredictions: %s\n", name, p->n, part_names[r->images.part],
           r->dataset, 100.0 * (double)right / (double)(p->n ? p->n : 1), r->out);
}

int command_predict(int argc, char **argv)
{
    struct request r = {0};
    struct study s = {0};
    struct prediction p = {0};
    bool helped = false;
    int stage = -1;
    err e = {0};

    if (read_arguments(argc, argv, &r, &helped, &e) == 0 && helped) {
        fputs(help, stdout);
        return 0;
    }
    if (!e.code && !study_from_folder(r.folder, &s, &e) && !find_learner(&s, &r, &stage, &e) &&
        !run(&s, stage, &r, &p, &e) && !write_file(&s, stage, &r, &p, &e))
        tell(&s, stage, &r, &p);
    if (e.code)
        fprintf(stderr, "sluice predict: %s\n", e.text);
    prediction_free(&p);
    study_close(&s);
    return err_exit_status(e.code);
}
