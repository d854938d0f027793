#include "config.h"

#include <stddef.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/str.h"

#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc)
#define W(constant, word, meaning) { word, meaning },
#define WORDS(list, words) const struct conf_word conf_words_##list[] = { words { NULL, NULL } };
#include "common/config.def"
#undef WORDS
#undef W
#undef KEY

#define CONF_ENUM(list)		CONF_ENUM
#define CONF_L_BOOL		NULL
#define CONF_L_INT		NULL
#define CONF_L_SECONDS		NULL
#define CONF_L_SIZE		NULL
#define CONF_L_RATE		NULL
#define CONF_L_OCTAL		NULL
#define CONF_L_DATE		NULL
#define CONF_L_STRING		NULL
#define CONF_L_PATH		NULL
#define CONF_L_ENUM(list)	conf_words_##list
#define CONF_L_LIST		NULL
#define CONF_L_NETS		NULL
#define CONF_L_NETMAP		NULL
#define CONF_L_PORTS		NULL
#define CONF_L_LAYERS		NULL

const struct conf_key conf_keys[K_COUNT] = {
#define WORDS(list, words)
#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc)			\
	{ #name, CONF_##type, CONF_L_##type, scopes, audience, reload, value, low, high, example, doc,	\
	    offsetof(struct settings, name), sizeof ((struct settings *)NULL)->name },
#include "common/config.def"
#undef KEY
#undef WORDS
};

#undef CONF_ENUM

static const char *const type_texts[] = {
#define CONF_TYPE(name, type, text) text,
	CONF_TYPES(CONF_TYPE)
#undef CONF_TYPE
};

static const struct {
	enum conf_scope kind;
	const char *word, *shown;
} kinds[] = {
	{ SC_SERVER, "server", "[server]" },
	{ SC_TLS, "tls", "[tls]" },
	{ SC_LISTENER, "listener", "[listener NAME]" },
	{ SC_CLASS, "class", "[class NAME]" },
	{ SC_GROUP, "group", "[group NAME]" },
	{ SC_ACCOUNT, "account", "[account NAME]" },
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Equal, with - for _ as many people write it. */
static bool
name_is(const char *key, const char *name)
{
	while (*key != '\0' && (*key == *name || (*key == '_' && *name == '-')))
		key++, name++;
	return *key == '\0' && *name == '\0';
}

const struct conf_key *
conf_key(const char *name)
{
	for (size_t i = 0; i < K_COUNT; i++)
		if (name_is(conf_keys[i].name, name))
			return &conf_keys[i];
	return NULL;
}

const char *
conf_expected(const struct conf_key *k, char *dst, size_t size)
{
	size_t len;

	if (k->words == NULL)
		(void)str_copy(dst, size, type_texts[k->type]);
	else
		(void)str_copy(dst, size, "one of");
	for (const struct conf_word *w = k->words; w != NULL && w->word != NULL; w++) {
		len = strlen(dst);
		(void)str_format(dst + len, size - len, "%s %s", w == k->words ? "" : ",", w->word);
	}
	return dst;
}

const char *
conf_kind_word(enum conf_scope kind)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].kind == kind)
			return kinds[i].word;
	return NULL;
}

enum conf_scope
conf_kind_parse(const char *word)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i].word, word) == 0)
			return kinds[i].kind;
	return 0;
}

bool
conf_kind_named(enum conf_scope kind)
{
	return (kind & (SC_SERVER | SC_TLS)) == 0;
}

void
conf_scope_text(unsigned scopes, char *dst, size_t size)
{
	size_t len = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < KINDS; i++)
		if ((scopes & kinds[i].kind) != 0) {
			(void)str_format(dst + len, size - len, "%s%s", len == 0 ? "" : ", ", kinds[i].shown);
			len = strlen(dst);
		}
}

int
conf_word_find(const struct conf_word *list, const char *word)
{
	for (int i = 0; list[i].word != NULL; i++)
		if (strcmp(list[i].word, word) == 0)
			return i;
	return -1;
}

const struct conf_key *
conf_old_name(const char *name, const char **before)
{
	static const struct { const char *name, *before; enum conf_key_id key; } old[] = {
#define OLD(name, key, before) { name, before, K_##key },
#include "common/foreign.def"
	};

	for (size_t i = 0; i < sizeof old / sizeof *old; i++)
		if (name_is(old[i].name, name)) {
			*before = old[i].before;
			return CONF_ROW(old[i].key);
		}
	return NULL;
}

const char *
conf_foreign_name(const char *name)
{
	static const struct { const char *name, *here; } foreign[] = {
#define FOREIGN(server, name, here) { name, here },
#include "common/foreign.def"
	};

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		if (str_same(foreign[i].name, name))
			return foreign[i].here;
	return NULL;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

#define DISTANCE_MAX 40		/* longer words are like nothing */

unsigned
conf_distance(const char *a, const char *b)
{
	unsigned row[3][DISTANCE_MAX + 1], *before = row[0], *last = row[1], *now = row[2], *spare;
	size_t n = strlen(a), m = strlen(b);

	if (n > DISTANCE_MAX || m > DISTANCE_MAX)
		return DISTANCE_MAX;
	for (unsigned j = 0; j <= m; j++)
		last[j] = j;
	for (unsigned i = 1; i <= n; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		spare = before, before = last, last = now, now = spare;
	}
	return last[m];
}

/* Beyond a third of the word, likeness is chance. */
static bool
alike(const char *word, unsigned distance)
{
	return distance <= (strlen(word) + 2) / 3;
}

const struct conf_key *
conf_nearest_key(const char *name, unsigned scope)
{
	const struct conf_key *best = NULL;
	unsigned distance, least_yet = DISTANCE_MAX;

	for (size_t i = 0; i < K_COUNT; i++) {
		distance = conf_distance(name, conf_keys[i].name);
		if ((scope == 0 || (conf_keys[i].scopes & scope) != 0) && distance < least_yet) {
			least_yet = distance;
			best = &conf_keys[i];
		}
	}
	return best != NULL && alike(name, least_yet) ? best : NULL;
}

const char *
conf_nearest_word(const struct conf_word *list, const char *word)
{
	const char *best = NULL;
	unsigned distance, least_yet = DISTANCE_MAX;

	for (; list->word != NULL; list++) {
		distance = conf_distance(word, list->word);
		if (distance < least_yet) {
			least_yet = distance;
			best = list->word;
		}
	}
	return best != NULL && alike(word, least_yet) ? best : NULL;
}
