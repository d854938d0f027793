/*
 * Log lines of the worker and the agent.  Both may be in a client's hands:
 * their lines are taken apart and put together again, tagged with the role,
 * and cannot pretend to be the monitor's own.  How many there may be says ration.c.
 */
#include "config.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"

/* Events that only the monitor itself may state, or the agent but not the worker. */
static const struct {
	const char *begin;
	bool agents;
} own_events[] = {
	{ "auth", false }, { "login", false }, { "connect", false }, { "session", false }, { "protocol", false },
	{ "transfer", false }, { "log", false }, { "access", true }, { "policy", true }
};

/* Fields of ours: one that stood there twice would be read as the last. */
static const char *const own_keys[] = { "event", "session", "rhost", "role", "user", "time", "level" };

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
well_formed(const char *text)
{
	struct token t;

	if (strncmp(text, "event=", 6) != 0)
		return false;
	for (;; text = t.end + 1) {
		if (!next_token(text, &t))
			return false;
		if (*t.end == '\0')
			return true;
	}
}

static bool
is_own_key(const struct token *t)
{
	for (size_t i = 0; i < sizeof own_keys / sizeof *own_keys; i++)
		if (strlen(own_keys[i]) == t->key_len && memcmp(own_keys[i], t->key, t->key_len) == 0)
			return true;
	return false;
}

/* The name of the event, unless it is one of ours or no name. */
static void
event_name(const struct token *t, bool agent, char *out, size_t size)
{
	size_t n = (size_t)(t->end - t->value);

	(void)str_copy(out, size, "claimed");
	for (size_t i = 0; i < sizeof own_events / sizeof *own_events; i++)
		if (strncmp(t->value, own_events[i].begin, strlen(own_events[i].begin)) == 0 && !(agent && own_events[i].agents))
			return;
	if (n < size && strspn(t->value, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n) {
		memcpy(out, t->value, n);
		out[n] = '\0';
	}
}

static unsigned
nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* What a value stands for; its form was looked at by well_formed(). Returns the length. */
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
	char key[KEY_MAX + 1], value[LOG_LINE_MAX + 1];
	size_t n = read_value(t, value);
	int64_t number;

	memcpy(key, t->key, t->key_len);
	key[t->key_len] = '\0';
	if (*t->value != '"' && log_is_number(value, n, &number))
		log_num(l, key, number);
	else
		log_bytes(l, key, value, n);
}

static void
relay(bool agent, unsigned level, const char *text)
{
	const char *role = agent ? "agent" : "worker";
	struct log_line l;
	struct token t;
	char event[64];
	bool formed = well_formed(text) && next_token(text, &t);

	if (level >= LOG_LEVEL_COUNT)
		level = LOG_LEVEL_WARNING;
	if (!formed) {
		log_begin(&l, (enum log_level)level, "note");
		log_str(&l, "role", role);
		log_cut(&l, "text", text, TEXT_SHOWN);
		log_end(&l);
		return;
	}
	event_name(&t, agent, event, sizeof event);
	log_begin(&l, (enum log_level)level, event);
	log_str(&l, "role", role);
	while (*t.end != '\0' && next_token(t.end + 1, &t))
		if (!is_own_key(&t))
			add_field(&l, &t);
	log_end(&l);
}

bool
monitor_may_go_on(void)
{
	return conf_server(monitor_prepared.conf)->audit_full == CONF_AUDIT_FULL_CONTINUE || log_is_whole();
}

void
monitor_report_dropped(struct monitor *s)
{
	struct log_line l;

	if (s->worker_lines_dropped == 0)
		return;
	log_begin(&l, LOG_LEVEL_WARNING, "log-lines-dropped");
	log_str(&l, "role", "worker");
	log_num(&l, "lines", (int64_t)s->worker_lines_dropped);
	log_end(&l);
	s->worker_lines_dropped = 0;
}

int
monitor_worker_log(struct monitor *s, struct msg *m)
{
	if (!ration_spend(s, RATION_WORKER_LINE)) {
		s->worker_lines_dropped++;
		return 0;
	}
	monitor_report_dropped(s);
	relay(false, m->log.level, m->log.text);
	return 0;
}

int
monitor_agent_log(struct monitor *s, struct msg *m)
{
	ration_agent(s, m->agent_log.level <= LOG_LEVEL_NOTICE ? RATION_REFUSAL : RATION_RECORD);
	relay(true, m->agent_log.level, m->agent_log.text);
	monitor_check_log(s);
	return 0;
}
