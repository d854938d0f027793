#include "config.h"

#include <string.h>
#include <time.h>

#include "account/password.h"
#include "account/refusal.h"
#include "common/log.h"
#include "common/str.h"

#define HASHES_OF_PAM 2		/* pam_unix looks whether an empty password would do before it looks at the one given */

int64_t
refusal_cpu_us(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0 ? 0 : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ------------------------------------------------------------------ in the template */

static void
take_if_dearer(struct account_sources *s, const char *hash)
{
	if (hash != NULL && password_kind(hash) != NULL && (s->reference[0] == '\0' ||
	    password_is_dearer(hash, s->reference)))
		(void)str_copy(s->reference, sizeof s->reference, hash);
}

/* How long the hash takes here: only a source that hashes out of our sight has to be compared with that. */
static void
measure(struct account_sources *s)
{
	static const struct secret any = { .len = 0 };
	int64_t began = refusal_cpu_us();

	password_waste(&any, s->reference);
	s->reference_us = refusal_cpu_us() - began;
}

void
refusal_prepare(struct account_sources *s)
{
	bool makes_hashes = false, hides = false;
	char own[PASSWORD_HASH_MAX];

	s->reference[0] = '\0';
	s->reference_us = 0;
	for (unsigned i = 0; i < s->count; i++) {
		const struct account_source *source = s->entry[i].source;

		if (source->typical_hash != NULL)
			take_if_dearer(s, source->typical_hash(s->entry[i].state));
		makes_hashes |= source->typical_hash != NULL && source->set_password != NULL;
		hides |= source->decoy != NULL;
	}
	/* The next account that is made, or whose password is upgraded, has a hash of this kind. */
	if ((makes_hashes || s->reference[0] == '\0') && password_setting(own, sizeof own) == 0)
		take_if_dearer(s, own);
	if (hides && s->reference[0] != '\0')
		measure(s);
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

/* The sources behind the one that knew the name are asked too, as for a name that nobody knows; without the password. */
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

/* How many such hashes have been computed: by us, or in the modules that were asked. */
static int64_t
hashes_done(const struct account_sources *s, const struct effort *e)
{
	if (e->hashed != NULL)
		return password_same_work(e->hashed, s->reference);
	if (!e->verified)
		return 0;
	return s->reference_us <= 0 ? HASHES_OF_PAM : (e->cpu_us + s->reference_us / 2) / s->reference_us;
}

bool
refusal_even_out(const struct account_sources *s, const struct account_query *q, const struct account *a,
    const struct effort *e)
{
	const struct conf_list *order = &q->base->accounts;
	int64_t needed = 1;
	bool works = true;

	if (q->password == NULL)
		return false;
	for (size_t i = 0; i < order->n && account_name_ok(q->user); i++) {
		const struct account_opened *o = opened(s, order->v[i]);

		if (o != NULL && i >= e->asked)
			works &= look_up(o, q);
		if (o != NULL && o->source->decoy != NULL)
			needed = HASHES_OF_PAM;
		if (o != NULL && o->source->decoy != NULL && !(e->verified && a->source == o->source))
			works &= o->source->decoy(o->state, q) != ACCOUNT_UNAVAILABLE;
	}
	if (s->reference[0] != '\0')
		for (int64_t done = hashes_done(s, e); done < needed; done++)
			password_waste(q->password, s->reference);
	return !works;
}
