/*
 * Must a data connection resume the TLS session of its control connection?
 * Resuming proves that both have the same client behind them; many clients
 * cannot do it, and others cannot do it every time.  Pure decisions over facts
 * that the TLS code collects; the setting is session_reuse, the reasoning
 * stands in DESIGN.md.
 */
#ifndef DAEMON_WORKER_TLS_REUSE_H
#define DAEMON_WORKER_TLS_REUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_TICKETS_ON_CONTROL	2
/* Data connections in a row that must show the same ticket of the control connection ... */
#define TLS_REUSE_PROVEN	3
/* ... and how many of them although a newer ticket had come on a data connection. */
#define TLS_REUSE_PASSED_OVER	2
/* So long before a ticket is too old it proves nothing: clients have clocks of their own. */
#define TLS_REUSE_MARGIN_MS	2000

struct tls_reuse {
	int mode;			/* enum conf_session_reuse */
	int64_t lifetime_ms;		/* of a ticket */
	int64_t last_ticket_ms;		/* when the client got its latest one */
	uint32_t held;			/* serial of the control connection's ticket that was shown last, 0: none */
	int64_t held_until_ms;		/* when it is too old */
	unsigned shown;			/* times that it was shown, one after the other */
	unsigned passed_over;		/* of these, times that a newer one of a data connection was there */
	uint32_t newest;		/* serial of the latest ticket that a data connection has delivered */
	bool keeps;			/* the client uses one ticket several times */
	uint32_t last_serial;		/* of the ticket that was used last, 0: none */
	bool told;			/* the log knows that this client does not resume */
	unsigned resumed, full;		/* data connections so far */
};

/* What one data handshake was like. */
struct tls_reuse_facts {
	bool resumed;			/* it continued a session that this very worker made */
	bool trusted;			/* that session goes back to the control connection's */
	bool offered;			/* it showed some ticket or session, of whatever origin */
	bool from_control;		/* its ticket was given on the control connection */
	uint32_t serial;		/* of its ticket, 0: none that is ours */
	int64_t age_ms;			/* of that ticket */
	bool no_ticket;			/* it has given the client no fresh one */
	bool expired;			/* it showed a ticket that would be trusted, were it not too old */
	int64_t now_ms;
};

/* May the data connection be used? Counts it, and notes a new ticket. */
bool tls_reuse_judge(struct tls_reuse *, const struct tls_reuse_facts *);

/*
 * A data connection that could be used, or that showed a ticket of this session,
 * has ended.  in_order: with everything said on both sides; otherwise the
 * client's library may have thrown its tickets away.  given: serial of the ticket that
 * it brought the client, 0: none.
 */
void tls_reuse_ended(struct tls_reuse *, bool in_order, uint32_t given);

/* Are all tickets of the client too old? expired: it has just shown one that is. */
bool tls_reuse_outlived(const struct tls_reuse *, bool expired, int64_t now_ms);

/*
 * Is the client one that uses each ticket once, and has it got no fresh one on
 * the connection it takes them from?  Then control must give a fresh one with its next reply, or the
 * client has none for its next transfer.  To be asked after tls_reuse_judge().
 */
bool tls_reuse_needs_ticket(struct tls_reuse *, const struct tls_reuse_facts *);

/* The refusal for the client, without its code. */
const char *tls_reuse_refusal(const struct tls_reuse *);

#endif
