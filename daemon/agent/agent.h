/*
 * The agent: one process a session, the user for ever.  It decides every
 * request of the worker and carries it out below the root that the monitor
 * gave it.  It never reads a byte from the network; the worker on the other
 * end of CH_FILES is taken to be in the client's hands.
 *
 * Who does what here:
 *	session.c	from the profile to the end: drop, jail, loop, monitor
 *	serve.c		one request: its subject, the gate, its handler
 *	gate.c		the one place where a request is decided
 *	authz/root.c	the one place where a client's path becomes a descriptor
 *	quota.c		what the account is charged with, and when
 *	temporary.c	files of uploads that are not complete
 *	ratio.c		how much a session may download for what it uploads
 *	upload.c, commit.c, transfer.c, change.c, attribute.c, listing.c, data.c,
 *	explain.c, account.c	handlers, which act on what gate and root found
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "authz/authz.h"
#include "authz/root.h"
#include "authz/tree.h"
#include "common/addr.h"
#include "common/conf.h"
#include "privsep/chan.h"
#include "privsep/inflight.h"

/* What a handler returns, beside 0 (answer DONE) and negative codes (answer FAILED). */
#define ANSWERED	1	/* the handler has answered, or there is no answer */
#define AGAIN		2	/* the tree changed under the request: find and decide it anew */

#define AGENT_MESSAGE_MAX 4096	/* bytes of a folder's message file that are shown */

/* How an upload takes its name. */
enum upload_commit {
	COMMIT_NONE,		/* written in place, under its own name */
	COMMIT_RENAME,		/* a temporary file takes the name */
	COMMIT_COPY		/* its content is copied into the file of that name, whose owner or links must stay */
};

enum transfer_kind { TRANSFER_NONE, TRANSFER_READ, TRANSFER_WRITE };

/* The transfer that is open, if any. */
struct transfer {
	enum transfer_kind kind;
	enum upload_commit commit;
	int fd;			/* the same open file that the worker has; -1: none */
	int dir_fd;		/* folder of the file, for the commit */
	int victim_fd;		/* COMMIT_COPY: the file that stays */
	bool existed;		/* there was a file of that name when it began */
	bool may_create, may_replace;	/* what the policy grants for that name */
	bool append;
	uint64_t offset;	/* where the first byte went */
	uint64_t old_size;	/* of the file that is replaced or changed */
	uint64_t limit;		/* size that it may reach */
	const char *limit_name;	/* the setting that it comes from, "": none */
	int64_t began;		/* clock_ms() */
	char temp[64];		/* name of the temporary file */
	char path[ROOT_PATH_MAX + 1];	/* canonical */
	char leaf[ROOT_NAME_MAX + 1];
};

struct listing;

/* A decision that waits for the outcome of what it allowed, for the audit log. */
struct decision {
	enum authz_op op;
	bool allow, by_object;		/* by_object: it is about the place (else about the session) */
	bool source;			/* about the source of a rename */
	bool last_upload;		/* about the file that the session uploaded last, where that matters */
	char reason[512];		/* "": the decision itself is not to be recorded, only a failure */
};

/*
 * What is small and always used stands in front, together: an idle session is
 * paid for by the pages it has touched.
 */
struct agent {
	struct chan monitor, files;
	unsigned states;	/* of CH_FILES */
	bool ending;		/* the monitor wants the session to end, and the worker does not know yet */
	bool worker_silent;	/* the monitor was told that the worker may be held in a transfer */
	struct root root;
	struct conf *conf;
	const struct settings *set;

	/* identity, from the profile */
	uint64_t session;
	uid_t uid;
	gid_t gid;
	size_t group_count;
	uint32_t dialect_uid;
	unsigned flags;		/* enum profile_flag */
	mode_t mask;
	char user[321];
	struct addr peer, local;

	/* the request being served */
	struct authz_policy *policy;
	struct tree tree;
	struct authz_verdict verdict;
	enum fail_reason refusal;	/* with SP_EDENIED from a handler */
	int refusal_error;		/* an errno that goes with it, or 0 */
	char refusal_text[512];
	char end_text[257];

	/* state between requests */
	char *start;		/* the folder that the session began in; NULL: the root */
	struct listing *listing;
	int listen_fd;
	struct addr listen_addr;
	uint64_t unique_key[2];
	bool warned_unresolved;		/* a name in passive_address: said once */
	bool quota_locked, quota_opened;	/* see quota.h */
	int quota_witness;			/* kept, and nothing else; 0: none yet */
	int64_t quota_swept;			/* clock_ms() */
	uint64_t uploaded, downloaded;	/* bytes of this session, for ratio.c */
	struct inflight *inflight;	/* where the monitor finds what is being transferred; NULL: nowhere */
	struct transfer transfer;
	char cwd[ROOT_PATH_MAX + 1];
	gid_t groups[1024];

	/* From here on nothing outlives a request, but for the source of a rename. */
	char rename_from[ROOT_PATH_MAX + 1];
	struct place place, source;	/* of the request; the source of a rename */
	struct decision decisions[2];	/* what the gate decided about them and has not recorded yet */
	unsigned decided;
	struct msg in;
	struct msg reply;		/* of the monitor */
	union {
		struct msg_profile_ok profile_ok;
		struct msg_where where;
		struct msg_text text;
		struct msg_lines lines;
		struct msg_admin admin;
		struct msg_transfer_record record;
		struct msg_quota_open quota_open;
		struct msg_quota_intend quota_intend;
	} out;
};

/* ---- session.c ------------------------------------------------------------ */

/* The life of an agent on its two channels (agent, files). Returns an enum sp_exit. */
int agent_session(const int *fds, unsigned n);
/* Prepares what every session needs; conf is kept. 0 or a negative code. */
int agent_warm_up(const struct conf *);

/*
 * Asks the monitor: as chan_call(), but an AGENT_END that crosses the request
 * is remembered.  The answer is in agent->reply; the caller ends with msg_close().
 * A refusal of the monitor's becomes a refusal to the worker (agent_refuse).
 */
int agent_ask(struct agent *, enum msg_type, const void *body, const int *fds, unsigned count, enum msg_type want);

/* ---- serve.c -------------------------------------------------------------- */

/* Serves the request in agent->in. 0, or a negative code after which the session ends. */
int serve(struct agent *);

/* Records why a handler refuses, for its "return agent_refuse(...)". text may be NULL. Always SP_EDENIED. */
int agent_refuse(struct agent *, enum fail_reason, const char *text);
/* Sends the answer to the request; returns ANSWERED or the error of the channel. */
int agent_answer(struct agent *, enum msg_type, const void *body, const int *fds, unsigned count);

/* ---- policy.c ------------------------------------------------------------- */

/* Receives the layers and compiles them. */
struct layers;
int policy_add(struct agent *, const struct msg_layer *);
int policy_begin(struct agent *, const struct msg_profile *);
/* Marks a new object as the session's own, where a permission language keeps owners of its own. */
void policy_own(struct agent *, int fd);
/* The same for another account's number there. */
void policy_give(struct agent *, int fd, uint32_t dialect_uid, const char *name);

/*
 * While the members of a folder are listed, which fd holds open: a policy whose rules stand in the tree is asked about
 * them through the folders that lead there.  Where another folder has taken its path there is no answer, and the perm
 * facts grant nothing.  fd -1 ends it.  Changes the process's working directory, which nothing else relies on.
 */
void policy_list(struct agent *, const char *typed, const char *path, int fd);
/* Back to that folder, after another place was asked about. */
void policy_list_on(struct agent *);
/* The account that the entry being listed belongs to, where a permission language keeps owners; NULL: not known. */
const char *policy_owner_name(const struct agent *, char *name, size_t size);

/* ---- data.c, upload.c, listing.c: ends ------------------------------------- */

/* What is open when the session ends: an upload that broke off is committed or removed. */
void transfer_abandon(struct agent *);
void listing_close(struct agent *);

/* ---- handlers --------------------------------------------------------------
 * Each serves one message that the gate has let pass; agent->place is where it
 * acts.  0 (answer DONE), ANSWERED, AGAIN, -errno, or agent_refuse().
 */
#define HANDLER(name) int handle_##name(struct agent *, const struct msg *)
HANDLER(change_dir); HANDLER(facts); HANDLER(mlst); HANDLER(retrieve); HANDLER(digest); HANDLER(store);
HANDLER(store_unique); HANDLER(append); HANDLER(finish); HANDLER(list_open); HANDLER(names_open);
HANDLER(list_next); HANDLER(list_close); HANDLER(make_dir); HANDLER(remove_dir); HANDLER(delete);
HANDLER(rename_from); HANDLER(rename_to); HANDLER(change_mode); HANDLER(set_time); HANDLER(change_owner);
HANDLER(set_umask); HANDLER(make_link); HANDLER(read_link); HANDLER(acl_get); HANDLER(acl_set); HANDLER(space);
HANDLER(explain); HANDLER(add_account); HANDLER(own_password); HANDLER(set_password); HANDLER(listen);
HANDLER(connect); HANDLER(note);
#undef HANDLER

/* ---- subjects: what a request is about, found before it is decided ---------- */

typedef int subject_fn(struct agent *, const struct msg *, const char *path);
/* tree_find() for the session. */
int subject_find(struct agent *, int op, const char *path, enum root_last, struct place *);
subject_fn subject_object, subject_name, subject_session, subject_unique, subject_listing, subject_rename_to;

#endif
