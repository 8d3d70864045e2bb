/* sweeps/options.h - every option of a trial, once.
 *
 * One row here is the whole story of an option: its parsing, range, errors, `sluice options`, its column in results.h5, its
 * line in docs/options.md, and which kinds of stage may read it.  The last is what makes sharing safe: a stage's key hashes
 * exactly the options its kind declares, and the only way to read an option is option_*() below, which fails when the kind
 * did not declare it. */
#ifndef SWEEPS_OPTIONS_H
#define SWEEPS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

/* Kinds of stage: name, code version (raise it when the same options must give another result), meaning.
 * The letter is the one used in the "reads" column below. */
#define STAGE_KINDS(K)                                                                                             \
    K(FEATURES, features, 'F', 3, "features of the frozen backbone for every image, test-time transform")          \
    K(TII, tii, 'I', 4, "task-identity inference: residual MLP and head, trained and aligned on one more task")    \
    K(WTP, wtp, 'W', 4, "within-task prediction: prompt, gate and head rows of one more task, and its statistics") \
    K(INFER, infer, 'E', 4, "inferred task and prompted feature of every test image of the tasks seen")            \
    K(TAP, tap, 'A', 4, "task-adaptive prediction: alignment of the head over all classes seen, and evaluation")   \
    K(SEQUENTIAL, sequential, 'S', 3, "head fine-tuned on one more task without protection (lower bound)")         \
    K(JOINT, joint, 'J', 3, "prompt, gate and head trained on all tasks at once (upper bound)")

enum stage_kind {
#define K(id, name, letter, version, meaning) STAGE_##id,
    STAGE_KINDS(K)
#undef K
        STAGE_KIND_COUNT
};

/* O(id, key, type, default, low, high, choices, unit, reads, help)
 *
 * type: BOOL, INT, REAL, CHOICE (choices "a|b|c"), TEXT (a name: letters, digits, . _ -), COUNT (an INT or "all", stored as 0),
 *       LAYERS ("0-4" or "0,2,5": a set of blocks below 64), SEQUENCE (the class order; see sweeps/sequence.h),
 *       SEED (an INT or "seed": take the value of `seed`; stored resolved).
 * low, high: the inclusive range of numbers (of the number of characters for TEXT; unused otherwise).
 * reads: letters of STAGE_KINDS.  '*' alone: any stage may read it and no key depends on it, because it cannot change a
 * result. */
/* clang-format off */
#define OPTIONS(O)                                                                                                        \
    O(METHOD, "method", CHOICE, "norga", 0, 0, "norga|hide|sequential|joint", "", "", "how the trial learns")             \
    O(BACKBONE, "backbone", TEXT, "vit-micro", 1, 63, "", "", "FIWEJ", "the frozen Vision Transformer, a name in the backbone store") \
    O(SEED, "seed", INT, "0", 0, 4294967295.0, "", "", "", "seed of everything random that has no seed of its own")      \
    O(SEEDS_ORDER, "seeds.order", SEED, "seed", 0, 4294967295.0, "", "", "IWEASJ", "seed of the class order")             \
    O(SEEDS_INIT, "seeds.init", SEED, "seed", 0, 4294967295.0, "", "", "IWASJ", "seed of initial weights and prompts")    \
    O(SEEDS_DATA, "seeds.data", SEED, "seed", 0, 4294967295.0, "", "", "IWASJ", "seed of data order, augmentation and drawn features") \
    O(DATASET_NAME, "dataset.name", TEXT, "fashion-mnist", 1, 63, "", "", "FIWEJ", "the data set")                       \
    O(DATASET_TASKS, "dataset.tasks", INT, "5", 1, 1000, "", "", "IWEASJ", "number of tasks that the classes are split into") \
    O(DATASET_SEQUENCE, "dataset.sequence", SEQUENCE, "natural", 0, 0, "", "", "IWEASJ", "which classes come in which task") \
    O(DATASET_TRAIN_PER_CLASS, "dataset.train_per_class", COUNT, "all", 1, 1e9, "", "images", "FIWEJ", "training images used of each class, the first ones in file order") \
    O(DATASET_TEST_PER_CLASS, "dataset.test_per_class", COUNT, "all", 1, 1e9, "", "images", "FIWEJ", "test images used of each class, the first ones in file order") \
    O(DATASET_TRANSFORM, "dataset.transform", CHOICE, "plain", 0, 0, "plain|cifar|default|from_cifar|inception|imagenet", "", "FIWEJ", "pixels to network input: plain (resize to the input size), the official code's pipelines, or inception and imagenet, which normalise as a backbone was pre-trained (methods.md 4.3)") \
    O(DATASET_AUGMENT, "dataset.augment", BOOL, "false", 0, 0, "", "", "IWJ", "train on randomly cropped and flipped images")   \
    O(FEATURE_POOL, "feature.pool", CHOICE, "token", 0, 0, "token|mean", "", "FIWEJ", "the feature: the class token or the mean over patch tokens") \
    O(FEATURE_NORM, "feature.norm", CHOICE, "final", 0, 0, "final|fc_norm", "", "FIWEASJ", "the backbone's final layer norm, or none and a trained one before the head (MoCo-v3, methods.md 3.4)") \
    O(PROMPT_LENGTH, "prompt.length", INT, "5", 1, 1024, "", "tokens", "WEJ", "prefix experts in each prompted block")    \
    O(PROMPT_LAYERS, "prompt.layers", LAYERS, "0-4", 0, 63, "", "", "WEJ", "blocks that get a prefix")                    \
    O(PROMPT_LAYOUT, "prompt.layout", CHOICE, "fixed", 0, 0, "fixed|official", "", "WEJ", "which prompt a sample of a batch receives (methods.md Q1)") \
    O(PROMPT_MOMENTUM, "prompt.momentum", REAL, "0.01", 0, 1, "", "", "W", "share of the earlier prompts' mean in a new prompt") \
    O(PROMPT_TRANSFER, "prompt.transfer", BOOL, "true", 0, 0, "", "", "W", "start each prompt from the one before")       \
    O(GATE_ACTIVATION, "gate.activation", CHOICE, "tanh", 0, 0, "none|tanh|sigmoid|relu|gelu|softplus|elu", "", "WEJ", "the sigma of the gate s + a1 sigma(a0 s) on prefix scores") \
    O(GATE_TRAIN, "gate.train", CHOICE, "first_task", 0, 0, "first_task|every_task|per_task|never", "", "WEJ", "when the gate's scalars learn: per_task gives each task its own") \
    O(GATE_SCOPE, "gate.scope", CHOICE, "layer", 0, 0, "layer|head", "", "WEJ", "two scalars for each prompted block or for each of its heads") \
    O(GATE_A0, "gate.a0", REAL, "1", -100, 100, "", "", "WJ", "initial inner scale a0")                                   \
    O(GATE_A1, "gate.a1", REAL, "1", -100, 100, "", "", "WJ", "initial outer scale a1")                                   \
    O(GATE_LR_FACTOR, "gate.lr_factor", REAL, "1", 0, 1000, "", "", "WJ", "the gate's learning rate over that of the prompts (methods.md Q20)") \
    O(TRAIN_EPOCHS, "train.epochs", INT, "20", 1, 100000, "", "epochs", "WSJ", "passes over a task's training images")    \
    O(TRAIN_BATCH, "train.batch", INT, "128", 1, 65536, "", "images", "WASJ", "images of a training step")                \
    O(TRAIN_LR, "train.lr", REAL, "0.03", 0, 1000, "", "", "WSJ", "learning rate of prompts and gate, before scaling")    \
    O(TRAIN_LR_SCALING, "train.lr_scaling", BOOL, "true", 0, 0, "", "", "WISJ", "multiply learning rates by batch/256 (methods.md 1.1)") \
    O(TRAIN_HEAD_LR_FACTOR, "train.head_lr_factor", REAL, "0.1", 0, 1000, "", "", "WSJ", "the head's learning rate over that of the prompts") \
    O(TRAIN_SCHEDULE, "train.schedule", CHOICE, "constant", 0, 0, "constant|step|cosine", "", "WSJ", "learning rate over the epochs of a task") \
    O(TRAIN_SCHEDULE_LAG, "train.schedule_lag", BOOL, "true", 0, 0, "", "", "WISJ", "schedules lag one epoch behind, as in the official code (methods.md Q10)") \
    O(TRAIN_DECAY_EPOCHS, "train.decay_epochs", INT, "30", 1, 100000, "", "epochs", "WISJ", "step schedule: epochs between decays") \
    O(TRAIN_DECAY_RATE, "train.decay_rate", REAL, "0.1", 0, 1, "", "", "WISJ", "step schedule: factor of a decay")        \
    O(TRAIN_MIN_LR, "train.min_lr", REAL, "1e-5", 0, 1000, "", "", "WISJ", "cosine schedule: the rate at the end")        \
    O(TRAIN_CLIP, "train.clip", REAL, "1", 0, 1e9, "", "", "WSJ", "largest norm of all gradients together; 0 does not clip") \
    O(TRAIN_CONTRASTIVE, "train.contrastive", REAL, "0.1", 0, 1e6, "", "", "W", "weight of the contrastive regulariser (methods.md 1.4.1)") \
    O(TRAIN_TEMPERATURE, "train.temperature", REAL, "0.8", 1e-6, 1e6, "", "", "W", "temperature of the contrastive regulariser") \
    O(TII_MLP, "tii.mlp", CHOICE, "2", 0, 0, "2|4-4", "", "IE", "hidden layers of the residual MLP, in widths (methods.md 1.3)") \
    O(TII_EPOCHS, "tii.epochs", INT, "20", 1, 100000, "", "epochs", "I", "passes over a task's training images")          \
    O(TII_BATCH, "tii.batch", INT, "128", 1, 65536, "", "images", "I", "images of a training step, and features of an alignment step") \
    O(TII_LR, "tii.lr", REAL, "5e-4", 0, 1000, "", "", "I", "learning rate, before scaling")                              \
    O(TII_SCHEDULE, "tii.schedule", CHOICE, "constant", 0, 0, "constant|step|cosine", "", "I", "learning rate over the epochs of a task") \
    O(TII_CLIP, "tii.clip", REAL, "1", 0, 1e9, "", "", "I", "largest norm of all gradients together; 0 does not clip")    \
    O(TII_ALIGN_EPOCHS, "tii.align_epochs", INT, "30", 0, 100000, "", "epochs", "I", "epochs of alignment on drawn features after each task but the first") \
    O(TII_ALIGN_LR, "tii.align_lr", REAL, "0.005", 0, 1000, "", "", "I", "learning rate of the alignment, before scaling") \
    O(STATISTICS_KIND, "statistics.kind", CHOICE, "covariance", 0, 0, "covariance|variance|multi_centroid", "", "IWA", "what is kept of a class's features (methods.md 1.5)") \
    O(STATISTICS_CENTROIDS, "statistics.centroids", INT, "10", 1, 1000, "", "", "IWA", "multi_centroid: clusters for each class") \
    O(ALIGN_STEPS, "align.steps", CHOICE, "old", 0, 0, "old|seen", "", "IA", "steps of an alignment epoch: one for each class of earlier tasks, or for each class seen (methods.md Q4)") \
    O(TAP_EPOCHS, "tap.epochs", INT, "30", 0, 100000, "", "epochs", "A", "epochs of alignment after each task but the first; 0 for none") \
    O(TAP_LR, "tap.lr", REAL, "0.005", 0, 1000, "", "", "A", "learning rate of the alignment, not scaled (methods.md Q11)")     \
    O(TAP_LR_SCALING, "tap.lr_scaling", BOOL, "false", 0, 0, "", "", "A", "multiply tap.lr by train.batch/256, too (methods.md Q11)") \
    O(TAP_SAMPLES, "tap.samples", INT, "0", 0, 1000000, "", "features", "A", "features drawn for each class and epoch, and used in each step; 0: five batches") \
    O(EVALUATE_BATCH, "evaluate.batch", INT, "128", 1, 65536, "", "images", "E", "images of an evaluation step; matters with prompt.layout official and evaluate.vote batch") \
    O(EVALUATE_VOTE, "evaluate.vote", CHOICE, "sample", 0, 0, "sample|batch", "", "E", "each sample's own inferred task, or the batch's most frequent (methods.md Q6)") \
    O(EVALUATE_UNSEEN, "evaluate.unseen", CHOICE, "keep", 0, 0, "keep|mask", "", "ASJ", "keep or mask the classes not yet seen in the final prediction (methods.md Q5)") \
    O(CHECKPOINT_SECONDS, "checkpoint.seconds", REAL, "60", 0, 1e9, "", "s", "*", "least time between two checkpoints inside a stage")

/* Not `enum option`: getopt.h has a struct of that name. */
enum option_id {
#define O(id, key, type, def, low, high, choices, unit, reads, help) OPTION_##id,
    OPTIONS(O)
#undef O
    OPTION_COUNT
};

enum option_type {
    OPTION_TYPE_BOOL,
    OPTION_TYPE_INT,
    OPTION_TYPE_REAL,
    OPTION_TYPE_CHOICE,
    OPTION_TYPE_TEXT,
    OPTION_TYPE_COUNT,
    OPTION_TYPE_LAYERS,
    OPTION_TYPE_SEQUENCE,
    OPTION_TYPE_SEED
};

union option_value {
    int64_t integer;    /* BOOL, INT, COUNT (0: all), SEED, CHOICE (index into the choices) */
    double real;        /* REAL */
    const char *text;   /* TEXT, SEQUENCE: canonical text, owned by intern() */
    uint64_t layers;    /* LAYERS: bit i for block i */
};

/* A trial: every option has a value. */
struct trial_config {
    union option_value value[OPTION_COUNT];
};

/* What a stage uses to read its options.  The first mistake is kept in *e and every later read returns zero, so a stage reads
 * all its options first and checks e->code once.  ERR_BUG: the stage's kind does not declare the option. */
struct option_reader {
    const struct trial_config *config;
    enum stage_kind stage;
    err *e;
};

bool option_bool(struct option_reader *r, enum option_id id);
int64_t option_int(struct option_reader *r, enum option_id id);        /* INT, COUNT, SEED */
double option_real(struct option_reader *r, enum option_id id);
const char *option_choice(struct option_reader *r, enum option_id id); /* the choice's text */
const char *option_text(struct option_reader *r, enum option_id id);   /* TEXT, SEQUENCE */
uint64_t option_layers(struct option_reader *r, enum option_id id);

/* ---- the table as data, and values as text ---- */

struct option_info {
    const char *key;
    enum option_type type;
    const char *initial; /* the default, as text */
    double low, high;
    const char *choices, *unit, *reads, *help;
};

const struct option_info *option_info(enum option_id id);
const char *option_type_name(enum option_type type);              /* "integer", "number", "choice", ... */
bool option_declared(enum stage_kind kind, enum option_id id);       /* may a stage of this kind read it? */
bool option_in_key(enum stage_kind kind, enum option_id id);         /* declared and able to change the result */
enum option_id option_by_key(const char *key);                       /* OPTION_COUNT if there is none */
const char *option_nearest_key(const char *key);                  /* NULL if none is near */

/* Text to value.  ERR_CONFIG says key, offending text, rule and the nearest choice, without a place. */
int option_parse(enum option_id id, const char *text, union option_value *out, err *e);
/* The one text of a value, interned: numbers in the shortest form that reads back the same, LAYERS as "0-4,6". */
const char *option_format(enum option_id id, union option_value value);
const char *option_choice_text(enum option_id id, int64_t index); /* of a CHOICE, interned */
bool option_equal(enum option_id id, union option_value a, union option_value b);
/* A range "1 to 1024 tokens", or the choices: what a value must be. */
void option_rule(enum option_id id, char *text, size_t size);

/* Every option at its default; seeds.* still unresolved (-1). */
void trial_defaults(struct trial_config *config);
/* Seeds that stand for `seed` take its value. */
void trial_resolve_seeds(struct trial_config *config);

#endif
