/* tests/fuzz/fuzz_file.h - any bytes as a file, for readers that open files alone: those that go through HDF5. */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The file's path, in the working folder; unlink() it. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];

    snprintf(path, sizeof path, "fuzz-%ld.h5", (long)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd))
        abort();
    return path;
}

#endif
