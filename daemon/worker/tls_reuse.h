/*
 * Must a data connection resume the TLS session of its control connection?
 * Resuming proves that both have the same client behind them; many clients cannot do it.
 * Pure decisions over facts that the TLS code collects; the setting is session_reuse.
 */
#ifndef DAEMON_WORKER_TLS_REUSE_H
#define DAEMON_WORKER_TLS_REUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Some clients use a ticket once and know only those of the control connection,
 * which are two: who has resumed more often in a row than that can do it always.
 */
#define TLS_TICKETS_ON_CONTROL	2
#define TLS_REUSE_PROVEN	(TLS_TICKETS_ON_CONTROL + 1)

struct tls_reuse {
	int mode;			/* enum conf_session_reuse */
	int64_t lifetime_ms;		/* of a ticket */
	int64_t last_ticket_ms;		/* when the client got its latest one */
	unsigned streak;		/* data connections resumed one after the other, the last one included */
	bool shown;			/* the client can always resume: adaptive insists on it from now on */
	bool keeps;			/* the client uses one ticket several times */
	uint32_t last_serial;		/* of the ticket that was used last, 0: none */
	bool told;			/* the log knows that this client does not resume */
	unsigned resumed, full;		/* data connections so far */
};

/* What one data handshake was like. */
struct tls_reuse_facts {
	bool resumed;			/* it continued a session that this very worker made */
	bool from_control;		/* its ticket was given on the control connection */
	uint32_t serial;		/* of its ticket, 0: none that is ours */
	bool no_ticket;			/* it has given the client no fresh one */
	bool expired;			/* it showed a ticket of this session that is too old to be used */
	int64_t now_ms;
};

/* May the data connection be used? Counts it, and notes a new ticket. */
bool tls_reuse_judge(struct tls_reuse *, const struct tls_reuse_facts *);

/*
 * Is the client one that uses each ticket once, and has it got no fresh one on
 * the connection it takes them from?  Then control must give a fresh one with its next reply, or the
 * client has none for its next transfer.  To be asked after tls_reuse_judge().
 */
bool tls_reuse_needs_ticket(struct tls_reuse *, const struct tls_reuse_facts *);

/* The refusal for the client, without its code. */
const char *tls_reuse_refusal(const struct tls_reuse *);

#endif
