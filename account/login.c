#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "account/account.h"
#include "account/hashes.h"
#include "account/password.h"
#include "account/refusal.h"
#include "account/source.h"
#include "account/unix.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

#define GROUP_NAMES_MAX 8192

/* ------------------------------------------------------------------ merging */

/* Splits "a,b,c" in place into at most max names. */
static size_t
split_names(char *text, const char **names, size_t max)
{
	size_t n = 0;

	for (char *p = text, *comma; *p != '\0' && n < max; p = comma + 1) {
		comma = strchr(p, ',');
		names[n++] = p;
		if (comma == NULL)
			break;
		*comma = '\0';
	}
	return n;
}

/* What kinds of fault there are: the event of the log, and what sallyctl says of it. */
enum { FAULT_WITHOUT, FAULT_SHARED, FAULT_RUN_AS, FAULT_GROUP, FAULT_SETTINGS };

static const struct { enum log_event event; const char *text; } faults[] = {
	[FAULT_WITHOUT]	= { EVENT_ACCOUNT_WITHOUT_RUN_AS, "it has no run_as, and is no user of the system" },
	[FAULT_SHARED]	= { EVENT_VIRTUAL_USER_UNUSABLE, "virtual_user" },
	[FAULT_RUN_AS]	= { EVENT_RUN_AS_UNUSABLE, "run_as" },
	[FAULT_GROUP]	= { EVENT_NO_SUCH_GROUP, "extra_groups" },
	[FAULT_SETTINGS] = { EVENT_ACCOUNT_SETTINGS_WRONG, "" }
};

/* Notes what is wrong, for whoever asked to log or to show. Returns code. */
static int
note_fault(struct account *a, int kind, const char *about, int code)
{
	a->fault = (struct account_fault){ .found = true, .event = faults[kind].event, .about = account_keep(a, about),
	    .code = kind == FAULT_WITHOUT ? 0 : code };
	return code;
}

enum account_reason
account_unresolved_reason(int code)
{
	static const int lasting[] = { -ENOENT, -E2BIG, SP_ENOUSER, SP_ENOGROUP, SP_EFORMAT };

	for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
		if (code == lasting[i])
			return REASON_SETTINGS;
	return REASON_INTERNAL;
}

const char *
account_fault_text(const struct account *a, char *dst, size_t size)
{
	const struct account_fault *f = &a->fault;
	const char *about = f->about != NULL ? f->about : "", *text = "its settings cannot be put together";

	for (size_t i = 0; f->found && i < sizeof faults / sizeof *faults; i++)
		if (f->event == faults[i].event)
			text = faults[i].text;
	if (!f->found || f->code == 0)
		(void)str_copy(dst, size, text);
	else if (text[0] == '\0')
		(void)str_copy(dst, size, about);
	else
		(void)str_format(dst, size, "%s = %s: %s", text, about, sp_strerror(f->code));
	return dst;
}

static void
log_fault(const struct account *a)
{
	if (a->fault.found)
		log_problem(a->fault.event, a->fault.about, a->fault.code);
}

/* The identity that all virtual accounts without one of their own share. */
static int
take_shared_identity(struct account *a)
{
	const char *user = a->resolved->s.virtual_user, *home = a->home;
	int r;

	if (user == NULL)
		return note_fault(a, FAULT_WITHOUT, a->name, -ENOENT);
	r = unix_run_as(a, user);
	a->home = home;
	return r == 0 ? 0 : note_fault(a, FAULT_SHARED, user, r);
}

/* Identity of an account that names one in run_as; a system user keeps his own unless told otherwise. */
static int
take_identity(struct account *a)
{
	const char *run_as = a->resolved->s.run_as;
	enum account_result found;
	int r;

	if (geteuid() != 0)
		return unix_own_identity(a);
	if (run_as != NULL && (a->uid == ACCOUNT_ID_NONE || a->flags & (ACCOUNT_SYSTEM | ACCOUNT_ANONYMOUS))) {
		const char *home = a->home;

		r = unix_run_as(a, run_as);
		a->home = home;		/* never that of the user run as: many accounts may share it */
		return r == 0 ? 0 : note_fault(a, FAULT_RUN_AS, run_as, r);
	}
	if (a->uid != ACCOUNT_ID_NONE)
		return 0;
	if (a->flags & ACCOUNT_VIRTUAL)
		return take_shared_identity(a);
	/* A section with a password for a user of the system. */
	found = unix_find(a, a->name);
	if (found != ACCOUNT_FOUND)
		return found == ACCOUNT_UNKNOWN ? note_fault(a, FAULT_WITHOUT, a->name, -ENOENT) : -EAGAIN;
	a->flags |= ACCOUNT_SYSTEM;
	return 0;
}

/* Supplementary groups named in the configuration take the place of the user's own. */
static int
take_extra_groups(struct account *a)
{
	const struct conf_list *extra = &a->resolved->s.extra_groups;

	if (extra->n == 0 || geteuid() != 0)
		return 0;
	a->unix_name = NULL;
	a->groups = account_alloc(a, extra->n * sizeof *a->groups);
	a->group_count = 0;
	if (a->groups == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < extra->n; i++) {
		int r = unix_group_id(extra->v[i], &a->groups[a->group_count]);

		if (r != 0)
			return note_fault(a, FAULT_GROUP, extra->v[i], r == -ENOENT ? SP_ENOGROUP : r);
		a->group_count++;
	}
	return 0;
}

static int
merge(const struct account_sources *sources, const struct account_query *q, struct account *a,
    const char *const *unix_groups, size_t unix_group_count)
{
	struct conf_subject subject = {
		.listener = q->listener, .user = a->section != NULL ? a->section : a->name, .peer = q->peer,
		.unix_groups = unix_groups, .unix_group_count = unix_group_count,
		.pairs = a->pairs, .pair_count = a->pair_count, .pairs_origin = a->origin
	};
	int r;

	if (a->resolved == NULL)
		a->resolved = account_alloc(a, sizeof *a->resolved);
	else
		conf_resolved_free(a->resolved);
	if (a->resolved == NULL)
		return -ENOMEM;
	r = conf_resolve(sources->conf, &subject, a->resolved);
	return r == 0 ? 0 : note_fault(a, FAULT_SETTINGS, a->resolved->error, r);
}

/* The password as the source stores it, for an account whose settings cannot be put together. */
static const char *
stored_password(const struct account *a)
{
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, "password") == 0)
			return a->pairs[i].value;
	return NULL;
}

static const char none_yet[] = "*";	/* in the place of a password that nobody has set */

/* The password of the settings: a hash, or in clear behind {CLEAR} (sallyportd serve). */
static void
take_password(struct account *a, bool merged)
{
	static const char clear[] = "{CLEAR}";
	const char *password = merged ? a->resolved->s.password : stored_password(a);

	a->verifier = password != NULL ? password : none_yet;
	if (strncmp(a->verifier, clear, sizeof clear - 1) == 0) {
		a->verifier_kind = VERIFY_CLEAR;
		a->verifier += sizeof clear - 1;
	}
}

/* Does any class look at Unix groups? Then they must be known before the settings are. */
static bool
classes_exist(const struct conf *conf)
{
	return conf_section_next(conf, SC_CLASS, NULL) != NULL;
}

/* The names take room that those without classes need not have: hence a function, and not inlined. */
static __attribute__((noinline)) int
merge_with_groups(const struct account_sources *sources, const struct account_query *q, struct account *a)
{
	char text[GROUP_NAMES_MAX] = "";
	const char *names[ACCOUNT_GROUPS_MAX];
	size_t n;

	unix_group_names(a, text, sizeof text);
	n = split_names(text, names, ACCOUNT_GROUPS_MAX);
	return merge(sources, q, a, names, n);
}

int
account_resolve(const struct account_sources *sources, const struct account_query *q, struct account *a)
{
	int r = merge(sources, q, a, NULL, 0);

	/* Before anything else can fail: whoever has no right password learns nothing of that. */
	if (a->verifier == NULL && a->verifier_kind == VERIFY_HASH)
		take_password(a, r == 0);
	if (r == 0)
		r = take_identity(a);
	if (r == 0)
		r = take_extra_groups(a);
	if (r == 0)
		r = account_load_groups(a);
	if (r == 0 && a->flags & ACCOUNT_SYSTEM && classes_exist(sources->conf))
		r = merge_with_groups(sources, q, a);
	return r;
}

/* ----------------------------------------------------------------- password */

static const enum account_reason verdict_reasons[] = {
	[PASSWORD_RIGHT] = REASON_NONE,
	[PASSWORD_WRONG] = REASON_WRONG_PASSWORD,
	[PASSWORD_LOCKED] = REASON_LOCKED,
	[PASSWORD_UNSUPPORTED] = REASON_HASH_UNSUPPORTED
};

/* Is it something like a mail address? */
static bool
looks_like_mail(const struct secret *p)
{
	const char *at = memchr(p->data, '@', p->len);

	return at != NULL && at > p->data && at + 1 < p->data + p->len;
}

/*
 * A source may find out with the password who the user really is; then the settings are that user's.  Without a
 * password it says whether the account may be used, which is more than whether it is there.
 */
static enum account_reason
ask_source(const struct account_sources *s, const struct account_query *q, struct account *a)
{
	enum account_reason why = REASON_NONE;
	char before[sizeof a->name];
	enum account_result r;

	(void)str_copy(before, sizeof before, a->name);
	r = a->source->verify(a->source_state, q, a, &why);
	if (r != ACCOUNT_FOUND)
		return why != REASON_NONE ? why : REASON_WRONG_PASSWORD;
	a->proven = true;
	if (strcmp(before, a->name) != 0)
		a->unresolved = account_resolve(s, q, a);
	return a->unresolved == 0 ? REASON_NONE : account_unresolved_reason(a->unresolved);
}

/* A hash that cannot be computed here is no wrong password: its kind is named in the log, and nothing else of it. */
static enum account_reason
check_hash(const struct account_query *q, const struct account *a)
{
	enum password_verdict verdict = password_check(q->password, a->verifier);
	const char *kind = a->verifier, *end = kind[0] == '$' ? strchr(kind + 1, '$') : NULL;
	char text[24];

	if (verdict == PASSWORD_UNSUPPORTED) {
		(void)str_format(text, sizeof text, "%.*s", end == NULL ? 0 : (int)(end - kind + 1), kind);
		log_problem(EVENT_HASH_UNSUPPORTED, text, 0);
	}
	return verdict_reasons[verdict];
}

/* Asks the source, and notes what that cost. */
static enum account_reason
ask_source_for(const struct account_sources *s, const struct account_query *q, struct account *a, struct effort *e)
{
	int64_t began = clock_cpu_us();
	enum account_reason why = ask_source(s, q, a);

	e->verified = true;
	e->cpu_us = clock_cpu_us() - began;
	return why;
}

/* An empty password is none, but for those who need not prove anything. */
static bool
empty_is_refused(const struct account_query *q, const struct account *a)
{
	bool allowed = a->settled ? a->resolved->s.allow_empty_passwords : q->base->allow_empty_passwords;

	return q->password->len == 0 && !allowed && a->verifier_kind != VERIFY_ANY;
}

static enum account_reason
compare_password(const struct account_sources *s, const struct account_query *q, struct account *a, struct effort *e)
{
	switch (a->verifier_kind) {
	case VERIFY_HASH:
		e->hashed = a->verifier;
		return check_hash(q, a);
	case VERIFY_CLEAR:
		return password_same(q->password->data, q->password->len, a->verifier, strlen(a->verifier))
		    ? REASON_NONE : REASON_WRONG_PASSWORD;
	case VERIFY_ANY:
		return q->base->anonymous_email && !looks_like_mail(q->password) ? REASON_EMAIL : REASON_NONE;
	case VERIFY_SOURCE:
		return ask_source_for(s, q, a, e);
	case VERIFY_NEVER:
		break;
	}
	return REASON_LOCKED;
}

static enum account_reason
verify_password(const struct account_sources *s, const struct account_query *q, struct account *a, struct effort *e)
{
	enum account_reason why = empty_is_refused(q, a) ? REASON_EMPTY_PASSWORD : compare_password(s, q, a, e);

	if (why == REASON_NONE)
		a->proven = true;
	else if (why == REASON_LOCKED || why == REASON_HASH_UNSUPPORTED)
		e->hashed = NULL;	/* nothing was computed */
	return why;
}

/* A password in clear or with an old hash gets the present one, now that it is known. */
static void
upgrade(const struct account_sources *s, const struct account_query *q, const struct account *a)
{
	const int wanted = (int)conf_server(s->conf)->upgrade_passwords;
	bool old = (a->verifier_kind == VERIFY_CLEAR && wanted == CONF_UPGRADE_YES) ||
	    (a->verifier_kind == VERIFY_HASH && wanted != CONF_UPGRADE_NO && password_outdated(a->verifier));
	int r;

	if (!old || a->source->set_password == NULL || q->password->len < 2)
		return;
	r = a->source->set_password(a->source_state, a->name, q->password);
	log_problem(r == 0 ? EVENT_PASSWORD_UPGRADED : EVENT_PASSWORD_NOT_UPGRADED, a->name, r);
}

/* Of a stored hash, whether any password can fit it. */
static enum account_reason
check_stored(const struct account *a)
{
	const char *hash = a->verifier;

	if (hash[0] == '!')
		return REASON_LOCKED;
	if (a->resolved->s.certificate_login == CONF_CERTLOGIN_INSTEAD)
		return REASON_NONE;	/* there is another way in */
	if (hash[0] == '*' || hash[0] == '\0')
		return REASON_LOCKED;
	return password_computable(hash) ? REASON_NONE : REASON_HASH_UNSUPPORTED;
}

enum account_reason
account_standing(const struct account_query *q, struct account *a)
{
	enum account_reason why = REASON_NONE;
	enum account_result r = a->source->look == NULL ? ACCOUNT_FOUND : a->source->look(a->source_state, q, a, &why);

	if (r != ACCOUNT_FOUND)
		return why != REASON_NONE ? why : REASON_UNAVAILABLE;
	if (a->barred != REASON_NONE)
		return a->barred;
	if (a->verifier_kind == VERIFY_NEVER)
		return REASON_LOCKED;
	if (a->verifier_kind != VERIFY_HASH || a->verifier == none_yet || a->verifier == NULL)
		return REASON_NONE;
	return check_stored(a);
}

/* -------------------------------------------------------------------- login */

/* Asks the sources of this listener in order; *asked: how many of them. */
static enum account_result
find(const struct account_sources *s, const struct account_query *q, struct account *a, enum account_reason *why,
    size_t *asked)
{
	const struct conf_list *order = &q->base->accounts;

	for (size_t i = 0; i < order->n; i++)
		for (unsigned k = 0; k < s->count; k++) {
			const struct account_opened *e = &s->entry[k];
			enum account_result r;

			if (!str_same(e->source->name, order->v[i]))
				continue;
			a->source = e->source;
			a->source_state = e->state;
			r = e->source->find(e->state, q, a, why);
			*asked = i + 1;
			if (r != ACCOUNT_UNKNOWN)
				return r;
			account_free(a);
			account_init(a, q->user);
		}
	*asked = order->n;
	*why = REASON_UNKNOWN_USER;
	return ACCOUNT_UNKNOWN;
}

enum account_result
account_find(const struct account_sources *s, const struct account_query *q, struct account *a,
    enum account_reason *why)
{
	enum account_result r;
	size_t asked;
	int code;

	*why = REASON_NONE;
	r = find(s, q, a, why, &asked);
	if (r == ACCOUNT_FOUND && (code = account_resolve(s, q, a)) != 0) {
		*why = account_unresolved_reason(code);
		return ACCOUNT_REFUSED;
	}
	return r;
}

static bool
certificate_is_enough(const struct account_query *q, const struct account *a)
{
	const struct settings *set = &a->resolved->s;

	return set->certificate_login == CONF_CERTLOGIN_INSTEAD && account_certificate_fits(q, set);
}

/* The certificate has taken the password's place: what remains for a source such as PAM is the account's state. */
static enum account_reason
verify_without_password(const struct account_sources *s, const struct account_query *q, struct account *a)
{
	struct account_query bare = *q;

	bare.password = NULL;
	if (a->verifier_kind == VERIFY_HASH && a->verifier != NULL && a->verifier[0] == '!')
		return REASON_LOCKED;	/* passwd -l and the like mean the account, whatever it comes with */
	return a->verifier_kind == VERIFY_SOURCE ? ask_source(s, &bare, a) : REASON_NONE;
}

bool
account_certificate_admits(const struct account_sources *s, const struct account_query *q)
{
	enum account_reason why = REASON_NONE;
	struct account a;
	bool admits;

	if (!account_name_ok(q->user) || q->certificate_len == 0)
		return false;
	account_init(&a, q->user);
	admits = account_find(s, q, &a, &why) == ACCOUNT_FOUND && certificate_is_enough(q, &a) &&
	    (!(a.flags & ACCOUNT_SYSTEM) || source_system_rules(q, &a) == REASON_NONE) &&
	    account_check_rules(q, &a, time(NULL)) == REASON_NONE;
	account_free(&a);
	return admits;
}

/*
 * What keeps an account out that a source knows.  Its password is looked at in any case, so that nobody learns without
 * it of any other reason; but PAM may count failures, and is not asked about those who are refused anyway.
 */
static enum account_reason
judge(const struct account_sources *s, const struct account_query *q, struct account *a, struct effort *e)
{
	enum account_reason rule = a->flags & ACCOUNT_SYSTEM ? source_system_rules(q, a) : REASON_NONE, why;

	if (rule != REASON_NONE && a->verifier_kind == VERIFY_SOURCE)
		return rule;
	if (!a->settled)
		rule = account_unresolved_reason(a->unresolved);
	if (a->settled && certificate_is_enough(q, a)) {
		a->proven = true;
		why = verify_without_password(s, q, a);
	} else {
		why = verify_password(s, q, a, e);
		e->compared = true;
	}
	if (rule == REASON_NONE)
		rule = account_check_rules(q, a, time(NULL));
	return rule != REASON_NONE ? rule : why;
}

static enum account_result
try_login(const struct account_sources *s, const struct account_query *q, struct account *a, enum account_reason *why,
    struct effort *e)
{
	enum account_result r;

	*why = REASON_NONE;
	if (!account_name_ok(q->user)) {
		*why = REASON_BAD_NAME;
		return ACCOUNT_UNKNOWN;
	}
	r = find(s, q, a, why, &e->asked);
	if (r != ACCOUNT_FOUND)
		return r;
	a->unresolved = account_resolve(s, q, a);
	a->settled = a->unresolved == 0;
	*why = judge(s, q, a, e);
	return *why == REASON_NONE ? ACCOUNT_FOUND : *why == REASON_UNAVAILABLE ? ACCOUNT_UNAVAILABLE : ACCOUNT_REFUSED;
}

enum account_result
account_login(const struct account_sources *s, const struct account_query *q, struct account *a,
    enum account_reason *why)
{
	struct effort effort = { .hashed = NULL };
	enum account_result r = try_login(s, q, a, why, &effort);

	log_fault(a);
	if (r == ACCOUNT_FOUND && effort.hashed != NULL)
		hashes_meet(effort.hashed);
	if (r == ACCOUNT_FOUND && effort.compared)
		upgrade(s, q, a);
	else if (r != ACCOUNT_FOUND && r != ACCOUNT_UNAVAILABLE && a->proven)
		a->told = *why;
	else if (r == ACCOUNT_UNAVAILABLE || (r != ACCOUNT_FOUND && refusal_even_out(s, q, a, &effort)))
		a->told = REASON_UNAVAILABLE;
	password_release();
	account_forget_password(a);
	return r;
}
