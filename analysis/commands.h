/* analysis/commands.h - the commands of this room: C(name, function, summary).  See main.c. */
#ifndef ANALYSIS_COMMANDS_H
#define ANALYSIS_COMMANDS_H

// clang-format off
#define ANALYSIS_COMMANDS(C)                                                                    \
    C("report", command_report, "ablation tables, statistics and pictures of a sweep")          \
    C("export", command_export, "the tables as CSV, or a whole sweep in one HDF5 file")
// clang-format on

#define C(name, function, summary) int function(int argc, char **argv);
ANALYSIS_COMMANDS(C)
#undef C

#endif
