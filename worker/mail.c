/* worker/mail.c - see mail.h.
 *
 * A packet is letters back to back, each 4 bytes of tag, 4 bytes of length n, n bytes, and 1 to 8 zeros up to a multiple of 8. */
#include "worker/mail.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAIL_TAG = 1, HEAD = 8, FULL = 64 << 10, LARGEST = 96 << 20 };

/* A packet under way, out or in. */
struct post {
    struct post *next;
    MPI_Request request;
    int rank; /* the other one */
    bool whole;
    size_t n, room;
    size_t at; /* in: letters before it have been given out */
    char *bytes;
};

struct mail {
    MPI_Comm comm;
    int ranks;
    struct post **open;               /* (ranks) the packet being filled, or NULL */
    int *filled, filled_count;        /* the ranks that have one */
    struct post *out, *in, **last_in; /* in: oldest first */
    struct post *given;               /* all its letters are given out; the last one is still being read */
};

int mail_open(MPI_Comm comm, mail **out, err *e)
{
    mail *m = calloc(1, sizeof *m);

    *out = m;
    if (m)
        MPI_Comm_size(comm, &m->ranks);
    if (!m || !(m->open = calloc((size_t)m->ranks, sizeof(struct post *))) ||
        !(m->filled = calloc((size_t)m->ranks, sizeof *m->filled))) {
        mail_close(m);
        *out = NULL;
        return err_set(e, ERR_NOMEM, "no memory for messages");
    }
    m->comm = comm;
    m->last_in = &m->in;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    return 0;
}

static void free_post(struct post *p)
{
    if (p)
        free(p->bytes);
    free(p);
}

static void free_posts(struct post *p)
{
    while (p) {
        struct post *next = p->next;

        if (p->request == MPI_REQUEST_NULL) /* else MPI may still write into it */
            free_post(p);
        p = next;
    }
}

void mail_close(mail *m)
{
    if (!m)
        return;
    mail_pending(m);
    for (int i = 0; m->filled && i < m->filled_count; i++)
        free_post(m->open[m->filled[i]]);
    free_posts(m->out);
    free_posts(m->in);
    free_post(m->given);
    free(m->open);
    free(m->filled);
    free(m);
}

/* Room for n more bytes; false when memory is out. */
static bool reserve(struct post *p, size_t n)
{
    size_t room = p->room;
    char *more;

    if (p->n + n <= room)
        return true;
    while (room < p->n + n)
        room = 2 * room + 1024;
    if (!(more = realloc(p->bytes, room)))
        return false;
    p->bytes = more;
    p->room = room;
    return true;
}

static struct post *new_post(int rank, size_t n)
{
    struct post *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->request = MPI_REQUEST_NULL;
    p->rank = rank;
    if (reserve(p, n + 1))
        return p;
    free(p);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ out */

int mail_pending(mail *m)
{
    struct post **at = &m->out;
    int pending = 0;

    while (*at) {
        struct post *p = *at;
        int done = 0;

        if (MPI_Test(&p->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done) {
            *at = p->next;
            if (done)
                free_post(p);
        } else {
            pending++;
            at = &p->next;
        }
    }
    return pending;
}

static void post_packet(mail *m, struct post *p)
{
    if (MPI_Isend(p->bytes, (int)p->n, MPI_BYTE, p->rank, MAIL_TAG, m->comm, &p->request) != MPI_SUCCESS) {
        free_post(p);
        return;
    }
    p->next = m->out;
    m->out = p;
}

void mail_flush(mail *m)
{
    if (m->filled_count || m->out)
        mail_pending(m); /* frees what has gone */
    while (m->filled_count) {
        int rank = m->filled[--m->filled_count];

        post_packet(m, m->open[rank]);
        m->open[rank] = NULL;
    }
}

static void add_letter(struct post *p, int tag, const void *head, size_t n_head, const void *body, size_t n_body)
{
    const uint32_t words[2] = {(uint32_t)tag, (uint32_t)(n_head + n_body)};
    size_t zeros = 8 - words[1] % 8;

    memcpy(p->bytes + p->n, words, HEAD);
    p->n += HEAD;
    if (n_head)
        memcpy(p->bytes + p->n, head, n_head);
    if (n_body)
        memcpy(p->bytes + p->n + n_head, body, n_body);
    memset(p->bytes + p->n + words[1], 0, zeros);
    p->n += words[1] + zeros;
}

int mail_send(mail *m, int to, int tag, const void *head, size_t n_head, const void *body, size_t n_body, err *e)
{
    size_t n = n_head + n_body;

    if (to < 0 || to >= m->ranks || n > LARGEST - FULL - 2 * HEAD)
        return err_set(e, ERR_BUG, "a message of %zu bytes to rank %d of %d", n, to, m->ranks);
    if (!m->open[to] && (m->open[to] = new_post(to, 0)))
        m->filled[m->filled_count++] = to;
    if (!m->open[to] || !reserve(m->open[to], n + 2 * HEAD))
        return err_set(e, ERR_NOMEM, "no memory for a message of %zu bytes", n);
    add_letter(m->open[to], tag, head, n_head, body, n_body);
    if (m->open[to]->n > FULL)
        mail_flush(m);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ in */

/* Start to receive whatever has been announced. */
static void accept_announced(mail *m)
{
    for (;;) {
        MPI_Message message;
        MPI_Status status;
        struct post *p;
        int found = 0, n;

        if (MPI_Improbe(MPI_ANY_SOURCE, MAIL_TAG, m->comm, &found, &message, &status) != MPI_SUCCESS || !found)
            return;
        if (MPI_Get_count(&status, MPI_BYTE, &n) != MPI_SUCCESS || n < 0 || n > LARGEST ||
            !(p = new_post(status.MPI_SOURCE, (size_t)n)))
            return;
        p->n = (size_t)n;
        if (MPI_Imrecv(p->bytes, n, MPI_BYTE, &message, &p->request) != MPI_SUCCESS) {
            free_post(p);
            return;
        }
        *m->last_in = p;
        m->last_in = &p->next;
    }
}

static bool is_whole(struct post *p)
{
    int done = p->whole;

    if (!done && MPI_Test(&p->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        done = 0;
    return p->whole = done;
}

static struct post *unlink_post(mail *m, struct post **at)
{
    struct post *p = *at;

    *at = p->next;
    if (m->last_in == &p->next)
        m->last_in = at;
    return p;
}

/* Is an earlier packet of the same rank still on its way? */
static bool overtakes(const mail *m, const struct post *p)
{
    for (const struct post *q = m->in; q != p; q = q->next)
        if (q->rank == p->rank)
            return true;
    return false;
}

/* The next letter of a packet; false at its end, and where it makes no sense. */
static bool take_letter(struct post *p, struct letter *out)
{
    uint32_t words[2];

    if (p->n - p->at < 2 * HEAD)
        return false;
    memcpy(words, p->bytes + p->at, HEAD);
    if (words[1] >= p->n - p->at - HEAD || p->bytes[p->at + HEAD + words[1]])
        return false;
    *out = (struct letter){p->rank, (int)words[0], words[1], p->bytes + p->at + HEAD};
    p->at += HEAD + words[1] + 8 - words[1] % 8;
    p->at = p->at < p->n ? p->at : p->n;
    return true;
}

/* The next letter of those packets that are here. */
static bool next_here(mail *m, struct letter *out)
{
    struct post **at = &m->in;

    while (*at) {
        if (!is_whole(*at) || overtakes(m, *at)) {
            at = &(*at)->next;
        } else if (take_letter(*at, out)) {
            if ((*at)->at == (*at)->n)
                m->given = unlink_post(m, at);
            return true;
        } else {
            free_post(unlink_post(m, at));
        }
    }
    return false;
}

bool mail_next(mail *m, struct letter *out)
{
    free_post(m->given);
    m->given = NULL;
    if (next_here(m, out))
        return true;
    accept_announced(m);
    return next_here(m, out);
}

void mail_forget(mail *m, int rank)
{
    struct post **at = &m->in;

    while (*at) {
        if ((*at)->rank == rank && !is_whole(*at))
            unlink_post(m, at); /* its memory stays with MPI */
        else
            at = &(*at)->next;
    }
}
