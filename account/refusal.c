#include "config.h"

#include <string.h>

#include "account/hashes.h"
#include "account/password.h"
#include "account/refusal.h"
#include "common/log.h"
#include "common/str.h"

#define HASHES_OF_PAM 2		/* pam_unix looks whether an empty password would do before it looks at the one given */

void
refusal_prepare(const struct account_sources *s)
{
	bool makes_hashes = false, any = false;
	char own[PASSWORD_HASH_MAX];

	for (unsigned i = 0; i < s->count; i++)
		makes_hashes |= s->entry[i].source->hashes != NULL && s->entry[i].source->set_password != NULL;
	for (int place = 0; place < PASSWORD_WORKS; place++)
		any |= hashes_at(place) != NULL;
	/* The next account that is made, or whose password is upgraded, has a hash of this kind. */
	if ((makes_hashes || !any) && password_setting(own, sizeof own) == 0)
		hashes_meet(own);
}

/* ----------------------------------------------------------------------- at a refusal */

static const struct account_opened *
opened(const struct account_sources *s, const char *name)
{
	for (unsigned k = 0; k < s->count; k++)
		if (str_same(s->entry[k].source->name, name))
			return &s->entry[k];
	return NULL;
}

/*
 * The sources behind the one that knew the name are asked too, as for a name that nobody knows; without the
 * password.
 */
static bool
look_up(const struct account_opened *e, const struct account_query *q)
{
	struct account_query bare = *q;
	enum account_reason why = REASON_NONE;
	enum account_result r;
	struct account a;

	bare.password = NULL;
	account_init(&a, q->user);
	r = e->source->find(e->state, &bare, &a, &why);
	account_free(&a);
	return r != ACCOUNT_UNAVAILABLE;
}

/* What PAM's modules have computed: how many hashes, by the time that it took; never more than they do of one name. */
static uint64_t
work_of_others(const struct hash_known *k, const char *hash, int64_t us)
{
	uint64_t work = password_work(hash);
	double each = k->work == 0 ? 0 : (double)k->us * (double)work / (double)k->work;
	int64_t n = each <= 0 ? HASHES_OF_PAM : (int64_t)((double)us / each + 0.5);

	return work * (uint64_t)(n > HASHES_OF_PAM ? HASHES_OF_PAM : n);
}

/*
 * One hash of each kind that the accounts have, the dearest of it, less what was computed already; a cheaper one
 * counts in part.
 */
static void
do_the_rest(const struct account_sources *s, const struct account_query *q, const char *hash, const struct effort *e,
    unsigned times)
{
	int own;

	hashes_update(s, q);
	if (hash != NULL)
		hashes_meet(hash);
	own = hash == NULL ? -1 : password_place(hash);
	for (int place = 0; place < PASSWORD_WORKS; place++) {
		const struct hash_known *k = hashes_at(place);
		uint64_t done = 0;

		if (k == NULL)
			continue;
		if (place == own)
			done = e->verified ? work_of_others(k, hash, e->cpu_us) : password_work(hash);
		if (done < k->work * times)
			password_waste(q->password, k->hash, k->work * times - done);
	}
}

bool
refusal_even_out(const struct account_sources *s, const struct account_query *q, const struct account *a,
    const struct effort *e)
{
	const struct conf_list *order = &q->base->accounts;
	const char *hash = e->hashed;
	unsigned times = 1;
	bool works = true;

	if (q->password == NULL)
		return false;
	for (size_t i = 0; i < order->n && account_name_ok(q->user); i++) {
		const struct account_opened *o = opened(s, order->v[i]);

		if (o != NULL && i >= e->asked)
			works &= look_up(o, q);
		if (o != NULL && o->source->decoy != NULL)
			times = HASHES_OF_PAM;
		if (o != NULL && o->source->decoy != NULL && !(e->verified && a->source == o->source))
			works &= o->source->decoy(o->state, q) != ACCOUNT_UNAVAILABLE;
	}
	if (e->verified && a->source->hash_of != NULL)
		hash = a->source->hash_of(a->source_state, a);
	do_the_rest(s, q, hash, e, times);
	return !works;
}
