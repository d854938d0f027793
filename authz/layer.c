/* What all dialects share: memory, bounded text, lines of rules, letters, paths. */
#include "authz/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

void
text_begin(struct text *t, char *buf, size_t size)
{
	t->buf = buf;
	t->size = size;
	t->len = 0;
	if (size)
		buf[0] = '\0';
}

void
text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->len + 1 >= t->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = (size_t)n < t->size - t->len ? t->len + (size_t)n : t->size - 1;
}

void
text_add_escaped(struct text *t, const char *s, size_t n)
{
	if (t->len + 1 < t->size)
		t->len += str_escape(t->buf + t->len, t->size - t->len, s, n);
}

void
lines_begin(struct lines *l, const char *text)
{
	memset(l, 0, sizeof(*l));
	l->next = text;
}

bool
lines_next(struct lines *l)
{
	const char *end;

	if (!l->next)
		return false;
	if (l->start)
		l->number++;
	l->start = l->next;
	end = strchr(l->start, '\n');
	l->len = end ? (size_t)(end - l->start) : strlen(l->start);
	l->next = end ? end + 1 : NULL;
	if (l->len && l->start[l->len - 1] == '\r')
		l->len--;
	return true;
}

size_t
lines_count(const char *text)
{
	size_t n = 1;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

bool
blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span
span_trim(struct span s)
{
	while (s.len && blank(*s.at)) {
		s.at++;
		s.len--;
	}
	while (s.len && blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool
span_is(struct span s, const char *word)
{
	return strlen(word) == s.len && memcmp(s.at, word, s.len) == 0;
}

struct span
span_word(struct span *rest)
{
	struct span s = span_trim(*rest), word = s;

	for (word.len = 0; word.len < s.len && !blank(s.at[word.len]); word.len++)
		;
	rest->at = s.at + word.len;
	rest->len = s.len - word.len;
	return word;
}

struct span
span_last_word(struct span *s)
{
	struct span word;

	*s = span_trim(*s);
	word.at = s->at + s->len;
	while (s->len && !blank(s->at[s->len - 1]))
		s->len--;
	word.len = (size_t)(word.at - (s->at + s->len));
	word.at = s->at + s->len;
	*s = span_trim(*s);
	return word;
}

uint32_t
letter_rights(const struct letter *rows, size_t n, char c)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].letter == c)
			return rows[i].rights;
	return 0;
}

bool
letters_text(const struct letter *rows, size_t n, uint32_t rights, char *dst, size_t size)
{
	struct text t;
	uint32_t made = 0;

	text_begin(&t, dst, size);
	for (size_t i = 0; i < n; i++) {
		if ((rows[i].rights & rights) != rows[i].rights)
			continue;
		text_add(&t, "%c", rows[i].letter);
		made |= rows[i].rights;
	}
	return made == rights;
}

bool
path_within(const char *path, size_t len, const char *dir, size_t dir_len)
{
	if (dir_len == 1 && dir[0] == '/')
		return true;
	return len >= dir_len && memcmp(path, dir, dir_len) == 0 && (len == dir_len || path[dir_len] == '/');
}

size_t
path_parent(const char *path, size_t len)
{
	if (len <= 1)
		return 0;
	while (len > 1 && path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : 1;
}

uint32_t
hash_bytes(const char *s, size_t n)
{
	uint32_t h = HASH_START;

	while (n--)
		h = HASH_STEP(h, *s++);
	return h;
}

static void
store_problem(struct authz_problems *list, const struct source *s, unsigned line, unsigned column, bool warning,
    const char *expected, const char *text)
{
	struct authz_problem *p;

	list->count++;
	list->errors += !warning;
	if (list->count > AUTHZ_PROBLEMS_MAX)
		return;
	p = realloc(list->list, list->count * sizeof(*p));
	if (!p) {
		list->count--;
		return;
	}
	list->list = p;
	p += list->count - 1;
	memset(p, 0, sizeof(*p));
	p->file = s->file ? strdup(s->file) : NULL;
	p->line = s->line + line;
	p->column = column;
	p->warning = warning;
	str_copy(p->text, sizeof(p->text), text);
	str_copy(p->expected, sizeof(p->expected), expected ? expected : "");
}

/* The first mistake becomes the reason of the layer that then denies everything. */
void
complain(struct compiler *c, const struct source *s, unsigned line, unsigned column, bool warning,
    const char *expected, const char *fmt, ...)
{
	char raw[192], place[320];
	struct text t;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	if (c->problems)
		store_problem(c->problems, s, line, column, warning, expected, raw);
	if (warning)
		return;
	if (c->errors++ == 0) {
		text_begin(&t, place, sizeof(place));
		text_add(&t, "%s (", raw);
		cite_place(&t, s, line);
		text_add(&t, ")");
		c->layer->error = arena_strndup(c->layer->policy->arena, place, t.len);
	}
}

const char *
quoted(struct span s, char buf[QUOTED_MAX])
{
	struct text t;
	bool cut = s.len > 40;

	text_begin(&t, buf, QUOTED_MAX);
	text_add(&t, "\"");
	text_add_escaped(&t, s.at, cut ? 40 : s.len);
	text_add(&t, cut ? "...\"" : "\"");
	return buf;
}

void
authz_problems_clear(struct authz_problems *p)
{
	size_t kept = p->count < AUTHZ_PROBLEMS_MAX ? p->count : AUTHZ_PROBLEMS_MAX;

	for (size_t i = 0; i < kept; i++)
		free((char *)p->list[i].file);
	free(p->list);
	memset(p, 0, sizeof(*p));
}

void
cite_place(struct text *t, const struct source *s, unsigned line)
{
	if (s->section && s->section[0])
		text_add(t, "%s%s", s->section, s->file ? ", " : "");
	/* What comes from a database has no line but within itself. */
	if (s->file && s->line > 0)
		text_add(t, "%s:%u", s->file, s->line + line);
	else if (s->file && line > 0)
		text_add(t, "%s, line %u", s->file, line + 1);
	else if (s->file)
		text_add(t, "%s", s->file);
	else if (!s->section || !s->section[0])
		text_add(t, "line %u", s->line + line);
}
