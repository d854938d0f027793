#include "config.h"

#include <string.h>

#include "daemon/worker/feat.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/verbs.h"

#define USES(...)	{ __VA_ARGS__ }
#define ALWAYS	NULL

const struct verb verb_table[VERB_COUNT] = {
#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc) \
	[VERB_##NAME] = { #NAME, verb_##handler, states, argument, messages, syntax, feature, if_, doc },
#define ALIAS(text, NAME)
#define FEATURE(text, doc)
#include "daemon/worker/verbs.def"
#undef VERB
#undef ALIAS
#undef FEATURE
};

const struct verb site_table[SITE_COUNT] = {
#define SITE(NAME, handler, argument, messages, syntax, if_, doc) \
	[SITE_##NAME] = { #NAME, site_##handler, AFTER, argument, messages, syntax, "", if_, doc },
#define SITE_ALIAS(text, NAME)
#include "daemon/worker/sites.def"
#undef SITE
#undef SITE_ALIAS
};

static const struct alias {
	const char *text;
	unsigned id;
} verb_aliases[] = {
#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc)
#define ALIAS(text, NAME) { text, VERB_##NAME },
#define FEATURE(text, doc)
#include "daemon/worker/verbs.def"
#undef VERB
#undef ALIAS
#undef FEATURE
}, site_aliases[] = {
#define SITE(NAME, handler, argument, messages, syntax, if_, doc)
#define SITE_ALIAS(text, NAME) { text, SITE_##NAME },
#include "daemon/worker/sites.def"
#undef SITE
#undef SITE_ALIAS
};

static const struct {
	const char *text, *doc;
} extra_features[] = {
#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc)
#define ALIAS(text, NAME)
#define FEATURE(text, doc) { text, doc },
#include "daemon/worker/verbs.def"
#undef VERB
#undef ALIAS
#undef FEATURE
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/*
 * Names as numbers: up to eight letters, upper case, in one comparison.  Longer
 * names (SITE DELDEFACL) are compared by a hash of the rest folded in, and then in full.
 */
struct name_index {
	uint64_t key[VERB_COUNT + COUNT(verb_aliases)];
	const struct verb *row[VERB_COUNT + COUNT(verb_aliases)];
	const char *name[VERB_COUNT + COUNT(verb_aliases)];
	size_t count;
};

static struct name_index verbs, sites;

_Static_assert(SITE_COUNT + COUNT(site_aliases) <= VERB_COUNT + COUNT(verb_aliases), "the index holds both tables");

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static uint64_t
name_key(const char *name, size_t n)
{
	uint64_t key = 0;

	for (size_t i = 0; i < n; i++)
		key = (key << 8 | key >> 56) ^ (uint8_t)upper(name[i]);
	return key;
}

static void
index_add(struct name_index *x, const char *name, const struct verb *row)
{
	x->key[x->count] = name_key(name, strlen(name));
	x->name[x->count] = name;
	x->row[x->count++] = row;
}

void
verbs_init(void)
{
	if (verbs.count > 0)
		return;
	for (size_t i = 0; i < VERB_COUNT; i++)
		index_add(&verbs, verb_table[i].name, &verb_table[i]);
	for (size_t i = 0; i < COUNT(verb_aliases); i++)
		index_add(&verbs, verb_aliases[i].text, &verb_table[verb_aliases[i].id]);
	for (size_t i = 0; i < SITE_COUNT; i++)
		index_add(&sites, site_table[i].name, &site_table[i]);
	for (size_t i = 0; i < COUNT(site_aliases); i++)
		index_add(&sites, site_aliases[i].text, &site_table[site_aliases[i].id]);
}

static bool
same_name(const char *name, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name[i] != upper(text[i]))
			return false;
	return name[n] == '\0';
}

static const struct verb *
index_find(const struct name_index *x, const char *name, size_t n)
{
	uint64_t key = name_key(name, n);

	for (size_t i = 0; i < x->count; i++)
		if (x->key[i] == key && same_name(x->name[i], name, n))
			return x->row[i];
	return NULL;
}

const struct verb *
verb_find(const char *name, size_t n)
{
	return index_find(&verbs, name, n);
}

const struct verb *
site_find(const char *name, size_t n)
{
	return index_find(&sites, name, n);
}

const char *
verb_alias(size_t i, const struct verb **row)
{
	if (i >= COUNT(verb_aliases))
		return NULL;
	*row = &verb_table[verb_aliases[i].id];
	return verb_aliases[i].text;
}

const char *
verb_extra_feature(size_t i, const char **doc)
{
	if (i >= COUNT(extra_features))
		return NULL;
	*doc = extra_features[i].doc;
	return extra_features[i].text;
}

/* --------------------------------------------------------------------------------- rights */

enum {
#define RIGHT(NAME, bit, word, where, text) NAME = 1 << bit,
#include "authz/rights.def"
#undef RIGHT
};

/* What an operation needs in each state of its target: all bits of one of these. */
static const struct {
	const char *name;
	uint32_t need[6];
} operations[] = {
#define AND(a, b)	((a) | (b))
#define FREE		0, 0
#define ONE(a)		(a), (a)
#define EITHER(a, b)	(a), (b)
#define OP(NAME, missing, file, folder, self, text) { #NAME, { missing, file, folder } },
#include "authz/ops.def"
#undef OP
#undef EITHER
#undef ONE
#undef FREE
#undef AND
};

static bool
operation_possible(const char *name, uint32_t rights)
{
	for (size_t i = 0; i < COUNT(operations); i++) {
		if (strcmp(operations[i].name, name) != 0)
			continue;
		for (size_t k = 0; k < 6; k++)
			if ((operations[i].need[k] & ~rights) == 0)
				return true;
		return false;
	}
	return false;
}

/* A command without a gated message is always possible; otherwise one of its gates must be passable. */
bool
verb_possible(const struct verb *v, uint32_t rights)
{
	bool gated = false;

	for (size_t i = 0; i < VERB_MESSAGES && v->uses[i] != MSG_NONE; i++) {
		const struct msg_row *row = msg_row(v->uses[i]);

		if (!row->gated)
			continue;
		if (operation_possible(row->gate, rights))
			return true;
		gated = true;
	}
	return !gated;
}

/* First words of protocols that browsers and relays can be made to speak to any port. */
bool
verb_foreign(const char *name, size_t n)
{
	static const char *const words[] = {
		"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PATCH", "DELETE", "PROPFIND", "PRI",
		"EHLO", "HELO", "MAIL", "RCPT", "SSH-2.0",
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (same_name(words[i], name, n))
			return true;
	return n >= 4 && memcmp(name, "SSH-", 4) == 0;
}
