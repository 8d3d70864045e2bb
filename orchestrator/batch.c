/* orchestrator/batch.c - see batch.h. */
#include "orchestrator/batch.h"

static const struct batch_system *in_use;

void batch_use(const struct batch_system *system)
{
    in_use = system;
}

double batch_ends(void)
{
    return in_use ? in_use->ends() : 0;
}

void batch_show_jobs(const char *folder, FILE *out)
{
    if (in_use)
        in_use->show_jobs(folder, out);
}

void batch_print_jobs(const char *folder, FILE *out)
{
    if (in_use)
        in_use->print_jobs(folder, out);
    else
        fputs("[]", out);
}

int batch_cancel_jobs(const char *folder, int *count, err *e)
{
    *count = 0;
    return in_use ? in_use->cancel_jobs(folder, count, e) : 0;
}
