/* worker/messages.c - see messages.h. */
#include "worker/messages.h"

static const struct {
    const char *name;
    size_t head;
    bool text;
} messages[TAG_COUNT] = {
#define X(name, structure, text) [TAG_##name] = {#name, sizeof(structure), text},
    MESSAGES(X)
#undef X
};

const char *message_name(int tag)
{
    return tag > TAG_NONE && tag < TAG_COUNT ? messages[tag].name : "UNKNOWN";
}

bool message_fits(int tag, size_t n)
{
    return tag > TAG_NONE && tag < TAG_COUNT &&
           (messages[tag].text ? n >= messages[tag].head : n == messages[tag].head);
}

size_t message_head(int tag)
{
    return messages[tag].head;
}
