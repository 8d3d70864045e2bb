/* worker/command_data.h - the verbs of `sluice data`, one function each: argv[0] is the verb, what is returned is an
 * exit status. */
#ifndef WORKER_COMMAND_DATA_H
#define WORKER_COMMAND_DATA_H

#define DATA_VERBS(V)                                                             \
    V(import, "reads a data set as it was published into an HDF5 pack")           \
    V(list, "the data sets on this machine")                                      \
    V(show, "one data set: its classes, how many images each has, sizes, digest") \
    V(sheet, "draws a contact sheet of each task, to look at")

#define V(verb, summary) int data_##verb(int argc, char **argv);
DATA_VERBS(V)
#undef V

/* Where packs are kept, as place_to_keep() takes it. */
#define DATA_PLACES "SLUICE_DATA", ".local/share/sluice/data"

#endif
