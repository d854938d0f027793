/*
 * One client's session in the worker: what it knows, and the loop that serves
 * it.  Only files of this folder use it.  Everything the client says is
 * hostile; what the agent and the monitor say has passed the generic receiver
 * and is still checked for meaning.
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/exitcode.h"
#include "daemon/worker/data.h"
#include "daemon/worker/line.h"
#include "daemon/worker/queue.h"
#include "daemon/worker/rate.h"
#include "daemon/worker/reply.h"
#include "daemon/worker/stream.h"
#include "daemon/worker/verbs.h"
#include "privsep/chan.h"

enum session_limits {
	SESSION_UNKNOWN_MAX	= 10,	/* unknown commands before login */
	SESSION_LONG_MAX	= 5,	/* over-long lines */
	SESSION_USER_MAX	= 320
};

enum representation { REP_ASCII, REP_BINARY };

struct transfer;

/*
 * Order matters for memory: what is always used comes first and close
 * together; of the large arrays behind it only the beginnings are touched in
 * a session that is idle.
 */
struct session {
	/* Where it lives. */
	const struct settings *set;
	struct chan login, log, files, sign;
	struct stream control;
	struct addr peer, local;
	uint64_t id;

	/* How far it is. */
	bool live;			/* logged in */
	bool ending;			/* serve no further command */
	bool interrupted;		/* ending, and the client may still be talking */
	bool abort;			/* ABOR came during a transfer or computation */
	unsigned aborts;		/* ABORs that have no reply yet */
	bool busy;			/* a computation runs */
	const struct transfer *transfer;	/* that runs; NULL: none */
	enum sp_exit exit_code;
	const struct verb *verb;	/* being served */
	int64_t number;			/* of an ARG_NUMBER */
	const char *number_rest;	/* what follows it */
	int64_t since;			/* ms */
	int64_t idle_ms, idle_max_ms;
	unsigned unknown, too_long;

	/* What the next transfer is like; REIN forgets it, and who it is. */
	enum representation type;
	bool convert;			/* setting ascii */
	uint32_t facts;			/* of MLST and MLSD: mask of enum list_fact */
	unsigned hash;			/* row of the algorithms of digest.h */
	int64_t restart;		/* REST, 0: none */
	int64_t range_first, range_last;	/* RANG, last -1: none */
	int64_t allocated;		/* ALLO */
	struct data data;
	uint32_t stall_ms;
	struct rate up, down;
	uint64_t bytes_in, bytes_out;
	uint64_t bytes_listed;		/* of bytes_out, those of listings */
	bool rename_from;		/* RNFR went before */
	bool finish_due;		/* the FINISH of a download waits for the next request */
	struct msg_finish finish;

	/*
	 * TLS (tls*.c).  data_secure turns a fresh data stream into a TLS one; NULL while PROT is C.
	 */
	bool secure;			/* the control connection is under TLS */
	bool data_must_be_secure;	/* PROT P is demanded */
	int (*data_secure)(struct session *, struct stream *);
	const char *data_refusal;	/* why TLS on a data connection was refused: text of the 522; NULL: failed */
	bool certified;			/* the monitor has been sent the proof of the client's certificate */
	void *tls;

	/* Who it is. */
	uint32_t rights, flags;
	bool user_given;		/* USER came, PASS is awaited */
	bool user_refused;		/* logged in, and the last USER named another account */
	bool stop;			/* the server wants the session to end, with stop_text in its 421 */
	bool stop_now;			/* and does not wait for the end of a transfer */
	bool agent_lost;		/* it did not answer in time, and nothing more is expected of it */
	uint32_t stop_patience;		/* ms that a request may still take, from stop_at on */
	int64_t stop_at;
	uint8_t password_mark[32];	/* keyed digest of the login password, for SITE PSWD */
	char listener[65];
	char user[SESSION_USER_MAX + 1];
	char host[257];			/* HOST or SNI */
	char client[129];		/* CLNT */
	char stop_text[257];
	struct queue later;

	/* Large ones. */
	size_t challenge_len;
	uint8_t challenge[64];		/* of SERVE */
	char cwd[4097];
	struct line_reader in;
	struct reply out;
	char goodbye[1025];
	struct msg request __attribute__((aligned(4096)));	/* see session_request() */
	struct msg answer __attribute__((aligned(4096)));	/* to the last request */
};

/* Room for the body of a request: one at a time, so that not each command needs memory of its own. */
static inline void *
session_request(struct session *s)
{
	return &s->request.failed;
}

/* The session's start: channels in the order of SPAWN_WORKER. Nothing is allocated. */
void session_init(struct session *, const struct settings *, const int *fds, unsigned n);

/* Takes over what the settings say, after s->set has changed. */
void session_settle(struct session *);

/* Serves the client whose socket the stream has, from the greeting to the end. */
void session_serve(struct session *);

/* Ends the session after the reply that was just given. */
void session_end(struct session *, enum sp_exit);

/* 421 with this text, and the end. */
void session_stop(struct session *, const char *text, enum sp_exit);
/* The same for a client that may not have finished talking: what he still says is read, for a while, and not served. */
void session_hang_up(struct session *, const char *text);

/*
 * Reads what has arrived on the control connection into the line reader.  >0: bytes; 0: the client is gone;
 * -EAGAIN; a negative code.  What follows a REIN is left to the next session.
 */
ssize_t session_read(struct session *);

/*
 * What the agent sends without being asked; false: the channel is gone or broke its rules, and the session is
 * ending.
 */
bool session_news(struct session *);

/* Runs one line of the client, which may be changed. Exposed for tests and fuzzing. */
void session_command(struct session *, char *line, size_t len);

/* Does the argument fit what the row says? Sets number and number_rest. */
bool session_argument_fits(struct session *, const struct verb *, const char *argument);

/*
 * Records that the command that is being served, RETR, STOR, STOU or APPE, was refused before the agent heard of it;
 * of any other command nothing.  typed: the path, as the client sent it; reason: one word.
 */
void session_record_refusal(const struct session *, const char *typed, const char *reason);

/* Is it served at once while a transfer runs? */
bool session_urgent(const char *line, size_t len);
/*
 * The command that ends the session when its turn comes: "QUIT", or a REIN that gives the client back. NULL:
 * another.
 */
const char *session_last_word(const struct session *, const char *line, size_t len);
/* Does REIN give the client's connection back for another session? */
bool session_can_return(const struct session *);

/* Back to the state before USER (REIN, AUTH). */
void session_forget(struct session *);

#endif
