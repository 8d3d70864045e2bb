/* worker/mail.c - see mail.h. */
#include "worker/mail.h"

#include <stdlib.h>
#include <string.h>

/* A message under way, out or in. */
struct post {
    struct post *next;
    MPI_Request request;
    struct letter letter; /* from: the other rank */
    bool whole;
    char bytes[];
};

struct mail {
    MPI_Comm comm;
    struct post *out, *in, **last_in; /* in: oldest first */
    struct post *given;               /* the letter last given out */
};

enum { LARGEST = 96 << 20 };

int mail_open(MPI_Comm comm, mail **out, err *e)
{
    mail *m = calloc(1, sizeof *m);

    *out = m;
    if (!m)
        return err_set(e, ERR_NOMEM, "no memory for messages");
    m->comm = comm;
    m->last_in = &m->in;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    return 0;
}

static void free_posts(struct post *p)
{
    while (p) {
        struct post *next = p->next;

        if (p->request == MPI_REQUEST_NULL) /* else MPI may still write into it */
            free(p);
        p = next;
    }
}

void mail_close(mail *m)
{
    if (!m)
        return;
    mail_pending(m);
    free_posts(m->out);
    free_posts(m->in);
    free(m->given);
    free(m);
}

static struct post *new_post(int rank, int tag, size_t n)
{
    struct post *p = malloc(sizeof *p + n + 1);

    if (p) {
        *p = (struct post){.request = MPI_REQUEST_NULL, .letter = {rank, tag, n, p->bytes}};
        p->bytes[n] = 0;
    }
    return p;
}

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
                free(p);
        } else {
            pending++;
            at = &p->next;
        }
    }
    return pending;
}

int mail_send(mail *m, int to, int tag, const void *head, size_t n_head, const void *body, size_t n_body, err *e)
{
    struct post *p = n_head + n_body < LARGEST ? new_post(to, tag, n_head + n_body) : NULL;

    mail_pending(m);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a message of %zu bytes", n_head + n_body);
    if (n_head)
        memcpy(p->bytes, head, n_head);
    if (n_body)
        memcpy(p->bytes + n_head, body, n_body);
    if (MPI_Isend(p->bytes, (int)p->letter.n, MPI_BYTE, to, tag, m->comm, &p->request) != MPI_SUCCESS) {
        free(p);
        return err_set(e, ERR_WORKER, "rank %d cannot be reached", to);
    }
    p->next = m->out;
    m->out = p;
    return 0;
}

/* Start to receive whatever has been announced. */
static void accept_announced(mail *m)
{
    for (;;) {
        MPI_Message message;
        MPI_Status status;
        struct post *p;
        int found = 0, n;

        if (MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, m->comm, &found, &message, &status) != MPI_SUCCESS || !found)
            return;
        if (MPI_Get_count(&status, MPI_BYTE, &n) != MPI_SUCCESS || n < 0 || n > LARGEST ||
            !(p = new_post(status.MPI_SOURCE, status.MPI_TAG, (size_t)n)))
            return;
        if (MPI_Imrecv(p->bytes, n, MPI_BYTE, &message, &p->request) != MPI_SUCCESS) {
            free(p);
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

/* Is an earlier message of the same rank still on its way? */
static bool overtakes(const mail *m, const struct post *p)
{
    for (const struct post *q = m->in; q != p; q = q->next)
        if (q->letter.from == p->letter.from)
            return true;
    return false;
}

bool mail_next(mail *m, struct letter *out)
{
    free(m->given);
    m->given = NULL;
    accept_announced(m);
    for (struct post **at = &m->in; *at; at = &(*at)->next) {
        if (!is_whole(*at) || overtakes(m, *at))
            continue;
        m->given = unlink_post(m, at);
        *out = m->given->letter;
        return true;
    }
    return false;
}

void mail_forget(mail *m, int rank)
{
    struct post **at = &m->in;

    while (*at) {
        if ((*at)->letter.from == rank && !is_whole(*at))
            unlink_post(m, at); /* its memory stays with MPI */
        else
            at = &(*at)->next;
    }
}
