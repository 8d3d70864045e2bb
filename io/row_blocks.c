/* io/row_blocks.c - see row_blocks.h.
 *
 * A few blocks go round: the asking thread fills one, lets the digesting thread have it, looks at it itself meanwhile, and goes on
 * with the next.  Nothing but digesting is done beside, so HDF5 is called by one thread. */
#include "io/row_blocks.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "io/h5_chunks.h"

enum {
    SLOTS = 4,                 /* blocks that go round */
    BLOCK_BYTES = 1 << 20,     /* of chunks decoded here: few enough to stay in the cache from thread to thread */
    HDF5_BLOCK_BYTES = 8 << 20 /* read by HDF5, which decodes a chunk again for every block that has some of its rows */
};

/* The pieces that are to be digested, in order.  Guarded by the mutex: all but the thread. */
struct digesting {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct digester *digester;
    struct piece {
        const void *bytes;
        size_t n;
    } pieces[SLOTS];
    size_t given, done;
    bool closing; /* no more pieces will be given */
};

struct blocks {
    const struct row_list *list;
    bool decode; /* here, not by HDF5 */
    struct h5_chunks chunks;
    size_t count, rows; /* blocks; of each */
    unsigned char *slot[SLOTS];
};

/* ---------------------------------------------------------------- the digesting thread */

static void *digest_all(void *context)
{
    struct digesting *d = context;

    pthread_mutex_lock(&d->mutex);
    for (;;) {
        while (d->done == d->given && !d->closing)
            pthread_cond_wait(&d->changed, &d->mutex);
        if (d->done == d->given)
            break;
        struct piece piece = d->pieces[d->done % SLOTS];
        pthread_mutex_unlock(&d->mutex);
        digester_add(d->digester, piece.bytes, piece.n);
        pthread_mutex_lock(&d->mutex);
        d->done++;
        pthread_cond_signal(&d->changed);
    }
    pthread_mutex_unlock(&d->mutex);
    return NULL;
}

/* Signals are the affair of the thread that was there before. */
static bool digesting_start(struct digesting *d)
{
    sigset_t all, before;
    bool started;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = !pthread_create(&d->thread, NULL, digest_all, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* Until a slot is free. */
static void digesting_wait(struct digesting *d)
{
    pthread_mutex_lock(&d->mutex);
    while (d->given - d->done == SLOTS)
        pthread_cond_wait(&d->changed, &d->mutex);
    pthread_mutex_unlock(&d->mutex);
}

static void digesting_give(struct digesting *d, const void *bytes, size_t n)
{
    pthread_mutex_lock(&d->mutex);
    d->pieces[d->given++ % SLOTS] = (struct piece){bytes, n};
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->mutex);
}

static void digesting_end(struct digesting *d)
{
    pthread_mutex_lock(&d->mutex);
    d->closing = true;
    pthread_cond_signal(&d->changed);
    pthread_mutex_unlock(&d->mutex);
    pthread_join(d->thread, NULL);
}

/* ---------------------------------------------------------------- reading */

static int read_by_hdf5(const struct row_list *l, hsize_t first, hsize_t count, void *to, err *e)
{
    hid_t space = H5Dget_space(l->id), memory = H5Screate_simple(1, &count, NULL);

    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &count, NULL) < 0 ||
        H5Dread(l->id, l->type, memory, space, H5P_DEFAULT, to) < 0)
        h5_fail(l->file, ERR_DAMAGED, l->name, "cannot be read", e);
    H5Sclose(memory);
    H5Sclose(space);
    return e->code;
}

/* Whole chunks, the last of which may have more rows than are wanted. */
static int read_chunks(struct blocks *b, size_t first, size_t count, unsigned char *to, err *e)
{
    const char *wrong = NULL;

    for (size_t row = first; row < first + count && !wrong; row += b->chunks.rows, to += b->chunks.bytes)
        wrong = h5_chunks_read(&b->chunks, row / b->chunks.rows, to);
    return wrong ? h5_fail(b->list->file, ERR_DAMAGED, b->list->name, wrong, e) : 0;
}

static int read_block(struct blocks *b, size_t first, size_t count, unsigned char *to, err *e)
{
    return b->decode ? read_chunks(b, first, count, to, e) : read_by_hdf5(b->list, first, count, to, e);
}

static int each(struct blocks *b, row_visitor *take, void *context, struct digester *digester, err *e)
{
    struct digesting d = {
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .digester = digester};
    bool beside = b->count > 1 && digesting_start(&d);

    for (size_t n = 0; n < b->count && !e->code; n++) {
        unsigned char *block = b->slot[n % SLOTS];
        size_t first = n * b->rows, left = b->list->rows - first, count = left < b->rows ? left : b->rows;

        if (beside)
            digesting_wait(&d);
        if (read_block(b, first, count, block, e))
            break;
        if (beside)
            digesting_give(&d, block, count * b->list->row_bytes);
        else
            digester_add(digester, block, count * b->list->row_bytes);
        take(context, first, count, (const char *)block, e);
    }
    if (beside)
        digesting_end(&d);
    return e->code;
}

static bool make_slots(struct blocks *b)
{
    size_t slots = b->count < SLOTS ? b->count : SLOTS;
    bool good = true;

    for (size_t i = 0; i < slots && good; i++)
        good = (b->slot[i] = calloc(b->rows, b->list->row_bytes));
    return good && (!b->decode || h5_chunks_open(&b->chunks));
}

static void measure(struct blocks *b)
{
    const struct row_list *l = b->list;

    b->decode = h5_chunks_fit(l->id, l->row_bytes, &b->chunks);
    if (b->decode) {
        b->rows = (b->chunks.bytes < BLOCK_BYTES ? BLOCK_BYTES / b->chunks.bytes : 1) * b->chunks.rows;
    } else {
        b->rows = l->row_bytes < HDF5_BLOCK_BYTES ? HDF5_BLOCK_BYTES / l->row_bytes : 1;
        b->rows = b->rows < l->rows ? b->rows : l->rows;
    }
    b->count = (l->rows - 1) / b->rows + 1;
}

int row_blocks_each(const struct row_list *l, row_visitor *take, void *context, struct digester *d, err *e)
{
    struct blocks b = {.list = l};

    if (!l->rows)
        return 0;
    measure(&b);
    if (make_slots(&b))
        each(&b, take, context, d, e);
    else
        err_set(e, ERR_NOMEM, "%s: out of memory", l->file->path);
    h5_chunks_close(&b.chunks);
    for (int i = 0; i < SLOTS; i++)
        free(b.slot[i]);
    return e->code;
}
