/*
 * A channel: one end of a SOCK_SEQPACKET socketpair between two processes.
 * One message is one packet.  The receiver here is the only one there is; it
 * checks, before any handler runs, and in this order: size, known type, this
 * channel and direction, allowed in the present state, number and kind of
 * descriptors, every field's bound, nothing left over.  What remains for a
 * handler is only meaning.
 */
#ifndef PRIVSEP_CHAN_H
#define PRIVSEP_CHAN_H

#include "privsep/msg.h"

struct chan {
	int fd;			/* -1: closed */
	enum msg_channel channel;
	enum msg_role role;	/* of this end */
	uint32_t last_id;
	unsigned bad_type;	/* type of the last message refused, for the log */
};

/* Makes two connected, close-on-exec ends. 0 or -errno. */
int chan_pair(int fds[2]);

/* Takes over fd, which may be -1. */
void chan_init(struct chan *, int fd, enum msg_channel, enum msg_role own);
void chan_close(struct chan *);

/*
 * Sends one message.  body is a struct msg_<name> of that type.  The fds stay
 * the caller's.  0, SP_ECLOSED when the peer is gone, -EAGAIN when it would
 * block and the descriptor is non-blocking, -errno, or SP_E* when the body
 * breaks the table's bounds (a bug or a hostile text: nothing was sent).
 */
int chan_send(struct chan *, enum msg_type, uint32_t id, const void *body, const int *fds, unsigned fd_count);

/* chan_send() without descriptors, with a fresh id. */
int chan_tell(struct chan *, enum msg_type, const void *body);

/*
 * Receives one message that is allowed in states (a mask of enum msg_state).
 * 0; -EAGAIN; -EINTR; SP_ECLOSED at the end; or SP_E*: a violation, after
 * which the message is gone, its descriptors are closed, and bad_type tells
 * what it was.  After 0 the caller ends with msg_close().
 */
int chan_receive(struct chan *, struct msg *, unsigned states);

/*
 * Asks and waits for the answer, which must carry the request's id and be
 * FAILED or one of the two types given (MSG_NONE: none).  m is overwritten.  0, with
 * m->type telling which; otherwise as chan_send() and chan_receive(), or
 * SP_EREPLY.
 */
int chan_call(struct chan *, enum msg_type, const void *body, struct msg *m, enum msg_type want, enum msg_type or_want);

/* Answers a request: same id. */
int chan_answer(struct chan *, const struct msg *request, enum msg_type, const void *body, const int *fds,
    unsigned fd_count);
/* Answers with FAILED; text may be NULL. */
int chan_refuse(struct chan *, const struct msg *request, enum fail_reason, int error, const char *text);

/*
 * Has the peer read what was sent, but for a little?  To be asked before a
 * descriptor is sent to a peer that is taken to be hostile: the kernel limits
 * the descriptors that are on their way for each uid, whichever process sent
 * them, so that a peer which asks without reading would take them from others.
 */
bool chan_is_read(const struct chan *);

/* Gives back the memory that packets pass through; for processes that have become idle (common/idle.h). */
void chan_idle(void);

/* Does fd fit a letter of the table's fds column? */
bool chan_fd_is(int fd, char kind);

#endif
