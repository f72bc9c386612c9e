/* What the probes share. Each probe is one attempt to get out of a jail or to take more than was given. It tells the
 * truth only if it can succeed: the suite runs each one first without a jail, against a canary (a file, a listener, a
 * process), and counts what the jail does only for probes that reached their canary there. */
#ifndef PROBE_H
#define PROBE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What came of an attempt. */
enum verdict { HELD, REACHED, UNSUPPORTED };

/* How an attempt is run and judged. */
enum kind {
    TRY,   /* one of many in one job; says itself whether it got through */
    BOMB,  /* alone in a job with small limits; got through if it lives to say so */
    LINGER, /* alone; got through if its heartbeat goes on after the job's end */
    PLANT, /* leaves something in the job's directory; got through if it is taken for a result */
    PRINT, /* writes to the output; got through if it reaches a terminal as it is */
};

struct probe {
    const char *name;
    enum kind kind;
    const char *why; /* what somebody could do with it, in one line */
    int (*run)(void);
};

/* The lists, one a file, each ended by an empty entry. */
extern const struct probe file_probes[], other_probes[], network_probes[], namespace_probes[], kernel_probes[],
    device_probes[], limit_probes[], result_probes[];

/* A setting by which the suite tells where a canary is (CANARY_FILE...); "" when there is none. */
const char *setting(const char *name);
/* The same as a number; 0 when there is none. */
long number(const char *name);
/* Whether this run is inside a jail. */
int jailed(void);

/* Verdicts, each with a line that says what happened. */
int reached(const char *format, ...) __attribute__((format(printf, 1, 2)));
int held(const char *format, ...) __attribute__((format(printf, 1, 2)));
int unsupported(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A call failed: in a jail it was held; outside, a kernel without the feature or a user without the right to it means
 * that there is nothing to hold here. */
int refused(const char *what);
/* REACHED if `result` is not negative, else refused(). */
int verdict_of(long result, const char *what);
/* For calls that are tried with impossible arguments: every error but a refusal shows that the kernel listened. */
int listened(long result, const char *what);

/* Whether a file, or what a descriptor reads, has the canary's token in it. */
int path_has_token(const char *path);
int fd_has_token(int fd);
/* Waits for a child; its wait status. */
int status_of(pid_t child);
/* Gives up root in this process, if it has it: for attempts to get it (back). */
void become_nobody(void);
/* The rights of root over namespaces of one's own: as root without a new user namespace, else in one. */
int unshare_as_root(int flags);

int canary_main(void);

#endif
