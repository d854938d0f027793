/* sallyport-verbs(7), from daemon/worker/verbs.def and sites.def. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "man/mdoc.h"
#include "privsep/msg.h"

enum { BEFORE = 1, AFTER = 2, BOTH = BEFORE | AFTER, DATA = 4, NOW = 8, KEEP = 16, TRIM = 32 };

#define USES_MAX 8
#define USES(...) { __VA_ARGS__ }
#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc) \
	{ #NAME, states, messages, syntax, feature, doc },
#define ALIAS(text, NAME)
#define FEATURE(text, doc)
static const struct verb {
	const char *name;
	unsigned states;
	int messages[USES_MAX];
	const char *syntax, *feature, *doc;
} verbs[] = {
#include "daemon/worker/verbs.def"
};
#undef VERB
#undef ALIAS
#undef FEATURE

#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc)
#define ALIAS(text, NAME) { text, #NAME },
#define FEATURE(text, doc)
static const struct { const char *text, *name; } aliases[] = {
#include "daemon/worker/verbs.def"
};
#undef ALIAS
#undef FEATURE

#define ALIAS(text, NAME)
#define FEATURE(text, doc) { text, doc },
static const struct { const char *text, *doc; } features[] = {
#include "daemon/worker/verbs.def"
};
#undef VERB
#undef ALIAS
#undef FEATURE

#define SITE(NAME, handler, argument, messages, syntax, if_, doc) { #NAME, BOTH, messages, syntax, "", doc },
#define SITE_ALIAS(text, NAME)
static const struct verb sites[] = {
#include "daemon/worker/sites.def"
};

/* Which operation of the policy each message asks for. */
static void
print_rights(const struct verb *v)
{
	const char *printed[USES_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < USES_MAX && v->messages[i] != MSG_NONE; i++) {
		const struct msg_row *row = msg_row((unsigned)v->messages[i]);
		unsigned j = 0;

		if (row == NULL || !row->gated)
			continue;
		while (j < n && strcmp(printed[j], row->gate) != 0)
			j++;
		if (j < n)
			continue;
		printed[n++] = row->gate;
	}
	if (n == 0)
		return;
	printf("Decided as %s", printed[0]);
	for (unsigned i = 1; i < n; i++)
		printf(", %s", printed[i]);
	puts(".");
}

static void
print_states(const struct verb *v)
{
	if ((v->states & BOTH) == BEFORE)
		puts("Before the login only.");
	else if ((v->states & BOTH) == AFTER)
		puts("After the login only.");
	if ((v->states & DATA) != 0)
		puts("Needs a data connection.");
	if ((v->states & NOW) != 0)
		puts("Also served while a transfer runs.");
	if ((v->states & KEEP) != 0)
		puts("May come between RNFR and RNTO.");
}

static void
print_rows(const struct verb *rows, size_t n, const char *prefix)
{
	char syntax[200], head[80], *p;

	mdoc_list_begin("Ds");
	for (size_t i = 0; i < n; i++) {
		snprintf(syntax, sizeof syntax, "%s", rows[i].syntax);
		/* Blanks are written as <SP> in RFCs; here they are blanks. */
		while ((p = strstr(syntax, "<SP> ")) != NULL)
			memmove(p, p + 5, strlen(p + 5) + 1);
		snprintf(head, sizeof head, "It Ic %s%s%s", prefix, rows[i].name, syntax[0] != '\0' ? " No" : "");
		mdoc_macro(head, syntax[0] != '\0' ? syntax : NULL, NULL);
		mdoc_text(rows[i].doc);
		print_rights(&rows[i]);
		if (prefix[0] == '\0')
			print_states(&rows[i]);
	}
	mdoc_list_end();
}

static void
print_verbs(void)
{
	print_rows(verbs, sizeof verbs / sizeof *verbs, "");
}

static void
print_sites(void)
{
	print_rows(sites, sizeof sites / sizeof *sites, "SITE ");
}

static void
print_aliases(void)
{
	mdoc_list_begin("XSHAX");
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
		mdoc_macro("It Ic", aliases[i].text, NULL);
		printf("is %s.\n", aliases[i].name);
	}
	mdoc_list_end();
}

static void
print_features(void)
{
	mdoc_list_begin("Ds");
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (verbs[i].feature[0] != '\0') {
			mdoc_macro("It", verbs[i].feature, NULL);
			printf("See %s.\n", verbs[i].name);
		}
	for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
		mdoc_macro("It", features[i].text, NULL);
		mdoc_text(features[i].doc);
	}
	mdoc_list_end();
}

const struct generator verb_generators[] = {
	{ "VERBS", print_verbs },
	{ "SITES", print_sites },
	{ "ALIASES", print_aliases },
	{ "FEATURES", print_features },
	{ NULL, NULL },
};
