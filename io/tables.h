/* io/tables.h - the tidy tables of a sweep, each field named once.
 *
 * A table is a list of fields; its C row, its HDF5 compound type, its JSON form in messages and ledger, and its columns in
 * exports are loops over that list (struct field).  Names are those of docs/interface.md section 4.
 *
 * F(kind, name, unit, help), kinds:
 *   INT   int64_t            REAL  double, NaN when it does not apply     KEY   a digest, 32 hexadecimal digits
 *   NAME  text up to 63 bytes                                             TEXT  text up to 255 bytes
 * `stage_*` rows are what a stage produces; the trial number is added when the tables are materialised. */
#ifndef IO_TABLES_H
#define IO_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum { NAME_SIZE = 64, TEXT_SIZE = 256, KEY_SIZE = 33 };

/* What a trial is judged by; how each is computed: orchestrator/metrics.h.  Fields of /trials. */
#define METRIC_FIELDS(F)                                                                                       \
    F(REAL, faa, "%", "final average accuracy: mean over all tasks after the last one")                        \
    F(REAL, caa, "%", "cumulative average accuracy: mean of the average accuracies after each task")           \
    F(REAL, ffm, "%", "final forgetting measure: mean drop of the earlier tasks from their best")              \
    F(REAL, bwt, "%", "backward transfer: mean change of the earlier tasks since each was learned")            \
    F(REAL, tii_accuracy, "%", "test images whose inferred task is right, after the last task")                \
    F(REAL, faa_before, "%", "faa of the accuracies before the alignment of the head")                         \
    F(REAL, caa_before, "%", "caa of the accuracies before the alignment of the head")                         \
    F(REAL, ffm_before, "%", "ffm of the accuracies before the alignment of the head")                         \
    F(REAL, bwt_before, "%", "bwt of the accuracies before the alignment of the head")                         \
    F(REAL, tii_before, "%", "tii_accuracy of the last task's inference before its alignment, without a vote") \
    F(REAL, tii_sample, "%", "the same after its alignment: tii_accuracy, where batches do not vote")

/* /trials: one trial.  In results.h5 the options that the sweep varies stand between seed and faa (io/store.h). */
#define TRIAL_FIELDS(F)                                                                                     \
    F(INT, trial, "", "number of the trial in the sweep, counted from 0")                                   \
    F(KEY, key, "", "hash of everything the trial's result depends on")                                     \
    F(NAME, status, "", "waiting, running, done, failed or pruned")                                         \
    F(NAME, method, "", "how the trial learns")                                                             \
    F(NAME, dataset, "", "the data set")                                                                    \
    F(NAME, backbone, "", "the frozen Vision Transformer")                                                  \
    F(INT, seed, "", "seed of everything random that has no seed of its own")                               \
    METRIC_FIELDS(F)                                                                                        \
    F(REAL, seconds, "s", "wall time of the trial's stages, each counted in full")                          \
    F(REAL, core_seconds, "s", "wall time times cores of the trial's stages, each shared among its trials") \
    F(INT, attempts, "", "attempts at the trial's stages")                                                  \
    F(INT, trainable_parameters, "", "numbers that the trial trains")                                       \
    F(TEXT, cause, "", "why it failed, empty otherwise")                                                    \
    F(TEXT, unused, "", "varied options that nothing in this trial reads, separated by commas")

/* /options: the value of one option of one trial. */
#define OPTION_FIELDS(F)                                          \
    F(INT, trial, "", "number of the trial")                      \
    F(NAME, option, "", "the option's key, as in the sweep file") \
    F(TEXT, value, "", "its value as text")

/* /accuracy: one evaluation of one task's test set. */
#define ACCURACY_FIELDS(F)                                                                                     \
    F(INT, after_task, "", "the evaluation took place after this task was learned, counted from 0")            \
    F(INT, task, "", "the task whose test images were evaluated, counted from 0")                              \
    F(NAME, phase, "", "before or after the alignment of the head; tii-before, tii-after: of the TII learner") \
    F(REAL, accuracy, "%", "test images whose class is right")                                                 \
    F(REAL, tii_accuracy, "%", "test images whose inferred task is right; NaN for methods that infer none")    \
    F(REAL, loss, "nat", "mean cross-entropy of the test images over all classes")                             \
    F(INT, images, "", "test images evaluated")

/* /training: one epoch of one stage. */
#define TRAINING_FIELDS(F)                                                                         \
    F(NAME, stage, "", "the kind of stage: tii, wtp, tap, ...")                                    \
    F(INT, task, "", "the task being learned, counted from 0")                                     \
    F(NAME, phase, "", "train (on images) or align (on drawn features)")                           \
    F(INT, epoch, "", "counted from 0")                                                            \
    F(REAL, loss, "nat", "mean training loss of the epoch")                                        \
    F(REAL, accuracy, "%", "training images whose class was right, among the classes of the task") \
    F(REAL, lr, "", "learning rate of the epoch, of the first parameter group")                    \
    F(REAL, seconds, "s", "wall time of the epoch")                                                \
    F(REAL, images_per_second, "1/s", "training images per second")

/* /attempts: one try at a stage. */
#define ATTEMPT_FIELDS(F)                                       \
    F(KEY, stage_key, "", "the stage")                          \
    F(NAME, kind, "", "features, tii, wtp, infer, tap, ...")    \
    F(INT, attempt, "", "counted from 1")                       \
    F(INT, rank, "", "the MPI rank that ran it")                \
    F(NAME, host, "", "the host of that rank")                  \
    F(REAL, started, "s", "seconds since 1970-01-01 00:00 UTC") \
    F(REAL, seconds, "s", "wall time")                          \
    F(NAME, outcome, "", "done, failed, lost or interrupted")   \
    F(TEXT, cause, "", "why it did not end well, empty otherwise")

/* /stages: one stage of the plan that has been finished. */
#define STAGE_FIELDS(F)                                                                          \
    F(KEY, stage_key, "", "hash of everything the stage's result depends on")                    \
    F(NAME, kind, "", "features, tii, wtp, infer, tap, ...")                                     \
    F(INT, task, "", "the task of the stage, counted from 0; -1 for a stage of the whole trial") \
    F(INT, shared_by, "", "trials that use it")                                                  \
    F(REAL, seconds, "s", "wall time of the attempt that finished it")                           \
    F(TEXT, checkpoint, "", "its file under checkpoints/")                                       \
    F(KEY, digest, "", "digest of the checkpoint's content")

enum field_kind { FIELD_INT, FIELD_REAL, FIELD_NAME, FIELD_TEXT, FIELD_KEY };

struct field {
    enum field_kind kind;
    const char *name, *unit, *help;
    size_t offset; /* in the row structure */
};

struct table {
    const char *name; /* the data set: "accuracy" */
    const struct field *fields;
    int count;
    size_t row_size;
};

#define FIELD_INT_C(name)         int64_t name;
#define FIELD_REAL_C(name)        double name;
#define FIELD_NAME_C(name)        char name[NAME_SIZE];
#define FIELD_TEXT_C(name)        char name[TEXT_SIZE];
#define FIELD_KEY_C(name)         char name[KEY_SIZE];
#define F(kind, name, unit, help) FIELD_##kind##_C(name)
struct trial_row {
    TRIAL_FIELDS(F)
};
struct option_row {
    OPTION_FIELDS(F)
};
struct accuracy_row {
    ACCURACY_FIELDS(F)
};
struct training_row {
    TRAINING_FIELDS(F)
};
struct attempt_row {
    ATTEMPT_FIELDS(F)
};
struct stage_row {
    STAGE_FIELDS(F)
};
#undef F

extern const struct table table_trials, table_options, table_accuracy, table_training, table_attempts, table_stages;

/* Bytes of a field in the row. */
size_t field_size(enum field_kind kind);
/* The field of that name; NULL if there is none. */
const struct field *table_field(const struct table *t, const char *name);

#endif
