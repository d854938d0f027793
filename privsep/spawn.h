/*
 * Executes one of sallyport's programs with nothing but what it is given:
 * a clean environment (of the caller's JOURNAL_STREAM only), descriptors 3, 4, ...
 * as listed, /dev/null as stdin and stdout, the caller's stderr, default signals.
 * Used by the listener.
 */
#ifndef PRIVSEP_SPAWN_H
#define PRIVSEP_SPAWN_H

#include <sys/types.h>

struct spawned {
	pid_t pid;
	int pid_fd;		/* the caller's, close-on-exec */
};

/*
 * path: the program; name: its argv[0].  fds[0..n-1] become 3, 4, ... and
 * stay the caller's; where one is -1, that number is closed.  Does not wait for the exec: a program that cannot be
 * executed says so on stderr and ends with SP_EXIT_OS.  0 or -errno.
 */
int spawn_program(const char *path, const char *name, const int *fds, unsigned n, struct spawned *);
/* The same for a program that logs itself: it has the caller's stdout, which may be the log, as well as stderr. */
int spawn_logging(const char *path, const char *name, const int *fds, unsigned n, struct spawned *);

/*
 * Executes another program with arguments (argv ends with NULL) in the same
 * clean surroundings.  What it writes to stdout and stderr can be read from *output_fd,
 * which is the caller's, non-blocking and close-on-exec.  0 or -errno.
 */
int spawn_command(const char *path, const char *const *argv, int *output_fd, struct spawned *);

/* Sends a signal to a child that has not been waited for. 0 or -errno. */
int spawn_signal(const struct spawned *, int number);

#endif
