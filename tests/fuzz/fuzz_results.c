/* tests/fuzz/fuzz_results.c - any bytes as a results.h5: what is accepted can be reported on, what is not is called damaged. */
#include "fuzz_file.h"
#include "analysis/formats.h"
#include "analysis/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void report_on(const struct measured *m)
{
    static FILE *nowhere;
    struct ablation a;
    struct document d;
    int by[MAX_BY];
    err e = {0};

    if (!nowhere && !(nowhere = fopen("/dev/null", "w")))
        abort();
    int count = ablation_default_by(m, by);
    document_start(&d, m->name);
    if (ablation_start(&a, m, by, count, METRIC_FAA, &e))
        abort();
    if (report_compose(&d, &a, &(struct report_request){.main = METRIC_FAA}, &e))
        abort();
    for (int i = 0; i < report_formats_count; i++)
        if (report_formats[i].render(&d, NULL, nowhere, &e))
            abort();
    document_free(&d);
    ablation_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct measured m;
    err e = {0};

    if (!measured_read(path, &m, &e))
        report_on(&m);
    else if (e.code != ERR_DAMAGED && e.code != ERR_NOMEM)
        abort();
    measured_free(&m);
    unlink(path);
    return 0;
}
