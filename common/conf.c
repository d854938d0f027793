/*
 * The configuration in memory: sections, values, mistakes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/str.h"

/* Grows an array of elements of the given size. false: no memory. */
static bool
grow(void *array, size_t n, size_t *size, size_t element)
{
	void **p = array, *bigger;
	size_t more = *size == 0 ? 8 : *size * 2;

	if (n < *size)
		return true;
	bigger = reallocarray(*p, more, element);
	if (bigger == NULL)
		return false;
	*p = bigger;
	*size = more;
	return true;
}

static int
set_defaults(struct conf *c)
{
	struct conf_why why;

	for (size_t i = 0; i < K_COUNT; i++) {
		const struct conf_key *k = CONF_ROW(i);
		void *out = (char *)&c->base + k->offset;

		if (k->value == NULL)
			memset(out, 0, k->size);
		else if (conf_value_parse(c->arena, k, k->value, CONF_BY_DEFAULT, 0, out, &why) != 0)
			return SP_EFORMAT;
	}
	return 0;
}

struct conf *
conf_new(void)
{
	struct conf *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->arena = arena_new();
	if (c->arena == NULL || set_defaults(c) != 0 ||
	    conf_section_make(c, SC_SERVER, "", CONF_BY_DEFAULT, 0, NULL) == NULL || conf_refresh(c) != 0) {
		conf_free(c);
		return NULL;
	}
	return c;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	conf_resolved_free(&c->server);
	for (size_t i = 0; i < c->n; i++) {
		if (c->sections[i]->resolved != NULL)
			conf_resolved_free(c->sections[i]->resolved);
		free(c->sections[i]->v);
	}
	free(c->sections);
	free(c->buckets);
	free(c->problems);
	arena_free(c->arena);
	free(c);
}

/* ----------------------------------------------------------------- sections */

static size_t
bucket_of(const struct conf *c, enum conf_scope kind, const char *name)
{
	uint64_t h = 14695981039346656037u ^ kind;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 1099511628211u;
	return (size_t)(h % c->bucket_count);
}

static void
put_in_bucket(struct conf *c, struct conf_section *s)
{
	struct conf_section **b = &c->buckets[bucket_of(c, s->kind, s->name)];

	s->same_bucket = *b;
	*b = s;
}

/* The number of the bit. */
static unsigned
kind_index(enum conf_scope kind)
{
	return (unsigned)__builtin_ctz((unsigned)kind);
}

static void
append_to_kind(struct conf *c, struct conf_section *s)
{
	unsigned k = kind_index(s->kind);

	if (c->last[k] == NULL)
		c->first[k] = s;
	else
		c->last[k]->next_of_kind = s;
	c->last[k] = s;
}

static bool
grow_buckets(struct conf *c)
{
	size_t count = c->bucket_count == 0 ? 64 : c->bucket_count * 4;
	struct conf_section **b;

	if (c->n < c->bucket_count)
		return true;
	b = calloc(count, sizeof(struct conf_section *));
	if (b == NULL)
		return false;
	free(c->buckets);
	c->buckets = b;
	c->bucket_count = count;
	for (size_t i = 0; i < c->n; i++)
		put_in_bucket(c, c->sections[i]);
	return true;
}

const struct conf_section *
conf_section_find(const struct conf *c, enum conf_scope kind, const char *name)
{
	struct conf_section *s;

	if (name == NULL || kind == SC_TLS)
		name = "";
	if (kind == SC_TLS)
		kind = SC_SERVER;
	if (c->bucket_count == 0)
		return NULL;
	for (s = c->buckets[bucket_of(c, kind, name)]; s != NULL; s = s->same_bucket)
		if (s->kind == kind && strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

struct conf_section *
conf_section_make(struct conf *c, enum conf_scope kind, const char *name, const char *file, unsigned line, bool *made)
{
	union {
		const struct conf_section *fixed;
		struct conf_section *s;
	} found = { conf_section_find(c, kind, name) };
	struct conf_section *s;

	if (made != NULL)
		*made = found.s == NULL;
	if (found.s != NULL)
		return found.s;
	if (!grow_buckets(c) || !grow(&c->sections, c->n, &c->size, sizeof(struct conf_section *)) ||
	    (s = arena_alloc(c->arena, sizeof *s)) == NULL)
		return NULL;
	s->kind = kind;
	s->name = arena_strdup(c->arena, name);
	s->file = arena_strdup(c->arena, file);
	s->line = line;
	if (s->name == NULL || s->file == NULL)
		return NULL;
	s->label = kind == SC_SERVER ? "server" : arena_format(c->arena, "%s %s", conf_kind_word(kind), s->name);
	if (s->label == NULL)
		return NULL;
	append_to_kind(c, s);
	c->sections[c->n++] = s;
	put_in_bucket(c, s);
	return s;
}

const struct conf_section *
conf_section_next(const struct conf *c, enum conf_scope kind, const struct conf_section *after)
{
	return after != NULL ? after->next_of_kind : c->first[kind_index(kind)];
}

const char *
conf_section_name(const struct conf_section *s)
{
	return s->name;
}

const char *
conf_section_file(const struct conf_section *s)
{
	return s->file;
}

unsigned
conf_section_line(const struct conf_section *s)
{
	return s->line;
}

const struct conf_value *
conf_section_get(const struct conf_section *s, enum conf_key_id key)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].key == key)
			return &s->v[i];
	return NULL;
}

bool
conf_section_sets(const struct conf_section *s, enum conf_key_id key)
{
	return conf_section_get(s, key) != NULL;
}

bool
conf_section_value(const struct conf_section *s, size_t i, enum conf_key_id *key, const char **text)
{
	if (i >= s->n)
		return false;
	*key = s->v[i].key;
	*text = s->v[i].text;
	return true;
}

int
conf_section_put(struct conf *c, struct conf_section *s, const struct conf_value *v)
{
	(void)c;
	if (!grow(&s->v, s->n, &s->size, sizeof *s->v))
		return -ENOMEM;
	s->v[s->n++] = *v;
	return 0;
}

int
conf_section_set(struct conf *c, struct conf_section *s, const struct conf_key *k, const char *text, const char *file,
    unsigned line, struct conf_why *why)
{
	void *data = arena_alloc(c->arena, k->size);
	struct conf_value v = { .key = (enum conf_key_id)(k - conf_keys), .line = line, .data = data };
	int r;

	v.text = arena_strdup(c->arena, text);
	v.file = strcmp(s->file, file) == 0 ? s->file : arena_strdup(c->arena, file);
	if (data == NULL || v.text == NULL || v.file == NULL)
		return -ENOMEM;
	r = conf_value_parse(c->arena, k, text, v.file, line, data, why);
	return r == 0 ? conf_section_put(c, s, &v) : r;
}

/* -------------------------------------------------------------- single keys */

/* The row, if that key may stand in that scope. */
static const struct conf_key *
key_for(enum conf_scope kind, const char *name, struct conf_why *why)
{
	const struct conf_key *k = conf_key(name), *near;

	memset(why, 0, sizeof *why);
	if (k == NULL) {
		near = conf_nearest_key(name, kind);
		(void)str_format(why->what, sizeof why->what, near == NULL ? "unknown key \"%s\"" :
		    "unknown key \"%s\"; did you mean \"%s\"?", name, near == NULL ? "" : near->name);
	} else if ((k->scopes & kind) == 0) {
		(void)str_format(why->what, sizeof why->what, "%s cannot be set for a %s", name, conf_kind_word(kind));
		k = NULL;
	}
	return k;
}

/* Puts the reason of a refusal into the caller's buffer. */
static int
tell_why(int r, const struct conf_why *why, char *dst, size_t size)
{
	if (dst != NULL && size > 0)
		(void)str_format(dst, size, "%s%s%s", why->what, why->hint[0] == '\0' ? "" : "; ", why->hint);
	return r;
}

static void
forget_value(struct conf_section *s, enum conf_key_id key)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].key != key)
			s->v[kept++] = s->v[i];
	s->n = kept;
}

int
conf_set(
    struct conf *c, enum conf_scope kind, const char *name, const char *key, const char *value, char *dst, size_t size)
{
	struct conf_why why;
	const struct conf_key *k = key_for(kind, key, &why);
	struct conf_section *s;
	int r;

	if (k == NULL)
		return tell_why(SP_EFORMAT, &why, dst, size);
	r = conf_check(kind, key, value, dst, size);
	if (r != 0)
		return r;
	s = conf_section_make(c, kind == SC_TLS ? SC_SERVER : kind, name == NULL ? "" : name, CONF_BY_CALL, 0, NULL);
	if (s == NULL)
		return -ENOMEM;
	if (k->type != CONF_LAYERS)
		forget_value(s, (enum conf_key_id)(k - conf_keys));
	r = conf_section_set(c, s, k, value, CONF_BY_CALL, 0, &why);
	return r == 0 ? conf_refresh(c) : tell_why(r, &why, dst, size);
}

int
conf_check(enum conf_scope kind, const char *key, const char *value, char *dst, size_t size)
{
	union { struct settings s; uint64_t any; } out;
	struct conf_why why;
	const struct conf_key *k = key_for(kind, key, &why);
	struct arena *a;
	int r = SP_EFORMAT;

	if (k != NULL) {
		a = arena_new();
		r = a == NULL ? -ENOMEM : conf_value_parse(a, k, value, CONF_BY_CALL, 0, (char *)&out + k->offset, &why);
		arena_free(a);
	}
	return tell_why(r, &why, dst, size);
}

const struct conf_key *
conf_needs_restart(const struct conf *now, const struct conf *next, const struct conf_key *after)
{
	char a[4096], b[4096];

	for (int i = after == NULL ? 0 : (int)(after - conf_keys) + 1; i < K_COUNT; i++) {
		if (CONF_ROW(i)->reload != RESTART)
			continue;
		conf_value_text(conf_server(now), i, a, sizeof a);
		conf_value_text(conf_server(next), i, b, sizeof b);
		if (strcmp(a, b) != 0)
			return CONF_ROW(i);
	}
	return NULL;
}

/* ----------------------------------------------------------------- mistakes */

static const char *
escaped(struct conf *c, const char *text)
{
	char shown[256];

	str_escape(shown, sizeof shown, text, strlen(text));
	return arena_strdup(c->arena, shown);
}

void
conf_problem_add(struct conf *c, enum conf_severity severity, const char *file, unsigned line, const char *text,
    const char *what, const char *hint)
{
	struct conf_problem *p;

	c->error_count += severity == CONF_ERROR;
	if (!grow(&c->problems, c->problem_count, &c->problem_size, sizeof *c->problems))
		return;
	p = &c->problems[c->problem_count];
	*p = (struct conf_problem){ severity, arena_strdup(c->arena, file), line, escaped(c, text),
		arena_strdup(c->arena, what), arena_strdup(c->arena, hint) };
	if (p->file != NULL && p->text != NULL && p->what != NULL && p->hint != NULL)
		c->problem_count++;
}

void
conf_complain(struct conf *c, const struct conf_value *v, const char *what, const char *hint)
{
	conf_problem_add(c, CONF_ERROR, v->file, v->line, conf_is_secret(CONF_ROW(v->key)) ? "" : v->text, what, hint);
}

size_t
conf_problem_count(const struct conf *c)
{
	return c->problem_count;
}

const struct conf_problem *
conf_problem_at(const struct conf *c, size_t i)
{
	return i < c->problem_count ? &c->problems[i] : NULL;
}

int
conf_problem_text(const struct conf_problem *p, char *dst, size_t size)
{
	char place[300], text[300] = "";

	if (str_format(place, sizeof place, p->line > 0 ? "%s:%u: " : "%s: ", p->file, p->line) != 0)
		place[0] = '\0';
	if (p->text[0] != '\0')
		(void)str_format(text, sizeof text, "\"%s\": ", p->text);
	return str_format(dst, size, "%s%s%s%s%s%s", place, p->severity == CONF_WARNING ? "warning: " : "", text,
	    p->what, p->hint[0] == '\0' ? "" : "; ", p->hint);
}
