#ifndef TESTS_UNIT_MONITOR_H
#define TESTS_UNIT_MONITOR_H

#include <check.h>
#include <sys/types.h>

#include "privsep/chan.h"
#include "privsep/inflight.h"

/* SUITE(name): one suite a module of daemon/monitor/ */
#define MONITOR_SUITES(SUITE)	\
	SUITE(session)		\
	SUITE(login)		\
	SUITE(hostile)		\
	SUITE(serve)		\
	SUITE(home)		\
	SUITE(relay)		\
	SUITE(xferlog)

#define SUITE(name) Suite *monitor_##name##_suite(void);
MONITOR_SUITES(SUITE)
#undef SUITE

/*
 * A monitor in a process of its own, and the test at the other ends of its
 * channels: listener, worker and agent in one.
 */
struct rig {
	pid_t pid;
	struct chan listener, login, log, agent;
	size_t challenge_len;
	uint8_t challenge[64];	/* of SERVE */
	struct msg m;
	char dir[64];		/* home folders and log */
	char log_path[96];
	int descriptors;	/* that the monitor had open before it served anybody; -1: not to be seen */
	bool live;		/* by rig_live() */
	struct inflight *inflight;	/* of rig_admit(): what its agent notes */
	int kept;		/* more of them at the end than the test's session needs without it: ledger, clerk */
};

/* The system of rig_start()'s monitors: no root, no agent of their own. */
const struct monitor_system *rig_system(void);

/* The setting login_delay of monitors started from now on, and the addresses of their clients. */
extern const char *rig_login_delay, *rig_peer, *rig_local;

/* How long monitors started from now on wait for the last process of a session: PATIENCE_MS, if not said otherwise. */
void rig_survivors(int milliseconds);
/* Starts one with these lines of configuration besides those that all tests need. */
void rig_start(struct rig *, const char *config);
/* Worker and agent report ready; the monitor says so. */
void rig_ready(struct rig *);
/* And a client comes; the worker gets its socket. */
void rig_client(struct rig *);
/* The same for one whose arrival is not to be logged. */
void rig_quiet_client(struct rig *);
/* The worker asks; the test goes on with what follows. */
void rig_login(struct rig *, const char *user, const char *password);
/* Plays listener and agent of a good login and takes LOGIN_OK; the agent gets the profile in *profile. */
void rig_admit(struct rig *, struct msg_profile *profile, int *root_fd);
/* All of it. */
void rig_live(struct rig *, const char *user, const char *password);

/* Next message of a channel, which must be of that type. */
void rig_expect(struct rig *, struct chan *, enum msg_type);
/* Closes all channels and returns the monitor's exit code; fails the test if it hangs. */
int rig_end(struct rig *);
/* The exit code without closing anything first. */
int rig_wait(struct rig *);
/* Does the log hold the text? */
bool rig_logged(struct rig *, const char *text);
void rig_remove(struct rig *);

#endif
