/*
 * Who may come in: the listener sections with their limits, tested before a
 * session is spent on a client.  Nothing is ever read from a client; the only
 * thing written is a 421.  Who has not logged in yet holds its place only while there is
 * room: see crowd.h.
 */
#ifndef LISTENER_ADMISSION_H
#define LISTENER_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/log.h"
#include "daemon/listener/crowd.h"
#include "daemon/listener/srclimit.h"

struct server;

/* A listener section, or the server's own key "listen". */
struct section {
	struct section *next;
	char name[65];
	bool implicit_tls;
	bool gone;				/* removed by a reload: what still comes by it is refused */
	unsigned max_sessions, before_login;	/* the limit, and the share of those who have not logged in */
	unsigned now;				/* clients, those who wait included */
	unsigned doors;				/* its sockets */
	struct crowd *crowd;			/* those of them who have not logged in */
	struct srclimit_rules rules;
	struct conf_resolved resolved;
};

/* The section of that name, made from the configuration if need be. 0 or a negative code. */
int section_add(struct server *, const char *name, struct section **);
/* NULL: there is none of that name. */
struct section *section_find(const struct server *, const char *name);
/*
 * Limits may have changed, and sections may have been added.  Those that were removed keep theirs, which may live
 * in the previous configuration, until sections_retire().  0 or -ENOMEM.
 */
int sections_reload(struct server *);
/*
 * The sockets are those of the configuration: what arrived by a section that is not in it, and waits or comes back, is
 * refused from now on, as the server's settings may ask for less than that section did.
 */
void sections_retire(struct server *);
/* Was it removed by a reload? */
bool section_is_gone(const struct server *, const char *name);
/* What its clients read. */
#define SECTION_GONE "This address is no longer served."

/* A client has connected: takes over fd, and lets it in or refuses it. */
void admission_client(struct server *, struct section *, int fd, const struct addr *peer, const struct addr *local);
/*
 * Answers 421 with this text as far as it fits, closes fd, and logs the refusal (reason: static text).  Nothing is sent
 * where TLS comes first.
 */
void admission_refuse(struct server *, int fd, const char *listener, const struct addr *peer, const char *reason,
    const char *text);
/* Every reason with how many clients it has kept out; the last, "other", is for reasons of which there is no list. */
void admission_each_reason(const struct server *, void (*)(void *, const char *reason, uint64_t), void *);
/* The same log for one that had been let in. */
void admission_dropped(struct server *, const char *listener, const struct addr *peer, const char *reason);
/* What a client reads that has not logged in and gives way to a newcomer. */
#define GAVE_WAY "Others wait, and you have not logged in; try again later."
/* Has it been connected too long without logging in to be a client that is merely slow? */
bool admission_was_silent(const struct crowd_member *);
/* Its source has had so many log lines lately that this client gets none before it logs in. */
bool admission_quiet(struct server *, const char *listener, const struct addr *peer);
/* How many lines may be logged about a client before it has logged in: they are its source's, of this minute. */
unsigned admission_lines(struct server *, const struct addr *peer);
/* So many of them were not needed, or the client has logged in. */
void admission_lines_back(struct server *, const struct addr *peer, unsigned lines);
/* One that has left without having logged in did this so often, and it was not logged: it is counted in the log. */
void admission_unsaid(struct server *, const char *listener, const struct addr *peer, enum log_event, unsigned count);
/* Such a client has left without having logged in: it is counted in the log. */
void admission_stranger(struct server *, const char *listener, const struct addr *peer);
/* A client is counted among those who have not logged in, until crowd_leave(). */
void admission_unknown(struct server *, struct crowd_member *, const char *listener, const struct addr *peer);
/* A client that was let in has gone. */
void admission_left(struct server *, const char *listener, const struct addr *peer);

#endif
