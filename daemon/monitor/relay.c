/*
 * Log lines of the worker and the agent.  Both may be in a client's hands:
 * their lines are taken apart and put together again, tagged with the role,
 * and cannot pretend to be the monitor's own.  How many there may be says ration.c.
 */
#include "config.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"

/* Events and fields that only the monitor itself may state. */
static const char *const own_events[] = { "auth", "login", "connect", "session", "protocol" };
static const char *const own_keys[] = { "session", "role", "user", "time", "level" };

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
	if (t->key_len == 0 || s[t->key_len] != '=')
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

/* The name of the event, unless it is one of ours. */
static void
event_name(const struct token *t, char *out, size_t size)
{
	size_t n = (size_t)(t->end - t->value);

	(void)str_copy(out, size, "claimed");
	for (size_t i = 0; i < sizeof own_events / sizeof *own_events; i++)
		if (strncmp(t->value, own_events[i], strlen(own_events[i])) == 0)
			return;
	if (n < size && *t->value != '"') {
		memcpy(out, t->value, n);
		out[n] = '\0';
	}
}

static void
relay(const char *role, unsigned level, const char *text)
{
	struct log_line l;
	struct token t;
	char event[64];
	bool formed = well_formed(text) && next_token(text, &t);

	if (level >= LOG_LEVEL_COUNT)
		level = LOG_LEVEL_WARNING;
	if (!formed) {
		log_begin(&l, (enum log_level)level, "note");
		log_str(&l, "role", role);
		log_str(&l, "text", text);
		log_end(&l);
		return;
	}
	event_name(&t, event, sizeof event);
	log_begin(&l, (enum log_level)level, event);
	log_str(&l, "role", role);
	while (*t.end != '\0' && next_token(t.end + 1, &t))
		if (!is_own_key(&t))
			log_fields(&l, t.key - 1, (size_t)(t.end - t.key) + 1);
	log_end(&l);
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
	relay("worker", m->log.level, m->log.text);
	return 0;
}

int
monitor_agent_log(struct monitor *s, struct msg *m)
{
	ration_agent(s, m->agent_log.level <= LOG_LEVEL_NOTICE ? RATION_REFUSAL : RATION_RECORD);
	relay("agent", m->agent_log.level, m->agent_log.text);
	return 0;
}
