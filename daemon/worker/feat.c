#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/worker/digest.h"
#include "daemon/worker/feat.h"
#include "daemon/worker/session.h"

/* The facts of MLST and MLSD in the order in which they are printed. */
static const struct {
	const char *name;
	uint32_t fact;
} facts[] = {
	{ "type", FACT_TYPE }, { "size", FACT_SIZE }, { "modify", FACT_MODIFY }, { "perm", FACT_PERM },
	{ "unique", FACT_UNIQUE }, { "UNIX.mode", FACT_MODE }, { "UNIX.owner", FACT_OWNER }, { "UNIX.group", FACT_GROUP },
};

#define FACTS (sizeof facts / sizeof facts[0])

void
piece_add(struct piece *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->len, p->size - p->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= p->size - p->len)
		p->text[p->len] = '\0';
	else
		p->len += (size_t)n;
}

/* Before login nothing is known of the client, and nothing is told. */
bool
feat_possible(const struct session *s, const struct verb *v)
{
	return !s->live || verb_possible(v, s->rights);
}

bool
feat_useful(const struct session *s, const struct verb *v, struct piece *p)
{
	return feat_possible(s, v) && (v->useful == NULL || v->useful(s, v, p));
}

static bool
possible(const struct session *s, enum verb_id id)
{
	return feat_possible(s, &verb_table[id]);
}

void
feat_facts(struct piece *p, uint32_t chosen, bool all)
{
	for (size_t i = 0; i < FACTS; i++) {
		bool on = (chosen & facts[i].fact) != 0;

		if (all || on)
			piece_add(p, "%s%s;", facts[i].name, all && on ? "*" : "");
	}
}

/* Characters of a fact's name: RCHAR of RFC 3659, 7.8. */
static bool
fact_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("*;=`|~<>{}[]", c) == NULL;
}

bool
feat_parse_facts(const char *list, uint32_t *mask)
{
	uint32_t found = 0;

	while (*list != '\0') {
		size_t n = 0;

		while (fact_char(list[n]))
			n++;
		if (n == 0 || list[n] != ';')
			return false;
		for (size_t i = 0; i < FACTS; i++)
			if (strlen(facts[i].name) == n && strncasecmp(list, facts[i].name, n) == 0)
				found |= facts[i].fact;
		list += n + 1;
	}
	*mask = found;
	return true;
}

bool
feat_active(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return (s->flags & LOGIN_NO_ACTIVE) == 0;
}

bool
feat_passive(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return (s->flags & LOGIN_NO_PASSIVE) == 0;
}

bool
feat_rest(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return possible(s, VERB_RETR) || possible(s, VERB_STOR);
}

bool
feat_rang(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return possible(s, VERB_RETR) || possible(s, VERB_HASH);
}

bool
feat_allo(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return possible(s, VERB_STOR) || possible(s, VERB_STOU) || possible(s, VERB_APPE);
}

/* Neither half is of use without the other. */
bool
feat_rename(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return possible(s, VERB_RNFR) && possible(s, VERB_RNTO);
}

bool
feat_why(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return (s->flags & LOGIN_NO_WHY) == 0;
}

bool
feat_never(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)s, (void)v, (void)p;
	return false;
}

bool
feat_mlst(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v;
	feat_facts(p, s->facts, true);
	return true;
}

bool
feat_mff(const struct session *s, const struct verb *v, struct piece *p)
{
	static const struct {
		const char *name;
		const struct verb *as;	/* the command that changes the same */
	} rows[] = {
		{ "Modify;", &verb_table[VERB_MFMT] }, { "UNIX.mode;", &site_table[SITE_CHMOD] },
		{ "UNIX.owner;", &site_table[SITE_CHOWN] }, { "UNIX.group;", &site_table[SITE_CHOWN] },
	};

	(void)v;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (feat_possible(s, rows[i].as))
			piece_add(p, "%s", rows[i].name);
	return true;
}

bool
feat_hash(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v;
	for (unsigned i = 0; digest_name(i) != NULL; i++)
		piece_add(p, "%s%s%s", i == 0 ? "" : ";", digest_name(i), i == s->hash ? "*" : "");
	return true;
}
