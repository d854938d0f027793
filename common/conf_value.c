/*
 * Values: from text to what struct settings holds, and back.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/str.h"

/* What a parser works on. */
struct task {
	struct arena *arena;
	const struct conf_key *key;
	const char *text, *file;
	unsigned line;
	struct conf_why *why;
};

int
conf_refuse(struct conf_why *why, const char *bad, const char *what, const char *hint)
{
	(void)str_copy(why->bad, sizeof why->bad, bad);
	(void)str_copy(why->what, sizeof why->what, what);
	(void)str_copy(why->hint, sizeof why->hint, hint);
	return SP_EFORMAT;
}

/* Refuses with the description of the type. */
static int
refuse_type(struct task *t, const char *bad)
{
	char expected[sizeof t->why->what - 16];

	conf_refuse(t->why, bad, "", "");
	(void)str_format(
	    t->why->what, sizeof t->why->what, "expected %s", conf_expected(t->key, expected, sizeof expected));
	return SP_EFORMAT;
}

static int
parse_bool(struct task *t, void *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		if (str_same(t->text, yes[i]) || str_same(t->text, no[i])) {
			*(bool *)out = str_same(t->text, yes[i]);
			return 0;
		}
	return refuse_type(t, t->text);
}

/* Checks the row's bounds. */
static int
bounded(struct task *t, int64_t n)
{
	if (n >= t->key->low && n <= t->key->high)
		return 0;
	conf_refuse(t->why, t->text, "", "");
	(void)str_format(t->why->what, sizeof t->why->what,
	    t->key->type == CONF_OCTAL ? "must be between %" PRIo64 " and %" PRIo64
				       : "must be between %" PRId64 " and %" PRId64,
	    t->key->low, t->key->high);
	return SP_EFORMAT;
}

/* Reads digits of a base at *p; false: none, or too large for 63 bits. */
static bool
read_digits(const char **p, int base, int64_t *n)
{
	const char *start = *p;

	for (*n = 0; **p >= '0' && **p < '0' + base; (*p)++)
		if (__builtin_mul_overflow(*n, base, n) || __builtin_add_overflow(*n, **p - '0', n))
			return false;
	return *p != start;
}

static int
parse_int(struct task *t, void *out)
{
	const char *p = t->text + (t->text[0] == '-');
	int64_t n;

	if (!read_digits(&p, 10, &n) || *p != '\0')
		return refuse_type(t, t->text);
	*(int64_t *)out = t->text[0] == '-' ? -n : n;
	return bounded(t, *(int64_t *)out);
}

static int
parse_seconds(struct task *t, void *out)
{
	static const struct { char letter; int64_t seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 }, { '\0', 1 }
	};
	int64_t n, sum = 0;
	const char *p = t->text;
	size_t u;

	do {
		if (!read_digits(&p, 10, &n))
			return refuse_type(t, t->text);
		for (u = 0; u < sizeof units / sizeof *units && units[u].letter != *p; u++)
			;
		if (u == sizeof units / sizeof *units || __builtin_mul_overflow(n, units[u].seconds, &n) ||
		    __builtin_add_overflow(sum, n, &sum))
			return refuse_type(t, t->text);
		if (*p != '\0')
			p++;
	} while (*p != '\0');
	if (bounded(t, sum) != 0)
		return SP_EFORMAT;
	*(uint32_t *)out = (uint32_t)sum;
	return 0;
}

static int
parse_size(struct task *t, void *out)
{
	static const char letters[] = "KMGT";
	const char *p = t->text, *letter;
	int64_t n;
	int shift = 0;

	if (!read_digits(&p, 10, &n))
		return refuse_type(t, t->text);
	while (*p == ' ')
		p++;
	letter = *p == '\0' ? NULL : strchr(letters, *p >= 'a' ? *p - 32 : *p);
	if (letter != NULL) {
		shift = 10 * (int)(letter - letters + 1);
		p++;
		if (strcmp(p, "iB") == 0 || strcmp(p, "B") == 0)
			p = "";
	}
	if (*p != '\0' || n > INT64_MAX >> shift)
		return refuse_type(t, t->text);
	*(uint64_t *)out = (uint64_t)n << shift;
	return bounded(t, n << shift);
}

static int
parse_octal(struct task *t, void *out)
{
	const char *p = t->text;
	int64_t n;

	if (!read_digits(&p, 8, &n) || *p != '\0')
		return refuse_type(t, t->text);
	if (bounded(t, n) != 0)
		return SP_EFORMAT;
	*(uint32_t *)out = (uint32_t)n;
	return 0;
}

static int
parse_date(struct task *t, void *out)
{
	struct tm tm = { .tm_isdst = -1 };
	struct tm asked;
	const char *end = strptime(t->text, "%Y-%m-%d", &tm);
	time_t when;

	if (end != NULL && (*end == ' ' || *end == 'T'))
		end = strptime(end + 1, "%H:%M", &tm);
	if (end == NULL || *end != '\0')
		return refuse_type(t, t->text);
	asked = tm;
	tm.tm_isdst = -1;
	when = mktime(&tm);
	/* 2027-02-30 would become a day in March. */
	if (when <= 0 || tm.tm_mday != asked.tm_mday)
		return conf_refuse(t->why, t->text, "there is no such day", "");
	*(int64_t *)out = when;
	return 0;
}

static int
keep_text(struct task *t, void *out, size_t max)
{
	char what[64];

	if (strlen(t->text) > max) {
		(void)str_format(what, sizeof what, "longer than %zu bytes", max);
		return conf_refuse(t->why, "", what, "");
	}
	*(const char **)out = t->text[0] == '\0' ? NULL : arena_strdup(t->arena, t->text);
	return t->text[0] != '\0' && *(const char **)out == NULL ? -ENOMEM : 0;
}

static int
parse_string(struct task *t, void *out)
{
	return keep_text(t, out, CONF_STRING_MAX);
}

static int
parse_path(struct task *t, void *out)
{
	if (t->text[0] != '/' && t->text[0] != '\0' && strncmp(t->text, "${", 2) != 0)
		return conf_refuse(t->why, t->text, "expected an absolute path", "begin it with a slash");
	return keep_text(t, out, CONF_STRING_MAX - 1);
}

static int
parse_enum(struct task *t, void *out)
{
	const char *near;
	char hint[64] = "";
	int n = conf_word_find(t->key->words, t->text);

	if (n >= 0) {
		*(int *)out = n;
		return 0;
	}
	refuse_type(t, t->text);
	near = conf_nearest_word(t->key->words, t->text);
	if (near != NULL)
		(void)str_format(hint, sizeof hint, "did you mean \"%s\"?", near);
	return conf_refuse(t->why, t->text, t->why->what, hint);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The text between commas or line ends at *p, trimmed, as a copy; NULL at the end. */
static char *
next_word(struct arena *a, const char **p)
{
	const char *start, *end;

	*p += strspn(*p, " \t\n,");
	if (**p == '\0')
		return NULL;
	start = *p;
	*p += strcspn(*p, ",\n");
	for (end = *p; is_blank(end[-1]); end--)
		;
	return arena_strndup(a, start, (size_t)(end - start));
}

/* Upper bound of the number of words. */
static size_t
count_words(const char *p)
{
	size_t n = 1;

	for (; *p != '\0'; p++)
		n += *p == ',' || *p == '\n';
	return n;
}

static int
parse_list(struct task *t, void *out)
{
	struct conf_list *list = out;
	const char *p = t->text;
	char **v = arena_alloc(t->arena, count_words(p) * sizeof *v);
	char *word;

	if (v == NULL)
		return -ENOMEM;
	list->v = (const char *const *)v;
	list->n = 0;
	while ((word = next_word(t->arena, &p)) != NULL)
		v[list->n++] = word;
	return 0;
}

static int
parse_nets(struct task *t, void *out)
{
	struct addr_nets *nets = out;
	const char *p = t->text;
	struct addr_net *v = arena_alloc(t->arena, count_words(p) * sizeof *v);
	char *word;

	if (v == NULL)
		return -ENOMEM;
	nets->v = v;
	nets->n = 0;
	while ((word = next_word(t->arena, &p)) != NULL)
		if (addr_net_parse(&v[nets->n++], word) != 0)
			return conf_refuse(t->why, word,
			    "expected a network such as 10.0.0.0/8 or 2001:db8::/32, an address, or *",
			    strchr(word, '/') != NULL ? "bits behind the prefix must be zero" : "");
	return 0;
}

/* An address, or something that looks like a host name. */
static bool
is_host(const char *s)
{
	struct addr a;

	if (addr_parse(&a, s, 1) == 0 && addr_port(&a) == 1)
		return strcmp(s, "*") != 0;
	return *s != '\0' && strlen(s) < 254 && s[strspn(s, "0123456789.")] != '\0' &&
	    s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] == '\0';
}

static int
parse_map_row(struct task *t, char *word, struct addr_map_row *row)
{
	char *target = strchr(word, '='), *end;

	if (target == NULL) {
		row->net.family = AF_UNSPEC;
		target = word;
	} else {
		for (end = target; end > word && is_blank(end[-1]); end--)
			;
		*end = '\0';
		target += 1 + strspn(target + 1, " \t");
		if (addr_net_parse(&row->net, word) != 0)
			return conf_refuse(t->why, word, "expected a network such as 10.0.0.0/8, an address, or *", "");
	}
	if (!is_host(target))
		return conf_refuse(t->why, target, "expected an address or a host name", "");
	row->target = target;
	return 0;
}

static int
parse_netmap(struct task *t, void *out)
{
	struct addr_map *map = out;
	const char *p = t->text;
	struct addr_map_row *v = arena_alloc(t->arena, count_words(p) * sizeof *v);
	char *word;
	int r = 0;

	if (v == NULL)
		return -ENOMEM;
	map->v = v;
	map->n = 0;
	while (r == 0 && (word = next_word(t->arena, &p)) != NULL)
		r = parse_map_row(t, word, &v[map->n++]);
	return r;
}

static int
parse_ports(struct task *t, void *out)
{
	struct conf_ports *ports = out;
	const char *p = t->text;
	int64_t low, high;

	if (!read_digits(&p, 10, &low))
		return refuse_type(t, t->text);
	high = low;
	p += strspn(p, " \t");
	if (*p == '-' || *p == ':') {
		p++;
		p += strspn(p, " \t");
		if (!read_digits(&p, 10, &high))
			return refuse_type(t, t->text);
	}
	if (*p != '\0' || high > 65535 || (low == 0 && high != 0))
		return conf_refuse(t->why, t->text, "expected ports between 1 and 65535 as LOW-HIGH, or 0", "");
	if (low > high)
		return conf_refuse(t->why, t->text, "the first port is above the last", "write the smaller number first");
	*ports = (struct conf_ports){ (uint16_t)low, (uint16_t)high };
	return 0;
}

/* The word at *p, up to a blank or line end (a prefix may stand in quotes). */
static char *
layer_word(struct arena *a, const char **p)
{
	const char *start = *p + strspn(*p, " \t");
	size_t n = strcspn(start, " \t\n");

	if (start[0] == '"' && strchr(start + 1, '"') != NULL) {
		n = strcspn(++start, "\"");
		*p = start + n + 1;
	} else {
		*p = start + n;
	}
	return arena_strndup(a, start, n);
}

/* Absolute, without empty, . and .. parts and without a slash at the end (but "/"). */
static bool
is_canonical(const char *path)
{
	size_t n = strlen(path);

	return path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
	       strstr(path, "/../") == NULL && (n == 1 || path[n - 1] != '/') &&
	       (n < 2 || strcmp(path + n - 2, "/.") != 0) && (n < 3 || strcmp(path + n - 3, "/..") != 0);
}

/* rest: what follows the word, in which the language may stand: then the word was to be a path. */
static int
refuse_dialect(struct task *t, const char *word, const char *rest)
{
	const char *near = conf_nearest_word(conf_words_dialect, word), *next = layer_word(t->arena, &rest);
	char hint[200] = "";

	if (next != NULL && conf_word_find(conf_words_dialect, next) >= 0)
		(void)str_format(hint, sizeof hint, "a path begins with a slash: layer = /%.100s %s ...", word, next);
	else if (near != NULL)
		(void)str_format(hint, sizeof hint, "did you mean \"%s\"?", near);
	return conf_refuse(
	    t->why, word, "expected the language of the layer: pyftpdlib, sftpplus, ftpcluster, ups or posix1e", hint);
}

static int
parse_layers(struct task *t, void *out)
{
	struct conf_layers *layers = out;
	struct conf_layer *l = arena_alloc(t->arena, sizeof *l);
	const char *p = t->text;
	bool built_in;
	char *word;

	if (l == NULL || (word = layer_word(t->arena, &p)) == NULL)
		return -ENOMEM;
	l->prefix = "";
	if (word[0] == '/') {
		if (!is_canonical(word))
			return conf_refuse(t->why, word, "expected a plain path, as the client sees it",
			    "no slash at the end, no . or ..");
		l->prefix = word;
		if ((word = layer_word(t->arena, &p)) == NULL)
			return -ENOMEM;
	}
	if (conf_word_find(conf_words_dialect, word) < 0)
		return refuse_dialect(t, word, p);
	l->dialect = word;
	l->text = arena_strdup(t->arena, p + strspn(p, " \t"));
	/* A rule that no file has is cited by its setting. */
	built_in = strcmp(t->file, CONF_BY_DEFAULT) == 0 || strcmp(t->file, CONF_BY_CALL) == 0;
	l->file = arena_strdup(t->arena, built_in ? t->key->name : t->file);
	l->line = t->line;
	l->scope = SC_SERVER;
	l->section = "server";
	layers->n = 1;
	layers->v = l;
	return l->text == NULL || l->file == NULL ? -ENOMEM : 0;
}

static int (*const parsers[CONF_TYPE_COUNT])(struct task *, void *) = {
	[CONF_BOOL] = parse_bool, [CONF_INT] = parse_int, [CONF_SECONDS] = parse_seconds, [CONF_SIZE] = parse_size,
	[CONF_RATE] = parse_size, [CONF_OCTAL] = parse_octal, [CONF_DATE] = parse_date, [CONF_STRING] = parse_string,
	[CONF_PATH] = parse_path, [CONF_ENUM] = parse_enum, [CONF_LIST] = parse_list, [CONF_NETS] = parse_nets,
	[CONF_NETMAP] = parse_netmap, [CONF_PORTS] = parse_ports, [CONF_LAYERS] = parse_layers,
};

/* May the value be left empty, which unsets it? */
static bool
may_be_empty(enum conf_type type)
{
	return type == CONF_STRING || type == CONF_PATH || type == CONF_LIST || type == CONF_NETS ||
	       type == CONF_NETMAP || type == CONF_DATE;
}

int
conf_value_parse(struct arena *a, const struct conf_key *k, const char *text, const char *file, unsigned line,
    void *out, struct conf_why *why)
{
	struct task t = { a, k, text, file, line, why };
	int r;

	memset(why, 0, sizeof *why);
	memset(out, 0, k->size);
	if (text[0] == '\0')
		return may_be_empty(k->type) ? 0 : refuse_type(&t, "");
	if (strlen(text) > CONF_TEXT_MAX)
		return conf_refuse(why, "", "longer than 4 MiB", "");
	r = parsers[k->type](&t, out);
	return r == 0 ? conf_value_rules(k, out, why) : r;
}
