/* worker/wire.c - see wire.h. */
#include "worker/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MARK = 0x534c0000, HEAD = 8 }; /* "SL", then the type */

static const struct {
    const char *name;
    size_t limit;
} frames[FRAME_TYPES] = {
#define X(name, limit, meaning) [FRAME_##name] = {#name, limit},
    FRAMES(X)
#undef X
};

const char *frame_name(enum frame_type type)
{
    return (unsigned)type < FRAME_TYPES ? frames[type].name : "UNKNOWN";
}

/* Room for n more bytes; what has been dealt with is dropped first. */
static int buffer_reserve(struct buffer *b, size_t n, err *e)
{
    if (b->start) {
        memmove(b->bytes, b->bytes + b->start, b->used - b->start);
        b->used -= b->start;
        b->start = 0;
    }
    if (b->used + n > b->room) {
        size_t room = 2 * b->room + n + 4096;
        char *more = realloc(b->bytes, room);

        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for a message of %zu bytes", n);
        b->bytes = more;
        b->room = room;
    }
    return 0;
}

int wire_open(struct wire *w, int fd, err *e)
{
    int flags = fcntl(fd, F_GETFL);

    *w = (struct wire){.fd = fd};
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
        return err_errno(e, "descriptor %d is not a socket to speak over", fd);
    return 0;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    free(w->in.bytes);
    free(w->out.bytes);
    *w = (struct wire){.fd = -1, .ended = true};
}

bool wire_has_unsent(const struct wire *w)
{
    return w->out.used > w->out.start;
}

int wire_flush(struct wire *w, bool wait, err *e)
{
    while (wire_has_unsent(w)) {
        ssize_t n = send(w->fd, w->out.bytes + w->out.start, w->out.used - w->out.start, MSG_NOSIGNAL);

        if (n >= 0) {
            w->out.start += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait)
                return 0;
            poll(&(struct pollfd){w->fd, POLLOUT, 0}, 1, -1);
        } else if (errno != EINTR) {
            w->ended = true;
            return err_errno(e, "the other end of the socket is gone");
        }
    }
    return 0;
}

int wire_send(struct wire *w, enum frame_type type, const void *payload, size_t n, err *e)
{
    uint32_t head[2] = {MARK | type, (uint32_t)n};

    if (n > frames[type].limit)
        return err_set(e, ERR_BUG, "a %s frame of %zu bytes; the limit is %zu", frames[type].name, n,
                       frames[type].limit);
    if (buffer_reserve(&w->out, HEAD + n, e))
        return e->code;
    memcpy(w->out.bytes + w->out.used, head, HEAD);
    if (n)
        memcpy(w->out.bytes + w->out.used + HEAD, payload, n);
    w->out.used += HEAD + n;
    return wire_flush(w, false, e);
}

int wire_fill(struct wire *w, err *e)
{
    enum { CHUNK = 65536, MOST = 16 }; /* a flood must not keep us here */

    w->in.start += w->held;
    w->held = 0;
    for (int i = 0; i < MOST && !w->ended; i++) {
        ssize_t n;

        if (buffer_reserve(&w->in, CHUNK, e))
            return e->code;
        n = recv(w->fd, w->in.bytes + w->in.used, CHUNK, 0);
        if (n > 0)
            w->in.used += (size_t)n;
        if (n < CHUNK) {
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
                w->ended = true;
            break;
        }
    }
    return 0;
}

int wire_next(struct wire *w, struct frame *f, bool *got, err *e)
{
    uint32_t head[2], type;
    size_t have;

    *got = false;
    w->in.start += w->held;
    w->held = 0;
    have = w->in.used - w->in.start;
    if (have < HEAD)
        return 0;
    memcpy(head, w->in.bytes + w->in.start, HEAD);
    type = head[0] ^ MARK;
    if (type >= FRAME_TYPES)
        return err_set(e, ERR_WORKER, "the answer makes no sense: a frame begins with 0x%08x", (unsigned)head[0]);
    if (head[1] > frames[type].limit)
        return err_set(e, ERR_WORKER, "the answer makes no sense: a %s frame of %u bytes", frames[type].name,
                       (unsigned)head[1]);
    if (have < HEAD + (size_t)head[1])
        return 0;
    w->held = HEAD + head[1];
    *f = (struct frame){(enum frame_type)type, head[1], w->in.bytes + w->in.start + HEAD};
    *got = true;
    return 0;
}
