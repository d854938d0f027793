#include "config.h"

#include <string.h>

#include "common/log.h"
#include "common/logrelay.h"
#include "common/str.h"

/* Fields of whoever writes the line: one that stood there twice would be read as the last. */
static const enum log_field own_fields[] = { FIELD_SESSION, FIELD_RHOST, FIELD_ROLE, FIELD_USER };

#define KEY_MAX 32
#define TEXT_SHOWN 1500	/* of a line that is not made like one */

struct token {
	const char *key, *value, *end;
	size_t key_len;
};

/* The end of a quoted value whose escapes are those of common/log.c; NULL: it is not one. */
static const char *
skip_quoted(const char *s)
{
	for (s++; *s != '"'; s++) {
		if (*s == '\0')
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (*s == 'x') {
			if (strspn(s + 1, "0123456789abcdef") < 2)
				return NULL;
			s += 2;
		} else if (*s != '\\' && *s != '"') {
			return NULL;
		}
	}
	return s + 1;
}

/* The next " key=value"; false when the text is not made like that. */
static bool
next_token(const char *s, struct token *t)
{
	t->key = s;
	t->key_len = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
	if (t->key_len == 0 || t->key_len > KEY_MAX || s[t->key_len] != '=')
		return false;
	t->value = s + t->key_len + 1;
	t->end = *t->value == '"' ? skip_quoted(t->value) : t->value + strcspn(t->value, " \"\\=");
	return t->end != NULL && t->end > t->value && (*t->end == ' ' || *t->end == '\0');
}

static bool
is_own(int field)
{
	for (size_t i = 0; i < sizeof own_fields / sizeof *own_fields; i++)
		if ((int)own_fields[i] == field)
			return true;
	return false;
}

/* The event of a line, if it is made like one and all of it is the role's to say; -1: it is not. */
static int
event_of(unsigned by, const char *text)
{
	static const char cut[] = "cut=yes";
	struct token t;
	int event;

	if (strncmp(text, "event=", 6) != 0 || !next_token(text, &t))
		return -1;
	event = log_event_find(t.value, (size_t)(t.end - t.value));
	if (event < 0 || (log_event_row((enum log_event)event)->by & by) == 0)
		return -1;
	while (*t.end != '\0') {
		int field;

		if (strcmp(t.end + 1, cut) == 0)
			break;
		if (!next_token(t.end + 1, &t))
			return -1;
		field = log_field_find(t.key, t.key_len);
		if (field < 0 || (log_event_row((enum log_event)event)->fields[field] == LOG_NEVER && !is_own(field)))
			return -1;
	}
	return event;
}

static unsigned
nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* What a value stands for; its form was looked at by event_of(). Returns the length. */
static size_t
read_value(const struct token *t, char *out)
{
	bool quoted = *t->value == '"';
	const char *end = quoted ? t->end - 1 : t->end;
	size_t n = 0;

	for (const char *s = t->value + (quoted ? 1 : 0); s < end; s++) {
		if (*s == '\\' && *++s == 'x') {
			out[n++] = (char)(nibble(s[1]) << 4 | nibble(s[2]));
			s += 2;
		} else {
			out[n++] = *s;
		}
	}
	return n;
}

/*
 * One field, written as if it were ours: whatever its bytes are, log_bytes() escapes them.
 * An unquoted number is one (log_num()).
 */
static void
add_field(struct log_line *l, const struct token *t)
{
	int field = log_field_find(t->key, t->key_len);
	char value[LOG_LINE_MAX + 1];
	size_t n = read_value(t, value);
	int64_t number;

	if (field < 0) {
		l->shortened = true;	/* cut=yes */
		return;
	}
	if (is_own(field))
		return;
	if (*t->value != '"' && log_is_number(value, n, &number))
		log_num(l, (enum log_field)field, number);
	else
		log_bytes(l, (enum log_field)field, value, n);
}

/* As loud as it wants to be, within what the event may be. */
static enum log_level
bounded(int event, unsigned level)
{
	const struct log_event_row *row = log_event_row(event < 0 ? EVENT_CLAIMED : (enum log_event)event);
	enum log_level least = row->low < row->high ? row->low : row->high;
	enum log_level most = row->low < row->high ? row->high : row->low;

	return level < (unsigned)least || level > (unsigned)most ? row->low : (enum log_level)level;
}

void
log_relay(const char *role, unsigned by, unsigned level, const char *text)
{
	int event = event_of(by, text);
	struct log_line l;
	struct token t;

	log_begin_at(&l, bounded(event, level), event < 0 ? EVENT_CLAIMED : (enum log_event)event);
	log_str(&l, FIELD_ROLE, role);
	if (event < 0) {
		log_cut(&l, FIELD_TEXT, text, TEXT_SHOWN);
		log_end(&l);
		return;
	}
	for (bool more = next_token(text, &t); more && *t.end != '\0';) {
		more = next_token(t.end + 1, &t);
		if (more)
			add_field(&l, &t);
	}
	log_end(&l);
}
