/* worker/trainer.h - run one stage of one trial in this process. */
#ifndef WORKER_TRAINER_H
#define WORKER_TRAINER_H

#include "io/digest.h"
#include "io/err.h"
#include "sweeps/stage.h"
#include "worker/host.h"

struct stage_outcome {
    struct digest checkpoint;     /* digest of the checkpoint's content */
    int64_t trainable_parameters; /* what this stage trains */
    double seconds;
};

/* Run the stage and write its checkpoint (atomically, under job->checkpoint_folder).  The same job gives the same checkpoint
 * digest and the same accuracy rows, however often it is interrupted and run again.
 * ERR_INTERRUPTED when the host said stop; ERR_DIVERGED, ERR_DATA, ERR_SHAPE, ERR_MISSING, ERR_DAMAGED, ERR_NOMEM as named. */
int trainer_run(const struct stage_job *job, const struct host *host, struct stage_outcome *out, err *e);

#endif
