/* sallyport.conf(5), sallyport-migration(7) and exit codes, from common/. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "man/mdoc.h"

/* The table's order, titles of topics between the keys. */
static const struct { const char *title; int key; } order[] = {
#define WORDS(list, words)
#define TOPIC(title) { title, -1 },
#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc) { NULL, K_##name },
#include "common/config.def"
#undef KEY
#undef WORDS
};

/* What stands for the value in the heading of a key. */
static const char *const values[CONF_TYPE_COUNT] = {
	[CONF_BOOL] = "yes | no",
	[CONF_INT] = "number",
	[CONF_SECONDS] = "time",
	[CONF_SIZE] = "size",
	[CONF_RATE] = "rate",
	[CONF_OCTAL] = "octal",
	[CONF_DATE] = "date",
	[CONF_STRING] = "text",
	[CONF_PATH] = "path",
	[CONF_ENUM] = "word",
	[CONF_LIST] = "list",
	[CONF_NETS] = "networks",
	[CONF_NETMAP] = "address map",
	[CONF_PORTS] = "ports",
	[CONF_LAYERS] = "layer",
};

static void
print_words(const struct conf_key *k)
{
	mdoc_list_begin("offer");
	for (const struct conf_word *w = k->words; w->word != NULL; w++) {
		mdoc_macro("It Cm", w->word, NULL);
		mdoc_text(w->meaning);
	}
	mdoc_list_end();
}

/* A bound in the words of the key's type. */
static void
bound_text(const struct conf_key *k, int64_t n, char *dst, size_t size)
{
	union { struct settings s; uint64_t any; } u;
	void *p = (char *)&u + k->offset;

	memset(&u, 0, sizeof u);
	if (k->type == CONF_INT)
		*(int64_t *)p = n;
	else if (k->type == CONF_SIZE || k->type == CONF_RATE)
		*(uint64_t *)p = (uint64_t)n;
	else
		*(uint32_t *)p = (uint32_t)n;
	conf_value_text(&u.s, (int)(k - conf_keys), dst, size);
}

static void
print_range(const struct conf_key *k)
{
	char low[64], high[64];

	if (k->low == 0 && k->high == 0)
		return;
	bound_text(k, k->low, low, sizeof low);
	bound_text(k, k->high, high, sizeof high);
	if (k->high == INT64_MAX)
		printf("From %s on.\n", low);
	else
		printf("From %s to %s.\n", low, high);
}

static void
print_scopes(const struct conf_key *k)
{
	static const struct { enum conf_scope scope; const char *shown; } names[] = {
		{ SC_SERVER, "[server]" }, { SC_TLS, "[tls]" }, { SC_LISTENER, "[listener]" }, { SC_CLASS, "[class]" },
		{ SC_GROUP, "[group]" }, { SC_ACCOUNT, "[account]" },
	};
	bool first = true;

	printf("In ");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((k->scopes & names[i].scope) != 0) {
			printf("%s%s", first ? "" : ", ", names[i].shown);
			first = false;
		}
	printf("; acts %s.\n", k->reload == RESTART ? "after a restart" : "on sessions that begin after a reload");
}

static void
print_key(const struct conf_key *k)
{
	printf(".It Ic %s No = Ar %s\n", k->name, values[k->type]);
	mdoc_text(k->doc);
	if (k->words != NULL)
		print_words(k);
	puts(".Pp");
	if (k->value == NULL)
		puts("Unset by default.");
	else
		mdoc_value("Default:", k->value);
	print_range(k);
	print_scopes(k);
	mdoc_value("Example:", k->example);
}

static void
print_settings(void)
{
	bool open = false;

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		if (order[i].title == NULL) {
			print_key(&conf_keys[order[i].key]);
			continue;
		}
		if (open)
			mdoc_list_end();
		mdoc_macro("Ss", order[i].title, NULL);
		mdoc_list_begin("Ds");
		open = true;
	}
	mdoc_list_end();
}

static void
print_types(void)
{
	static const char *const texts[] = {
#define CONF_TYPE(name, type, text) text,
		CONF_TYPES(CONF_TYPE)
#undef CONF_TYPE
	};

	mdoc_list_begin("addresses");
	for (int i = 0; i < CONF_TYPE_COUNT; i++) {
		char line[300];

		mdoc_macro("It Ar", values[i], NULL);
		(void)str_format(
		    line, sizeof line, "%c%s.", texts[i][0] >= 'a' ? texts[i][0] - 32 : texts[i][0], texts[i] + 1);
		mdoc_text(line);
	}
	mdoc_list_end();
}

static void
print_foreign(void)
{
	static const struct { const char *server, *name, *here; } rows[] = {
#define FOREIGN(server, name, here) { server, name, here },
#include "common/foreign.def"
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (i == 0 || strcmp(rows[i].server, rows[i - 1].server) != 0) {
			if (i > 0)
				mdoc_list_end();
			mdoc_macro("Ss Settings of", rows[i].server, NULL);
			mdoc_list_begin("force_local_logins_ssl");
		}
		mdoc_macro("It Ic", rows[i].name, NULL);
		mdoc_text(rows[i].here);
	}
	mdoc_list_end();
}

static void
print_old_names(void)
{
	static const struct { const char *name, *key, *before; } rows[] = {
#define OLD(name, key, before) { name, #key, before },
#include "common/foreign.def"
	};

	mdoc_list_begin("lock_in_home_folder");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		mdoc_macro("It Ic", rows[i].name, NULL);
		printf("is\n.Ic %s\n", rows[i].key);
		if (rows[i].before[0] != '\0')
			mdoc_macro("No with Ql", rows[i].before, NULL);
	}
	mdoc_list_end();
}

static void
print_exit_codes(void)
{
	static const struct { int number; const char *word, *meaning; } rows[] = {
#define EXIT_ROW(name, number, word, meaning) { number, word, meaning },
		SP_EXITS(EXIT_ROW)
#undef EXIT_ROW
	};

	puts(".Bl -column \"number\" \"never\\-authenticated\" \"meaning\"");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		printf(".It %d Ta %s Ta %s\n", rows[i].number, rows[i].word, rows[i].meaning);
	puts(".El");
}

const struct generator conf_generators[] = {
	{ "SETTINGS", print_settings },
	{ "TYPES", print_types },
	{ "FOREIGN", print_foreign },
	{ "OLD_NAMES", print_old_names },
	{ "EXIT_CODES", print_exit_codes },
	{ NULL, NULL },
};
