/*
 * The messages between processes: types, bodies, and what the table says of
 * each (privsep/messages.def).  A body holds copies, never pointers into a
 * packet.  Everybody may use it.  It trusts nothing that it decodes.
 */
#ifndef PRIVSEP_MSG_H
#define PRIVSEP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"
#include "common/wire.h"

#define MSG_FDS_MAX	4
#define MSG_SIZE_MAX	(68 * 1024)	/* the largest packet, header included */

enum msg_role {
	ROLE_ANY, ROLE_LISTENER, ROLE_TEMPLATE, ROLE_MONITOR, ROLE_WORKER, ROLE_AGENT, ROLE_KEEPER, ROLE_CLERK,
	ROLE_STARTER, ROLE_OLD, ROLE_NEW, ROLE_VERIFIER, ROLE_CTL
};

/* One kind per pair of roles that talk; the graph of channels is the policy. */
enum msg_channel {
	CH_ANY,
	CH_TEMPLATE,	/* listener - template */
	CH_SESSION,	/* listener - monitor */
	CH_LOGIN,	/* monitor - worker, closed at login */
	CH_LOG,		/* worker -> monitor, one way */
	CH_AGENT,	/* monitor - agent */
	CH_FILES,	/* worker - agent */
	CH_SIGN,	/* worker - keeper */
	CH_KEEPER,	/* listener - keeper */
	CH_START,	/* listener - starter */
	CH_LINK,	/* listener - the listener of another generation */
	CH_VERIFY,	/* monitor - verifier */
	CH_CONTROL	/* sallyctl - listener */
};

/* States of a receiver; a process may be in several at once. */
enum msg_state {
	ST_START	= 1 << 0,	/* the peer has not reported ready */
	ST_SPARE	= 1 << 1,	/* ready, nobody is served yet */
	ST_LOGIN	= 1 << 2,	/* a client, not logged in */
	ST_LIVE		= 1 << 3,	/* logged in; shared processes: always */
	ST_TRANSFER	= 1 << 4,	/* the agent: a transfer is open */
	ST_LISTING	= 1 << 5,	/* the agent: a listing is open */
	ST_RENAMING	= 1 << 6,	/* the agent: RENAME_FROM went before */
	ST_AWAIT	= 1 << 7	/* an answer is awaited (chan_call) */
};

enum msg_type {
	MSG_NONE,
#include "privsep/messages_rows.h"
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) MSG_##NAME,
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
	MSG_COUNT
};

/* Why a request FAILED. The worker turns it, with the verb, into a reply code. */
/* What a worker says of itself (PULSE). */
enum pulse_state {
	PULSE_ANSWERED, PULSE_WAITING, PULSE_HURRIED, PULSE_BROKEN_OFF, PULSE_IDLE, PULSE_HUNG_UP, PULSE_STATES
};

enum fail_reason {
	FAIL_POLICY,		/* a policy layer denies; text explains if the account may see it */
	FAIL_SYSTEM,		/* the kernel refused: error says why */
	FAIL_PATH,		/* not a path that can be used: outside the root, a loop of links, forbidden bytes */
	FAIL_KIND,		/* a folder where a file is needed, or the reverse, or neither */
	FAIL_QUOTA,		/* a limit of ours: text names it */
	FAIL_BUSY,		/* no resource left for it: passive ports, listings */
	FAIL_PEER,		/* the address is not the session's peer */
	FAIL_ARGUMENT,		/* understood but not possible here: text says why */
	FAIL_KEEPER		/* the keeper does not sign that */
};

enum list_format { LIST_LONG, LIST_FACTS, LIST_NAMES };

enum list_option {
	LIST_ALL	= 1 << 0,	/* -a: . and .. and hidden ones */
	LIST_ALMOST_ALL	= 1 << 1,	/* -A: hidden ones */
	LIST_RECURSIVE	= 1 << 2,	/* -R */
	LIST_BY_TIME	= 1 << 3,	/* -t */
	LIST_BY_SIZE	= 1 << 4,	/* -S */
	LIST_REVERSE	= 1 << 5,	/* -r */
	LIST_CLASSIFY	= 1 << 6,	/* -F */
	LIST_SELF	= 1 << 7,	/* -d: the folder itself */
	LIST_NO_HEAD	= 1 << 8	/* MLSD without cdir and pdir */
};

/* Facts of MLST and MLSD (RFC 3659, 7.5), as chosen by OPTS MLST. */
enum list_fact {
	FACT_TYPE	= 1 << 0,
	FACT_SIZE	= 1 << 1,
	FACT_MODIFY	= 1 << 2,
	FACT_PERM	= 1 << 3,
	FACT_UNIQUE	= 1 << 4,
	FACT_MODE	= 1 << 5,
	FACT_OWNER	= 1 << 6,
	FACT_GROUP	= 1 << 7
};

/* Flags of PROFILE. */
enum profile_flag {
	PROFILE_JAIL		= 1 << 0,	/* chroot into the directory; otherwise it is / */
	PROFILE_ANONYMOUS	= 1 << 1,
	PROFILE_QUOTA		= 1 << 2,	/* there is a ledger: charge it with QUOTA */
	PROFILE_CHOWN		= 1 << 3,	/* the monitor will carry out CHOWN_FILE */
	PROFILE_BIND_LOW	= 1 << 4,	/* the monitor will carry out BIND_LOW */
	PROFILE_ADMIN		= 1 << 5,	/* the monitor will carry out ADMIN for other accounts */
	PROFILE_OWN_PASSWORD	= 1 << 6,	/* the monitor will carry out ADMIN_OWN_PASSWORD */
	PROFILE_RECORDS		= 1 << 7	/* send TRANSFER_RECORD */
};

/* Flags of LOGIN_OK. */
enum login_flag {
	LOGIN_ANONYMOUS		= 1 << 0,
	LOGIN_DENY_550		= 1 << 1,	/* setting denial_code */
	LOGIN_DENY_553		= 1 << 2,
	LOGIN_NO_ACTIVE		= 1 << 3,	/* settings active_mode and passive_mode */
	LOGIN_NO_PASSIVE	= 1 << 4,
	LOGIN_NO_WHY		= 1 << 5	/* setting explain_denials */
};

/* FINISH_HOW(name, word in the log, meaning): how a transfer ended, in FINISH and TRANSFER_RECORD. */
#define FINISH_HOWS(FINISH_HOW) \
	FINISH_HOW(FINISH_OK, "ok", "it is complete") \
	FINISH_HOW(FINISH_ABORTED, "aborted-by-client", "the client broke it off") \
	FINISH_HOW(FINISH_STOPPED, "session-ended", "the client or the server ended the session") \
	FINISH_HOW(FINISH_UNCONNECTED, "no-data-connection", "there was no data connection") \
	FINISH_HOW(FINISH_INSECURE, "tls-failed", "the TLS handshake of the data connection failed") \
	FINISH_HOW(FINISH_BROKEN, "connection-broken", "the data connection was lost") \
	FINISH_HOW(FINISH_CUT, "tls-not-closed", "the client ended the data connection without ending TLS") \
	FINISH_HOW(FINISH_STALLED, "stalled", "no byte moved for stall_timeout") \
	FINISH_HOW(FINISH_UNREADABLE, "unreadable", "the file could not be read") \
	FINISH_HOW(FINISH_SHORTENED, "file-shortened", "the file was cut while it was being sent") \
	FINISH_HOW(FINISH_UNWRITABLE, "unwritable", "the file could not be written") \
	FINISH_HOW(FINISH_NO_ROOM, "limit-reached", "it met the setting that limit names") \
	FINISH_HOW(FINISH_NOT_KEPT, "not-kept", "the file could not be given its name") \
	FINISH_HOW(FINISH_KILLED, "killed", "a process of the session was killed, or is held by a file system")

enum finish_how {
#define FINISH_HOW(name, word, meaning) name,
	FINISH_HOWS(FINISH_HOW)
#undef FINISH_HOW
	FINISH_HOW_COUNT
};

/* Of TRANSFER_RECORD. */
enum transfer_direction { TRANSFER_OUT, TRANSFER_IN, TRANSFER_DELETED };

enum admin_operation { ADMIN_ADD, ADMIN_OWN_PASSWORD, ADMIN_SET_PASSWORD };

#define F_U8(n)		uint8_t n;
#define F_U16(n)	uint16_t n;
#define F_U32(n)	uint32_t n;
#define F_U64(n)	uint64_t n;
#define F_STR(n, max)	char n[(max) + 1];
#define F_TEXT(n, max)	char n[(max) + 1];
#define F_PATH(n, max)	char n[(max) + 1];
#define F_BLOB(n, max)	size_t n##_len; uint8_t n[max];
#define F_SECRET(n)	struct secret n;
#define GATE(op)
#define UNGATED(why)
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) struct msg_##name { fields char end_[1]; };
#include "privsep/messages.def"
#include "privsep/messages_undef.h"

/* A received message. The descriptors belong to whoever received it; see msg_take_fd(). */
struct msg {
	enum msg_type type;
	uint32_t id;
	unsigned fd_count;
	int fd[MSG_FDS_MAX];
	union {
#include "privsep/messages_rows.h"
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) struct msg_##name name;
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
	};
};

/* What the table says of a message. */
struct msg_row {
	const char *name;
	enum msg_channel channel;
	enum msg_role from;
	unsigned states;
	const char *fds;
	const char *gate;	/* the operation (authz/ops.def), or why there is none */
	bool gated;
	const char *doc;
	size_t size;		/* of its body */
	unsigned secrets;	/* passwords in it: the packet is zeroed after use */
};

/* The row of a type; NULL when there is no such type. */
const struct msg_row *msg_row(unsigned type);

/* "OPEN_READ", or "?" */
const char *msg_name(unsigned type);

/* Writes the body of a type. w->error: a field beyond its bound is SP_ERANGE, a forbidden byte SP_EFORMAT. */
void msg_encode(struct wr *w, enum msg_type type, const void *body);

/* Reads a body, checks every bound, and that nothing is left over. 0 or SP_E*. */
int msg_decode(struct rd *r, enum msg_type type, void *body);

/* Takes descriptor i out of the message: it is the caller's to close now. -1 when it was not sent. */
int msg_take_fd(struct msg *, unsigned i);

/* Closes the descriptors that nobody took. */
void msg_close(struct msg *);

#endif
