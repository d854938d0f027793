/*
 * Reading the text of a file.  libinih finds out what is a section, a key, a
 * comment and a continuation line.  Its builds differ in how long a line or a name may be
 * (and cut them silently), and some take " ;" in a value for a comment.  So it
 * is given stand-ins: sections by number, lines up to what its buffer holds;
 * and values are taken from the line as it stands in the file.  A line that
 * it does not understand is noticed because no handler was called for it.
 */
#include "config.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/str.h"

#define NO_SECTION	"-"

/* A key whose continuation lines may still come. */
struct pending {
	const struct conf_key *key;	/* NULL: none, or a wrong one whose lines are skipped */
	unsigned line, last_line;
	char *text;
	size_t len, size;
	bool too_long;
};

struct reader {
	struct conf *conf;
	const char *file;
	const char *next, *end;		/* what is left of the file */
	unsigned line;
	const char *raw;		/* the present line, without its end */
	size_t raw_len;
	bool awaited;			/* it needs a handler, none was called yet */
	bool have_key;			/* in this section: an indented line goes on with it */
	bool no_memory;
	struct conf_section *section;	/* NULL: none, or a wrong one */
	enum conf_scope kind;
	bool reported_homeless;		/* keys before any section were reported */
	struct pending pending;
};

static void
report(struct reader *r, unsigned line, const char *text, const char *what, const char *hint)
{
	conf_problem_add(r->conf, CONF_ERROR, r->file, line, text, what, hint);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---------------------------------------------------------------- values */

static void
forget(struct pending *p)
{
	if (p->text != NULL)
		explicit_bzero(p->text, p->size);
	free(p->text);
}

/* Not by realloc(), which may leave behind what it has copied. */
static bool
room_for(struct pending *p, size_t n)
{
	size_t size = p->size == 0 ? 256 : p->size;
	char *bigger;

	while (size < p->len + n + 1)
		size *= 2;
	if (size == p->size)
		return true;
	bigger = malloc(size);
	if (bigger == NULL)
		return false;
	if (p->size > 0)
		memcpy(bigger, p->text, p->size);
	forget(p);
	p->text = bigger;
	p->size = size;
	return true;
}

/* Appends a line of the value, after as many line ends as lie between, so that lines can be counted. */
static void
append_line(struct reader *r, const char *s, size_t n, unsigned line)
{
	struct pending *p = &r->pending;
	size_t gap = line - p->last_line;

	if (p->len + gap + n > CONF_TEXT_MAX) {
		p->too_long = true;
		return;
	}
	if (!room_for(p, gap + n)) {
		r->no_memory = true;
		return;
	}
	memset(p->text + p->len, '\n', gap);
	memcpy(p->text + p->len + gap, s, n);
	p->len += gap + n;
	p->text[p->len] = '\0';
	p->last_line = line;
}

/* Cuts a remark (a blank, then # or ;) and the blanks before it. */
static size_t
without_remark(const char *s, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if ((s[i] == '#' || s[i] == ';') && is_blank(s[i - 1])) {
			n = i;
			break;
		}
	while (n > 0 && is_blank(s[n - 1]))
		n--;
	return n;
}

/* Texts go to the end of the line; rules of policies keep everything, but their first line is ours. */
static bool
has_remarks(const struct conf_key *k, bool continued)
{
	return k->type != CONF_STRING && !(k->type == CONF_LAYERS && continued);
}

/* May the value go on in indented lines? */
static bool
may_go_on(enum conf_type type)
{
	return type == CONF_STRING || type == CONF_LAYERS || type == CONF_LIST || type == CONF_NETS ||
	       type == CONF_NETMAP;
}

static void
complain_value(struct reader *r, const struct conf_key *k, const struct conf_why *why)
{
	char what[400];

	(void)str_format(what, sizeof what, "%s: %s", k->name, why->what);
	report(r, r->pending.line, conf_is_secret(k) ? "" : why->bad, what, why->hint);
}

static void
complain_again(struct reader *r, const struct conf_key *k, const struct conf_value *first)
{
	char what[300];

	(void)str_format(
	    what, sizeof what, "%s is set again; first set in %.150s:%u", k->name, first->file, first->line);
	report(r, r->pending.line, "", what,
	    k->type == CONF_LIST || k->type == CONF_NETS ? "separate the values by commas in one line"
							 : "remove one of them");
}

/* Stores the pending value. */
static void
finish_value(struct reader *r)
{
	struct pending *p = &r->pending;
	const struct conf_key *k = p->key;
	const struct conf_value *first;
	struct conf_why why;
	int e;

	p->key = NULL;
	if (k == NULL || r->section == NULL)
		return;
	first = conf_section_get(r->section, (enum conf_key_id)(k - conf_keys));
	if (p->too_long) {
		report(r, p->line, k->name, "the value is longer than 4 MiB", "");
	} else if (first != NULL && k->type != CONF_LAYERS) {
		complain_again(r, k, first);
	} else {
		e = conf_section_set(r->conf, r->section, k, p->len == 0 ? "" : p->text, r->file, p->line, &why);
		if (e == SP_EFORMAT)
			complain_value(r, k, &why);
		else if (e != 0)
			r->no_memory = true;
	}
}

/* ------------------------------------------------------------------ keys */

/* No key, so that nobody's configuration holds it by mistake: what closed doors elsewhere must not be forgotten. */
static bool
is_left_open(struct reader *r, const char *name)
{
	if (!str_same(name, "not_imported"))
		return false;
	report(r, r->line, name, "another server's restriction has no counterpart here yet",
	    "do what the line says, or decide that it is not needed, then remove it");
	return true;
}

static void
complain_unknown(struct reader *r, const char *name)
{
	const struct conf_key *near = conf_nearest_key(name, r->kind);
	const char *here = conf_foreign_name(name);
	char hint[160] = "see sallyport.conf(5)";

	if (here != NULL)
		(void)str_format(hint, sizeof hint, "here it is: %s", here);
	else if (near != NULL)
		(void)str_format(hint, sizeof hint, "did you mean \"%s\"?", near->name);
	report(r, r->line, name, "unknown key", hint);
}

static void
complain_misplaced(struct reader *r, const struct conf_key *k)
{
	char where[128], what[160], hint[200];

	conf_scope_text(k->scopes, where, sizeof where);
	(void)str_format(what, sizeof what, "cannot stand in a section [%s]", conf_kind_word(r->kind));
	(void)str_format(hint, sizeof hint, "it belongs into %s", where);
	report(r, r->line, k->name, what, hint);
}

/* The row of a key that may stand here; NULL after reporting why not. */
static const struct conf_key *
accept_key(struct reader *r, const char *name, const char **before)
{
	const struct conf_key *k = conf_key(name);
	char hint[100];

	*before = "";
	if (k == NULL && (k = conf_old_name(name, before)) != NULL) {
		(void)str_format(hint, sizeof hint, "write \"%s = %s\"", k->name, **before != '\0' ? *before : "...");
		conf_problem_add(r->conf, CONF_WARNING, r->file, r->line, name, "is another name", hint);
	}
	if (k == NULL && is_left_open(r, name))
		return NULL;
	if (k == NULL)
		complain_unknown(r, name);
	else if ((k->scopes & r->kind) == 0)
		complain_misplaced(r, k);
	else
		return k;
	return NULL;
}

static void
begin_value(struct reader *r, const char *name)
{
	struct pending *p = &r->pending;
	const char *value = r->raw, *end = r->raw + r->raw_len, *before;
	size_t n;

	finish_value(r);
	if ((p->key = accept_key(r, name, &before)) == NULL)
		return;
	while (value < end && *value != '=' && *value != ':')
		value++;
	value += value < end;
	while (value < end && is_blank(*value))
		value++;
	n = (size_t)(end - value);
	if (has_remarks(p->key, false))
		n = value < end && (*value == '#' || *value == ';') ? 0 : without_remark(value, n);
	p->line = p->last_line = r->line;
	p->len = 0;
	p->too_long = false;
	append_line(r, before, strlen(before), r->line);
	append_line(r, value, n, r->line);
}

static void
continue_value(struct reader *r)
{
	struct pending *p = &r->pending;
	const char *s = r->raw;
	size_t n = r->raw_len;

	if (p->key == NULL)
		return;
	for (; n > 0 && is_blank(*s); n--)
		s++;
	if (!may_go_on(p->key->type)) {
		char shown[160];

		(void)str_format(shown, sizeof shown, "%.*s", (int)(n < 120 ? n : 120), s);
		report(r, r->line, shown, "an indented line goes on with the value above it, but that takes one line",
		    "begin a key at the start of the line");
		return;
	}
	if (has_remarks(p->key, true))
		n = without_remark(s, n);
	append_line(r, s, n, r->line);
}

/* Called by libinih for every "key = value" and every continuation line. */
static int
handle(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;

	(void)value;
	r->awaited = false;
	if (section[0] == '\0' && !r->reported_homeless) {
		r->reported_homeless = true;
		report(r, r->line, name, "stands before any section", "begin with [server]");
	}
	if (section[0] == '\0' || strcmp(section, NO_SECTION) == 0)
		return 1;
	if (r->have_key && r->raw_len > 0 && is_blank(r->raw[0])) {
		continue_value(r);
		return 1;
	}
	r->have_key = true;
	begin_value(r, name);
	return 1;
}

/* -------------------------------------------------------------- sections */

/* Words that kinds of sections are called elsewhere or by mistake. */
static const struct conf_word kind_words[] = { { "server", "" }, { "tls", "" }, { "listener", "" }, { "class", "" },
	{ "group", "" }, { "account", "" }, { NULL, NULL } };

static void
complain_section(struct reader *r, const char *text, const char *word)
{
	const char *near = conf_nearest_word(kind_words, word);
	char hint[80] = "";

	if (near != NULL)
		(void)str_format(hint, sizeof hint, "did you mean [%s%s]?", near,
		    conf_kind_named(conf_kind_parse(near)) ? " NAME" : "");
	report(r, r->line, text,
	    "unknown section: expected [server], [tls], [listener NAME], [class NAME], [group NAME] or [account NAME]",
	    hint);
}

/* Checks the name of a section of that kind; false after reporting. */
static bool
name_is_good(struct reader *r, enum conf_scope kind, const char *name)
{
	size_t n = strlen(name), most = kind == SC_ACCOUNT ? CONF_NAME_MAX : CONF_SHORT_NAME_MAX;
	char what[80];

	if (conf_kind_named(kind) != (n > 0)) {
		(void)str_format(what, sizeof what,
		    n > 0 ? "a section [%s] has no name" : "a section [%s NAME] needs a name", conf_kind_word(kind));
		report(r, r->line, name, what, "");
		return false;
	}
	if (n > most) {
		(void)str_format(what, sizeof what, "the name has %zu bytes, at most %zu are possible", n, most);
		report(r, r->line, name, what, "");
		return false;
	}
	return true;
}

static void
open_section(struct reader *r, enum conf_scope kind, const char *name)
{
	char what[300];
	bool made;

	r->section = conf_section_make(r->conf, kind == SC_TLS ? SC_SERVER : kind, name, r->file, r->line, &made);
	r->kind = kind;
	if (r->section == NULL) {
		r->no_memory = true;
	} else if (!made && conf_kind_named(kind)) {
		(void)str_format(what, sizeof what, "this section begins again; first in %.150s:%u", r->section->file,
		    r->section->line);
		report(r, r->line, r->section->label, what, "put all its keys into one place");
	}
}

/* Takes the section line apart: [kind name]. */
static void
begin_section(struct reader *r)
{
	char text[CONF_NAME_MAX + 80], *word = text, *name, *close;
	const char *p = r->raw;

	finish_value(r);
	r->section = NULL;
	r->have_key = false;
	while (is_blank(*p))
		p++;
	if (str_format(text, sizeof text, "%.*s", (int)(r->raw + r->raw_len - p - 1), p + 1) != 0) {
		report(r, r->line, text, "the name of the section is too long", "");
		return;
	}
	close = strrchr(text, ']');
	if (close == NULL || without_remark(close, strlen(close)) != 1) {
		report(r, r->line, text,
		    close == NULL ? "the section's ] is missing" : "something follows the section's ]", "");
		return;
	}
	while (close > text && is_blank(close[-1]))
		close--;
	*close = '\0';
	word += strspn(word, " \t");
	name = word + strcspn(word, " \t");
	if (*name != '\0')
		*name++ = '\0';
	name += strspn(name, " \t");
	if (conf_kind_parse(word) == 0)
		complain_section(r, word, word);
	else if (name_is_good(r, conf_kind_parse(word), name))
		open_section(r, conf_kind_parse(word), name);
}

/* ----------------------------------------------------------------- lines */

/* Cuts the next line out of the file. false: the end. */
static bool
next_line(struct reader *r)
{
	const char *stop;

	if (r->next >= r->end)
		return false;
	stop = memchr(r->next, '\n', (size_t)(r->end - r->next));
	r->raw = r->next;
	r->next = stop == NULL ? r->end : stop + 1;
	stop = stop == NULL ? r->end : stop;
	while (stop > r->raw && (stop[-1] == '\r' || is_blank(stop[-1])))
		stop--;
	r->raw_len = (size_t)(stop - r->raw);
	r->line++;
	return true;
}

/* Control bytes other than tabs have no business in it. */
static bool
is_clean(struct reader *r)
{
	for (size_t i = 0; i < r->raw_len; i++)
		if (((unsigned char)r->raw[i] < ' ' && r->raw[i] != '\t') || r->raw[i] == 0x7f) {
			report(r, r->line, "", "the line holds a control byte", "is it a text file?");
			return false;
		}
	if (r->raw_len <= CONF_LINE_MAX)
		return true;
	report(r, r->line, "", "the line is longer than 60000 bytes", "");
	return false;
}

/* The line before was none that libinih could use. */
static void
complain_line(struct reader *r)
{
	char text[160];

	(void)str_format(text, sizeof text, "%.*s", (int)(r->raw_len < 120 ? r->raw_len : 120), r->raw);
	report(r, r->line, text, "is neither a [section] nor \"key = value\" nor a comment", "");
}

/* libinih's fgets: dst[size] gets a stand-in for the next line. */
static char *
give_line(char *dst, int size, void *stream)
{
	struct reader *r = stream;
	size_t room = (size_t)size - 2, indent = 0;

	if (r->awaited)
		complain_line(r);
	r->awaited = false;
	if (!next_line(r))
		return NULL;
	if (!is_clean(r))
		r->raw_len = 0;
	while (indent < r->raw_len && is_blank(r->raw[indent]))
		indent++;
	if (indent < r->raw_len && r->raw[indent] == '[' && (indent == 0 || !r->have_key)) {
		begin_section(r);
		(void)str_format(dst, (size_t)size, "[%s]\n", r->section == NULL ? NO_SECTION : "s");
		return dst;
	}
	r->awaited = indent < r->raw_len && r->raw[indent] != '#' && r->raw[indent] != ';';
	if (r->raw_len < room)
		room = r->raw_len;
	memcpy(dst, r->raw, room);
	memcpy(dst + room, "\n", 2);
	return dst;
}

int
conf_read_text(struct conf *c, const char *name, const char *text, size_t len)
{
	struct reader r = { .conf = c, .file = name, .next = text, .end = text + len };

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.next += 3;
	ini_parse_stream(give_line, &r, handle, &r);
	if (r.awaited)
		complain_line(&r);
	finish_value(&r);
	forget(&r.pending);
	return r.no_memory ? -ENOMEM : 0;
}
