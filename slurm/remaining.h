/* slurm/remaining.h - how long the job around this process may go on. */
#ifndef SLURM_REMAINING_H
#define SLURM_REMAINING_H

/* When SLURM will end the job, s since 1970: SLURM_JOB_END_TIME, which newer versions set, or now and what squeue says is left.
 * 0: no job, no limit, or nobody knows. */
double remaining_end(void);

/* Seconds of "12:34", "1:02:03" or "2-01:02:03", as squeue writes times; -1: another text, such as UNLIMITED. */
double remaining_read(const char *text);

#endif
