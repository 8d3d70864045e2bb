/* tests/orchestrator/runs.h - whole runs of fake_sluice, for tests: start, signal, wait, and compare what came of them. */
#ifndef TESTS_ORCHESTRATOR_RUNS_H
#define TESTS_ORCHESTRATOR_RUNS_H

#include <stdbool.h>
#include <sys/types.h>

/* Limits of time are meant for programs without sanitizers. */
#ifdef __SANITIZE_ADDRESS__
enum { RUNS_SLOWNESS = 6 };
#else
enum { RUNS_SLOWNESS = 1 };
#endif

/* Call first: the program to run; writes its props and a sweep file into the current folder and names them in the environment. */
void runs_prepare(const char *program);
/* Instead, for a program and sweeps that need no props. */
void runs_use(const char *program);
const char *runs_program(void); /* its path */
const char *runs_folder(void);  /* the one where runs take place */

/* Write a sweep file: a norga trial on the props, `tasks` tasks, and these lines. */
void runs_write_sweep(const char *path, const char *name, int tasks, const char *lines);

/* Start `program run SWEEP --out OUT --ranks N --patience P`, its output to OUT.txt; its process number. */
pid_t runs_start(const char *sweep, const char *out, int ranks, double patience);
/* Start any command line, words separated by single blanks; output to FILE. */
pid_t runs_start_words(const char *words, const char *file);
/* Wait for its end, at most that long (times RUNS_SLOWNESS, here and below); its exit status, 128 + signal, or -1 when it did not end (and was killed). */
int runs_wait(pid_t pid, double seconds);
/* Its exit status if it has ended, -1 otherwise. */
int runs_poll(pid_t pid);
int runs_run(const char *sweep, const char *out, int ranks); /* start and wait; 60 s */
double runs_clock(void);

/* The text that the command printed; static. */
const char *runs_output(const char *file);
/* How many stages are finished, by the ledger; -1 while there is none. */
int runs_finished(const char *out);
/* Wait until so many are; false after 30 s. */
bool runs_wait_finished(const char *out, int count);

/* Processes of the run in this folder. */
enum runs_role { RUNS_MPIRUN, RUNS_RANK_0, RUNS_WORKER, RUNS_CHILD, RUNS_ROLES };
/* Some process with that role, the pick-th of those found modulo their number; 0 if there is none. */
pid_t runs_find(const char *out, enum runs_role role, unsigned pick);
/* All processes that work on this folder; waits up to five seconds for them to leave. */
int runs_alive(const char *out);

/* Compare what two runs came to: every number of /trials and /accuracy that is not a time, every stage's digest, and the
 * checkpoints' own digests; that no stage was recorded twice.  "" if they are the same, else what differs; static. */
const char *runs_difference(const char *out, const char *other);
/* Whether all that the first run came to is in the second one, which may have more trials: trials are found by their keys.
 * Checkpoints are not opened. */
const char *runs_missing(const char *part, const char *whole);
#endif
