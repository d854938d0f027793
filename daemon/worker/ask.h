/*
 * The worker's questions to agent and monitor, and what becomes of a refusal.
 * The agent decides; here only the reply code is found, in one table.
 */
#ifndef WORKER_ASK_H
#define WORKER_ASK_H

#include <stdbool.h>

#include "privsep/msg.h"

struct session;

/*
 * Sends a request to the agent and waits for its answer in s->answer.  0: the
 * wanted message came.  1: FAILED came.  Negative: the channel broke and the
 * session is ending (the client got 421).  END_AFTER that comes between is noted.
 */
int ask_agent(struct session *, enum msg_type, const void *body, enum msg_type want);

/* The same; a refusal is replied to the client. True only when the wanted message came. */
bool ask(struct session *, enum msg_type, const void *body, enum msg_type want);

/* Answered by DONE; then replies code and text. */
void ask_done(struct session *, enum msg_type, const void *body, unsigned code, const char *text);

/* The same as ask_agent() on the login channel; or_want may be MSG_NONE. */
int ask_monitor(struct session *, enum msg_type, const void *body, enum msg_type want, enum msg_type or_want);

/*
 * The end of a download, which has no answer: it goes out together with the
 * next request, so that the agent is woken once, or by ask_flush().
 */
void ask_finish_later(struct session *, const struct msg_finish *);
void ask_flush(struct session *);

/* Sends without waiting. False: the session is ending. */
bool ask_tell(struct session *, enum msg_type, const void *body);

/*
 * Puts what the client named into a request.  A path that has no room there is
 * never cut, which would name another object: it becomes a name that no file
 * can have, and is refused as too long.
 */
void ask_path(char *dst, size_t size, const char *path);

/* Writes why a request was refused, as a sentence for the client. */
void ask_reason(struct session *, const struct msg_failed *, char *dst, size_t size);

/* Replies to the client what a refusal means for the present command. */
void ask_refused(struct session *, const struct msg_failed *);

/* The code and text for a refusal of a command named verb; *text never NULL. */
unsigned ask_reply_code(const char *verb, const struct msg_failed *, unsigned login_flags, const char **text);

#endif
