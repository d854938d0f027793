#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/elsewhere.h"
#include "daemon/listener/link.h"
#include "daemon/listener/server.h"
#include "daemon/listener/state.h"

#define CHAINS 1024

struct away {
	LIST_ENTRY(away) link;
	uint64_t number;
	struct section *section;	/* NULL: ours has none of that name */
	struct crowd_member member;	/* until it logs in */
	char listener[65], user[321], class[65], what[257];
	struct addr peer;
	bool claimed, blocked, known;	/* known: what it had transferred before is in the totals that were handed over */
	int64_t since, last;
	uint64_t bytes_in, bytes_out, transfers;
};

struct elsewhere {
	LIST_HEAD(, away) chain[CHAINS];
	unsigned count;
	pid_t pid;
	char version[65];
};

static struct away *
find(const struct server *s, uint64_t number)
{
	struct away *a = NULL;

	if (s->elsewhere != NULL)
		LIST_FOREACH(a, &s->elsewhere->chain[number % CHAINS], link)
			if (a->number == number)
				break;
	return a;
}

int
elsewhere_open(struct server *s, const struct msg_link_hello *m)
{
	s->elsewhere = calloc(1, sizeof *s->elsewhere);
	if (s->elsewhere == NULL)
		return -ENOMEM;
	s->elsewhere->pid = (pid_t)m->pid;
	(void)str_copy(s->elsewhere->version, sizeof s->elsewhere->version, m->version);
	return 0;
}

static void
forget(struct server *s, struct away *a)
{
	LIST_REMOVE(a, link);
	crowd_leave(&a->member);
	s->elsewhere->count--;
	srclimit_leave(s->sources, &a->peer);
	if (a->section != NULL && a->section->now > 0)
		a->section->now--;
	if (a->claimed)
		claim_release(s->claims, a->user, a->class);
	free(a);
}

void
elsewhere_close(struct server *s)
{
	struct elsewhere *e = s->elsewhere;

	if (e == NULL)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		for (struct away *a = LIST_FIRST(&e->chain[i]), *next; a != NULL; a = next) {
			next = LIST_NEXT(a, link);
			forget(s, a);
		}
	free(e);
	s->elsewhere = NULL;
}

const char *
elsewhere_version(const struct server *s)
{
	return s->elsewhere == NULL ? "" : s->elsewhere->version;
}

pid_t
elsewhere_pid(const struct server *s)
{
	return s->elsewhere == NULL ? 0 : s->elsewhere->pid;
}

int
elsewhere_begin(struct server *s, const struct msg_link_begin *m)
{
	struct away *a;
	struct addr peer;

	if (find(s, m->session) != NULL || addr_from(&peer, m->peer, m->peer_len) != 0)
		return SP_EFORMAT;
	a = calloc(1, sizeof *a);
	if (a == NULL)
		return -ENOMEM;
	a->number = m->session;
	a->peer = peer;
	a->since = (int64_t)m->since;
	a->last = clock_ms();
	(void)str_copy(a->listener, sizeof a->listener, m->listener);
	a->section = section_find(s, m->listener);
	if (a->section != NULL)
		a->section->now++;
	srclimit_count(s->sources, &a->peer, clock_ms());
	a->member.away = true;
	admission_unknown(s, &a->member, m->listener, &a->peer);
	if (a->since < time(NULL))
		a->member.since -= (time(NULL) - a->since) * 1000;
	LIST_INSERT_HEAD(&s->elsewhere->chain[a->number % CHAINS], a, link);
	s->elsewhere->count++;
	return 0;
}

/* Its name and class are remembered, so that they can be released. */
static int
count_claim(struct server *s, struct away *a, const char *user, const char *class, unsigned max_user, unsigned max_class)
{
	int r = claim_take(s->claims, user, class, max_user, max_class);

	if (r != CLAIM_COUNTED)
		return r;
	a->claimed = true;
	crowd_leave(&a->member);
	(void)str_copy(a->user, sizeof a->user, user);
	(void)str_copy(a->class, sizeof a->class, class);
	return r;
}

int
elsewhere_login(struct server *s, struct msg *m)
{
	struct away *a = find(s, m->link_login.session);

	if (a == NULL || a->claimed)
		return a == NULL ? 0 : SP_ESTATE;
	if (count_claim(s, a, m->link_login.user, m->link_login.class, 0, 0) == CLAIM_COUNTED && m->fd_count > 0)
		claim_adopt(s->claims, a->user, msg_take_fd(m, 0));
	return 0;
}

int
elsewhere_claim(struct server *s, const struct msg_link_claim *m, int *fd)
{
	struct away *a = find(s, m->session);
	int r;

	*fd = -1;
	/* It has given way, and is not yet told. */
	if (a == NULL)
		return CLAIM_STOPPING;
	if (a->claimed)
		return SP_ESTATE;
	r = s->stopping ? (int)CLAIM_STOPPING :
	    count_claim(s, a, m->user, m->class, m->max_per_user, m->max_per_class);
	if (r == CLAIM_COUNTED)
		s->total.logins++;
	if (r == CLAIM_COUNTED && (m->rate_up != 0 || m->rate_down != 0))
		*fd = claim_memory(s->claims, a->user, m->rate_up, m->rate_down);
	return r;
}

/* Whatever the other one says, a total never shrinks. */
static void
count_up(bool known, uint64_t *count, uint64_t now, uint64_t *total)
{
	if (now <= *count)
		return;
	if (known)
		*total += now - *count;
	*count = now;
}

int
elsewhere_activity(struct server *s, const struct msg_link_activity *m)
{
	struct away *a = find(s, m->session);

	if (a == NULL)
		return 0;
	a->blocked = m->blocked != 0;
	a->last = clock_ms();
	(void)str_copy(a->what, sizeof a->what, m->what);
	count_up(a->known, &a->bytes_in, m->bytes_in, &s->total.bytes_in);
	count_up(a->known, &a->bytes_out, m->bytes_out, &s->total.bytes_out);
	count_up(a->known, &a->transfers, m->transfers, &s->total.transfers);
	a->known = true;
	return 0;
}

int
elsewhere_end(struct server *s, const struct msg_link_end *m)
{
	struct away *a = find(s, m->session);

	if (a != NULL)
		forget(s, a);
	return 0;
}

void
elsewhere_drop(struct server *s, struct crowd_member *m)
{
	struct away *a = (struct away *)(void *)((char *)m - offsetof(struct away, member));
	struct srclimit_rules rules = server_rules(s, a->listener);
	struct msg_link_kick kick = { .session = a->number, .text = GAVE_WAY };

	if (admission_was_silent(m))
		srclimit_penalise(s->sources, &rules, &a->peer, (int64_t)s->settings->penalty_failure * 1000, clock_ms());
	admission_dropped(s, a->listener, &a->peer, "gave_way");
	link_tell(s->older, MSG_LINK_KICK, &kick, -1);
	forget(s, a);
}

unsigned
elsewhere_clients(const struct server *s)
{
	return s->elsewhere == NULL ? 0 : s->elsewhere->count;
}

void
elsewhere_each(const struct server *s, void (*f)(void *, const struct session_facts *), void *context)
{
	const struct away *a;

	for (size_t i = 0; s->elsewhere != NULL && i < CHAINS; i++)
		LIST_FOREACH(a, &s->elsewhere->chain[i], link)
			f(context, &(struct session_facts){
				.number = a->number, .user = a->user, .class = a->class, .listener = a->listener, .peer = &a->peer,
				.logged_in = a->claimed, .since = a->since, .idle_ms = clock_ms() - a->last, .what = a->what,
				.blocked = a->blocked, .bytes_in = a->bytes_in, .bytes_out = a->bytes_out,
			});
}
