/* tests/fuzz/fuzz_job.c - any text as a stage job from the wire; what is accepted writes back to a job that is accepted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), *again;
    struct stage_job job, back;
    err e = {0};

    if (text && !stage_job_read(text, &job, &e)) {
        if (stage_job_write(&job, &again, &e) || stage_job_read(again, &back, &e) ||
            back.inputs_count != job.inputs_count || !digest_equal(&back.key, &job.key))
            abort();
        stage_job_free(&back);
        stage_job_free(&job);
        free(again);
    }
    free(text);
    return 0;
}
