/*
 * A session's monitor: says who the client is, starts its agent under that
 * identity, and afterwards keeps the session's log and the few operations
 * that need a privilege.
 *
 * It trusts the listener and the configuration.  The worker is hostile: it
 * reads the network.  The agent is hostile too: it runs under the uid of a
 * person who may have a shell.  Both are bounded by the message table, and what they claim
 * is checked here.  One process serves one session, so it may end for a bad
 * message.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "account/account.h"
#include "account/charge.h"
#include "common/addr.h"
#include "common/conf.h"
#include "common/exitcode.h"
#include "privsep/chan.h"
#include "privsep/role.h"

#define SLIM_AT_ONCE 1

#define ACTIVITY_MS 1000	/* what the listener knows of transfers is no older */

enum monitor_stage {
	STAGE_START,	/* worker and agent have not both reported ready */
	STAGE_SPARE,	/* nobody is served yet */
	STAGE_LOGIN,	/* a client, not logged in */
	STAGE_LIVE	/* logged in */
};

/* What worker and agent may do some of at once, and little of for long. */
enum ration { RATION_WORKER_LINE, RATION_REFUSAL, RATION_RECORD, RATION_ADMIN, RATION_NOTE, RATION_COUNT };

struct monitor_budget {
	int64_t since;		/* when tokens was right, in milliseconds; 0: never used */
	unsigned tokens;
};

struct monitor {
	struct chan listener, login, log, agent;
	enum monitor_stage stage;
	bool worker_ready, agent_ready;
	bool selftest;			/* no client: the listener tries out a session (daemon/listener/selftest.h) */
	struct timespec connected;	/* when the client was handed over */
	bool quiet;			/* not in the log as long as it has not logged in: the listener counts it */
	bool ended;
	int exit_code;
	enum sp_end why;		/* that is no end of the client's: who or what has ended the session first */

	uint64_t session;
	char listener_name[65];
	const struct settings *base;	/* of that listener */
	struct addr peer, local;
	char peer_text[ADDR_TEXT_MAX];
	char context[ACCOUNT_NAME_MAX * 4 + ADDR_TEXT_MAX + 64];	/* of log lines: session, rhost, and user when there is one */
	size_t context_len;		/* of it without the user */
	pid_t agent_pid, worker_pid;	/* reaped by the listener, and not while the session lives */
	char names[2049];		/* NAME=ADDRESS for passive_address, separated by blanks */

	unsigned attempts;		/* failed ones */
	const char *limit_name;		/* the setting that keeps the account out, NULL: none does */
	uint64_t limit;			/* its value */
	bool suspect;			/* the client's source has failed elsewhere lately */
	volatile bool checking;		/* a password: a signal ends the session (grace.c) */
	bool deciding;			/* a LOGIN has not been answered yet: another one breaks the protocol */
	int64_t deadline;		/* of the stage, in milliseconds; 0: none */
	int64_t silent_until;		/* when a transfer that stands still ends the session, in milliseconds; 0: none does */
	int64_t activity_at;		/* when the listener hears of what the session does, in milliseconds; 0: it knows */
	int64_t slim_at;		/* when memory of the login is given back, or SLIM_AT_ONCE; 0: done */
	bool stopping;			/* the agent was told to end */
	bool gave_back;			/* the client's connection, to the listener (REIN) */
	int rate_fd;			/* shared rate buckets, on their way to the worker; -1 */

	struct account account;
	bool have_account;
	bool pam_session;
	pid_t own_agent;		/* started by us, inside the PAM session; 0: none */
	struct charge charge;		/* of the account's quota, if it has one */
	bool witness_given;		/* to the agent */
	bool has_clerk;
	int clerk_fd;			/* to the clerk, if there is one */
	bool answers_at_once;		/* the agent asks for things that it waits for: no batches */
	char guest[65];			/* what an anonymous client gave as its password */
	char root_path[4096];		/* the folder that the client sees as / */
	struct monitor_budget budgets[RATION_COUNT];
	uint64_t worker_lines_dropped;	/* not yet told of */
	int64_t agent_rests_until;	/* ms: its channel is not read before */
	uint64_t transfers, incomplete, bytes_in, bytes_out;
	int inflight_fd;		/* where the agent notes the transfer that runs (privsep/inflight.h); -1: nowhere */
	uint64_t recorded;		/* those of its transfers that the agent has told the end of */
	char activity[257];		/* what runs, by the last note; "": nothing */
	uint64_t noted_in, noted_out;	/* bytes of the session, by the last note */
	uint64_t moved, last_moved;	/* bytes of the one that runs, by the last note, and of the one that was broken off */
	bool broken_off;		/* the session ended in the middle of a transfer */
	struct chan last_word;		/* the listener's channel once the listener has closed its direction */

	bool claimed;			/* the worker has sent a handshake in which a certificate was shown */
	size_t challenge_len, certificate_len;
	uint8_t challenge[64];		/* what the client must have signed; empty: nobody is asked for a certificate */
	uint8_t certificate[8192];	/* what has been proved of the client (struct account_query); empty: nothing */
};

/* What a test replaces: it has no root, or no agent in a process of its own. */
struct monitor_system {
	int (*verify_agent)(const struct monitor *);
	int (*leave_root)(uint64_t caps);
	int (*start_agent)(struct monitor *, int files_fd);	/* a fresh one: sets own_agent and the channel */
	int (*become_clerk)(void);	/* in the child: capabilities and filter */
	int (*start_verifier)(pid_t *, int *fd);	/* a fresh one, and our end of its channel */
	int end_wait;	/* ms that one process of a session may outlive another */
};
extern const struct monitor_system *monitor_system;

/* What was prepared in the template. */
struct monitor_prepared {
	const struct conf *conf;
	struct account_sources sources;
	struct role_id id, worker_id;	/* monitor_user, worker_user */
	bool lax;
};
extern struct monitor_prepared monitor_prepared;

/*
 * What only a login needs: messages on their way in and out.  Page by page in
 * one place, so that a live session, which may idle for hours, gives it back.
 */
struct monitor_scratch {
	struct msg received;	/* session.c: the message that is handled */
	struct msg request;	/* login.c: the LOGIN that is being decided */
	struct msg answer;	/* admit.c: of listener or agent */
	union {			/* admit.c: bodies sent, one after the other */
		struct msg_claim claim;
		struct msg_layer layer;
		struct msg_profile profile;
		struct msg_login_ok login_ok;
		struct msg_verify verify;	/* proof.c */
	} body __attribute__((aligned(4096)));
	char start[4096];	/* admit.c: where the session begins */
	char value[4096];	/* profile.c: a setting as text */
} __attribute__((aligned(4096)));	/* whole pages: nothing else is given back with it */
extern struct monitor_scratch monitor_scratch;

/* ------------------------------------------------------------------ session.c */

/* The program's two halves, see privsep/template.h. fds: listener, login, log, agent. */
int monitor_warm_up(const struct conf *);
int monitor_session(const int *fds, unsigned n);

/* May things be done now? Not while the log takes no lines, by the setting audit_full. */
bool monitor_may_go_on(void);
/* Ends the session, in order and soon, when they may not: called for each line that is evidence. */
void monitor_check_log(struct monitor *);

/* From now on log lines name this user: who is logging in, or has. NULL: nobody yet. */
void monitor_name_user(struct monitor *, const char *user);
/* A client whose arrival was not to be logged has logged in: it is logged now. */
void monitor_put_on_record(struct monitor *);

/* Ends the session after the running handler. The first code counts. */
void monitor_end(struct monitor *, int exit_code);

/*
 * Sends a request and waits for its answer, while other messages of that
 * channel are handled as usual.  answer is overwritten; its type is want or
 * FAILED.  0, or a negative code, after which the session has been ended.
 */
int monitor_call(struct monitor *, struct chan *, enum msg_type, const void *body, const int *fds, unsigned fd_count,
    struct msg *answer, enum msg_type want);

/*
 * The halves of monitor_call(), for two questions at once: between them
 * nothing else may be sent on that channel.
 */
int monitor_ask(struct monitor *, struct chan *, enum msg_type, const void *body, const int *fds, unsigned fd_count);
int monitor_await(struct monitor *, struct chan *, struct msg *answer, enum msg_type want);

/* Handles what arrives for at most so many milliseconds, or until the session ends. */
void monitor_wait(struct monitor *, int64_t milliseconds);

/* ------------------------------------------------------------------- handlers */

/* 0, or a negative code for a peer that broke the protocol. */
typedef int monitor_handler(struct monitor *, struct msg *);

monitor_handler monitor_prepare, monitor_login;			/* login.c */
monitor_handler monitor_worker_log, monitor_agent_log;		/* relay.c */
monitor_handler monitor_transfer_record;			/* xferlog.c */
/* At the end: records the transfer that the agent has begun and will not tell the end of, if there is one. */
void monitor_record_lost(struct monitor *);
monitor_handler monitor_chown, monitor_admin, monitor_note;	/* serve.c */
/* Tells the listener what runs and how much was transferred, or sees to it that it is told soon. */
void monitor_tell_activity(struct monitor *, int64_t now);
/* Sees to it that it is told at that time (milliseconds of clock_ms()) at the latest. */
void monitor_activity_by(struct monitor *, int64_t when);
monitor_handler monitor_quota, monitor_quota_lock, monitor_quota_open, monitor_quota_deed, monitor_quota_settle,
    monitor_quota_intend, monitor_quota_find, monitor_quota_gone;	/* quota.c */

/* The ledger of an account with a quota, while it can be opened. 0 or a negative code. */
int monitor_open_ledger(struct monitor *);
/*
 * Before root is left: bounds what the worker can write to a file, by the account's limits. 0 or -errno: our
 * identity is not ours.
 */
int monitor_limit_worker(const struct monitor *);
monitor_handler monitor_bind_low;				/* lowport.c */

/* May the session's account change others? serve.c */
bool monitor_is_administrator(const struct monitor *);

/* ----------------------------------------------------------------- stranger.c */

/* From now on so many lines of the log may be about the client, until it has logged in; others are kept and counted. */
void monitor_stranger_comes(struct monitor *, unsigned lines);
/* Is every line counted until this is called again, or some events not? */
void monitor_stranger_counts(bool every);
/* It has logged in: what was kept is logged. */
void monitor_stranger_is_known(struct monitor *);
/* The session ends: if nobody has logged in, the listener is told what was not logged. Safe in a signal handler. */
void monitor_stranger_goes(void);

/* ------------------------------------------------------------------- ration.c */

/* Takes one from the ration; false: it is used up for the moment. */
bool ration_spend(struct monitor *, enum ration);
/* The same for what the agent did already: when it is used up, the agent is not listened to for a while. */
void ration_agent(struct monitor *, enum ration);
/* Milliseconds for which the agent is still not listened to; 0: it is. A session that ends hears all that is left. */
int64_t ration_rest(const struct monitor *);

/* Tells how many lines were dropped, if any. relay.c */
void monitor_report_dropped(struct monitor *);

/* --------------------------------------------------------------------- admit.c */

/*
 * Everything between a right password and LOGIN_OK.  True when the session is live; else
 * *why says why not, and *final that no other attempt can succeed.
 */
bool monitor_admit(struct monitor *, const struct msg *login, enum account_reason *why, bool *final);
/* Forgets the account of a failed attempt. */
void monitor_forget_account(struct monitor *);

/* ---------------------------------------------------------------------- home.c */

/*
 * Opens what the client will see as /, as the account sees it, and sets root_path and the start folder in
 * monitor_scratch; makes a home that is missing, if it may.  A descriptor, or a negative code, logged.
 */
int monitor_open_root(struct monitor *);

/* ------------------------------------------------------------------- profile.c */

/* The real verify_agent of struct monitor_system: looks at the agent in /proc. 0 or a negative code, logged. */
int monitor_verify_agent(const struct monitor *);
/* enum profile_flag of the account. */
uint8_t monitor_profile_flags(const struct monitor *);
/* Sends policy and profile. */
bool monitor_send_profile(struct monitor *, int root_fd);
/* True when the agent has become the account, verified from outside, with PROFILE_OK as the answer. */
bool monitor_await_agent(struct monitor *);

/* ---------------------------------------------------------------------- proof.c */

/*
 * In the template: keeps what starting a verifier takes, if any listener asks for certificates. files_fd is taken
 * over, -1: none. 0 or a negative code.
 */
int proof_prepare(const struct conf *, int files_fd);
/* A client has come: makes up what it will have to sign, where it will be asked for a certificate. 0 or -errno. */
int proof_begin(struct monitor *);
/* PROVE: has the handshake verified, once. What is proved stands in certificate afterwards. */
monitor_handler monitor_prove;
/* The real start_verifier of struct monitor_system: executes the program. 0 or a negative code. */
int proof_start_verifier(pid_t *, int *fd);

/* ----------------------------------------------------------------- pamsession.c */

/* The program of a role, beside ours. 0 or a negative code. */
int monitor_find_program(enum msg_role, char *out, size_t size);

/*
 * In the template: keeps what starting an agent takes. Both descriptors are taken over, -1: none. 0 or a negative
 * code.
 */
int pamsession_prepare(const struct conf *, int filters_fd, int hold_fd);
/*
 * Opens the account's PAM session and starts an agent inside it, in place of
 * the spare's.  True also for accounts without one.
 */
bool pamsession_open(struct monitor *);
/* The real start_agent of struct monitor_system: executes the program, which forks one agent. 0 or a negative code. */
int pamsession_start_agent(struct monitor *, int files_fd);
/* Waits until that agent has ended, not for long. */
void pamsession_reap(struct monitor *);
/* Was this process told to end (SIGTERM) while it has a session to close? */
bool pamsession_terminated(void);

/* --------------------------------------------------------------------- grace.c */

/*
 * After so many seconds the session ends with a 421, whatever this process is
 * doing, a PAM module that blocks included: the handler sends what has been
 * prepared here and exits.  0 or -errno.
 */
int grace_start(struct monitor *, unsigned seconds);
/* In the template: what all sessions have alike. Without it grace_start() does it. 0 or -errno. */
int grace_prepare(void);
void grace_stop(void);
/*
 * A password is being checked, or not any longer: when the listener says so by a signal, the session ends with a
 * 421 meanwhile.
 */
void grace_checking(struct monitor *, bool checking);

/* -------------------------------------------------------------------- clerk.c */

enum clerk_operation { CLERK_ADD, CLERK_PASSWORD, CLERK_LOOK_UP };

struct clerk_answer {
	int code;		/* 0 or a negative one */
	uid_t uid;		/* of the account looked up */
	int64_t id;		/* its number in a permission language, or -1 */
};

/* The real become_clerk of struct monitor_system. 0 or a negative code. */
int clerk_confine(void);

/*
 * Forks the clerk while this process still has the privileges for one, if the account can ever need
 * it. 0 or a negative code.
 */
int clerk_start(struct monitor *);

/*
 * Asks the clerk; without one, does it here.  password (NULL: none) and home as the operation needs
 * them. The answer's code.
 */
int clerk_ask(struct monitor *, enum clerk_operation, const char *account, const struct secret *password,
    const char *home,
    struct clerk_answer *);

/* ------------------------------------------------------------------- xferlog.c */

/*
 * Writes the line of xferlog(5) that wu-ftpd writes into out[size]; returns its length, newline
 * included, or 0 when it does not fit.  when: the end of the transfer.
 */
size_t xferlog_line(char *out, size_t size, time_t when, const struct monitor *, const struct msg_transfer_record *);

#endif
