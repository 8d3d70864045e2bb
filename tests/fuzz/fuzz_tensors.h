/* tests/fuzz/fuzz_tensors.h - any bytes as a file of tensors: listed, read, and imported as a backbone. */
#ifndef FUZZ_TENSORS_H
#define FUZZ_TENSORS_H

#include <stdlib.h>

#include "fuzz_memory.h"
#include "io/backbones/import.h"
#include "io/containers/fault.h"

enum { FUZZ_NUMBERS = 1 << 16 /* larger tensors are listed, but not read */ };

/* Every failure of a reader has a kind, and no other cause than the file or memory. */
static inline void fuzz_failed(const err *e)
{
    if (e->code != ERR_NOMEM && (e->code != ERR_DAMAGED || fault_of(e) == FAULT_NONE))
        abort();
}

static const struct import_options fuzz_options = {.name = "x", .heads = 2, .container.ignore_crc = true};

/* What tensors_open() or tensors_open_memory() made of them. */
static inline void fuzz_listed(int status, struct tensor_file *f, const err *e)
{
    static float to[FUZZ_NUMBERS];
    err last = {0};

    if (status) {
        fuzz_failed(e);
        return;
    }
    for (size_t i = 0; i < f->count && i < 64; i++) {
        err failed = {0};

        if (f->info[i].count <= FUZZ_NUMBERS && tensors_read(f, i, to, &failed))
            fuzz_failed(&failed);
    }
    if (tensors_finish(f, &last))
        fuzz_failed(&last);
    tensors_close(f);
}

/* What backbone_import() or backbone_import_memory() made of them. */
static inline void fuzz_imported(int status, struct backbone_weights *w, struct import_report *report, const err *e)
{
    if (status)
        fuzz_failed(e);
    else if (report->found != report->required)
        abort();
    backbone_close(w);
    import_report_free(report);
}

/* inflates: what the container has may be deflated, up to a hundredfold. */
static inline void fuzz_tensors(const uint8_t *data, size_t size, bool inflates)
{
    struct import_report report;
    struct backbone_weights w;
    struct tensor_file f;
    err e = {0};

    int status;

    fuzz_memory_limit(limit_memory(inflates ? 50 * size : size));
    status = tensors_open_memory("fuzz", data, size, &fuzz_options.container, &f, &e);
    fuzz_memory_free();
    fuzz_listed(status, &f, &e);
    e = (err){0};
    fuzz_imported(backbone_import_memory("fuzz", data, size, &fuzz_options, &w, &report, &e), &w, &report, &e);
}

#endif
