/* orchestrator/command_cancel.c - `sluice cancel`: end a run cleanly, from wherever its folder can be seen. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/arguments.h"
#include "orchestrator/commands.h"
#include "orchestrator/folder.h"
#include "orchestrator/lock.h"

static const char help[] =
    "usage: sluice cancel DIR\n"
    "\n"
    "Asks the run in this output folder to stop, and waits until it has.  What is finished is kept; the same\n"
    "`sluice run` continues.\n"
    "\n"
    "example: sluice cancel runs/quickstart\n";

static const int WAIT_SECONDS = 30;

int command_cancel(int argc, char **argv)
{
    static const char *const flags[] = {NULL};
    struct folder_lock lock;
    struct arguments a;
    struct folder f;
    int status;
    err e = {0};

    if (!arguments_read(argc, argv, help, flags, &a, &status))
        return status;
    if (folder_name(a.folder, "", &f, &e) || folder_check(&f, &e))
        return arguments_fail(argv, &e);
    if (!lock_take(f.root, &lock, &e)) {
        lock_release(&lock);
        puts("nothing is running there");
        return 0;
    }
    for (int i = 0; i < 10 * WAIT_SECONDS && e.code == ERR_BUSY; i++) {
        e = (err){0};
        if (i % 10 == 0 && folder_ask_stop(&f, "cancelled", &e))
            break;
        nanosleep(&(struct timespec){0, 100000000}, NULL);
        if (!lock_take(f.root, &lock, &e))
            lock_release(&lock);
    }
    if (e.code)
        return arguments_fail(argv, &e);
    folder_clear_stop(&f);
    puts("stopped; the same `sluice run` continues");
    return 0;
}
