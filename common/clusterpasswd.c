/* Reads ftpcluster's .passwd; see clusterpasswd.h. */
#include "common/clusterpasswd.h"

#include <string.h>

#define FIRST_UID 1000

struct fields {
	const char *at[4];
	size_t len[4];
	unsigned count;			/* more than 4 are counted, not kept */
};

static void
split(const char *s, size_t n, struct fields *f)
{
	memset(f, 0, sizeof(*f));
	for (;;) {
		const char *colon = memchr(s, ':', n);
		size_t len = colon ? (size_t)(colon - s) : n;

		if (f->count < 4) {
			f->at[f->count] = s;
			f->len[f->count] = len;
		}
		f->count++;
		if (!colon)
			return;
		s += len + 1;
		n -= len + 1;
	}
}

static bool
number(const char *s, size_t n, uint32_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
		if (v >= UINT32_MAX)
			return false;
	}
	*out = (uint32_t)v;
	return n > 0;
}

bool
clusterpasswd_name_ok(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '+' && c != '-')
			return false;
	}
	return len > 0;
}

static bool
is_counter(const struct fields *f)
{
	return f->len[0] == 1 && f->at[0][0] == '_';
}

/* Why a line is no account; NULL when it is one. */
static const char *
read_account(const struct fields *f, unsigned line, struct clusterpasswd *e)
{
	if (f->count != 4)
		return "an account has four fields: name:password:uid:home";
	if (!clusterpasswd_name_ok(f->at[0], f->len[0]))
		return "names consist of a-z, 0-9, dot, plus and minus";
	if (!number(f->at[2], f->len[2], &e->uid))
		return "the third field is a number";
	e->name = f->at[0];
	e->name_len = f->len[0];
	e->password = f->at[1];
	e->password_len = f->len[1];
	e->home = f->at[3];
	e->home_len = f->len[3];
	e->line = line;
	return NULL;
}

struct scan {
	const char *next, *end;
	unsigned line;
	struct fields fields;
};

/* The next line that is not blank. */
static bool
scan_next(struct scan *s)
{
	while (s->next < s->end) {
		const char *lf = memchr(s->next, '\n', (size_t)(s->end - s->next)), *start = s->next;
		size_t n = lf ? (size_t)(lf - start) : (size_t)(s->end - start);

		s->next = start + n + 1;
		s->line++;
		if (n && start[n - 1] == '\r')
			n--;
		if (n == 0)
			continue;
		split(start, n, &s->fields);
		return true;
	}
	return false;
}

bool
clusterpasswd_find(const char *text, size_t len, const char *name, struct clusterpasswd *e,
    clusterpasswd_complain *complain, void *context)
{
	struct scan s = { .next = text, .end = text + len };
	struct clusterpasswd one;
	bool found = false;

	while (scan_next(&s)) {
		const char *wrong = is_counter(&s.fields) ? NULL : read_account(&s.fields, s.line, &one);

		if (is_counter(&s.fields))
			continue;
		if (wrong) {
			if (complain)
				complain(context, s.line, wrong);
			continue;
		}
		if (one.name_len != strlen(name) || memcmp(one.name, name, one.name_len) != 0)
			continue;
		if (found && complain)
			complain(context, s.line, "the name stands above already, and the first line counts");
		if (!found)
			*e = one;
		found = true;
		if (!complain)
			return true;
	}
	return found;
}

bool
clusterpasswd_find_uid(const char *text, size_t len, uint32_t uid, struct clusterpasswd *e)
{
	struct scan s = { .next = text, .end = text + len };

	while (scan_next(&s))
		if (!is_counter(&s.fields) && !read_account(&s.fields, s.line, e) && e->uid == uid)
			return true;
	return false;
}

uint32_t
clusterpasswd_next(const char *text, size_t len)
{
	struct scan s = { .next = text, .end = text + len };
	struct clusterpasswd e;
	uint32_t next = FIRST_UID, counter;

	while (scan_next(&s)) {
		if (is_counter(&s.fields)) {
			if (s.fields.count >= 3 && s.fields.count <= 4 && number(s.fields.at[2], s.fields.len[2], &counter))
				return counter;
		} else if (!read_account(&s.fields, s.line, &e) && e.uid >= next && e.uid < UINT32_MAX - 1)
			next = e.uid + 1;
	}
	return next;
}

bool
clusterpasswd_check(const struct clusterpasswd *e, const char *password)
{
	size_t n = strlen(password);
	unsigned differ = n != e->password_len;

	if (e->password_len == 1)
		return false;
	for (size_t i = 0; i < e->password_len; i++)
		differ |= (unsigned char)e->password[i] ^ (unsigned char)(i < n ? password[i] : 0);
	return differ == 0;
}
