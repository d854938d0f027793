/*
 * FEAT OPTS HELP SYST NOOP CLNT LANG CSID: from the tables, without asking
 * anybody.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/digest.h"
#include "daemon/worker/feat.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/help.h"
#include "daemon/worker/session.h"
#include "daemon/worker/words.h"

/* RFC 2389, 3.2: each feature on a line that begins with exactly one blank. */
void
verb_feat(struct session *s, char *argument)
{
	const char *extra, *doc;

	(void)argument;
	reply_begin(s, 211, "Features:");
	for (size_t i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verb_table[i];
		char tail[256] = "";
		struct piece p = { sizeof tail, 0, tail };

		if (*v->feature != '\0' && feat_useful(s, v, &p))
			reply_line(s, " %s%s", v->feature, tail);
	}
	for (size_t i = 0; (extra = verb_extra_feature(i, &doc)) != NULL; i++)
		reply_line(s, " %s", extra);
	reply_end(s, "End");
}

/* Names are UTF-8 on the wire in any case: everything that asks for it is answered 200 (RFC 2640). */
static void
opts_utf8(struct session *s, char *value)
{
	(void)value;
	reply(s, 200, "Names are UTF-8.");
}

static void
opts_mlst(struct session *s, char *value)
{
	char text[256] = "";
	struct piece p = { sizeof text, 0, text };

	if (!feat_parse_facts(value, &s->facts)) {
		reply(s, 501, "Usage: OPTS MLST [fact;...]");
		return;
	}
	feat_facts(&p, s->facts, false);
	reply(s, 200, "MLST OPTS%s%s", *text == '\0' ? "" : " ", text);
}

static void
opts_hash(struct session *s, char *value)
{
	int i = *value == '\0' ? (int)s->hash : digest_find(value);

	if (i < 0) {
		reply(s, 504, "HASH does not know %s.", value);
		return;
	}
	s->hash = (unsigned)i;
	reply(s, 200, "%s", digest_name(s->hash));
}

static const struct {
	const char *name;
	void (*set)(struct session *, char *value);
} options[] = {
	{ "UTF8", opts_utf8 }, { "UTF-8", opts_utf8 }, { "MLST", opts_mlst }, { "MLSD", opts_mlst }, { "HASH", opts_hash },
};

void
verb_opts(struct session *s, char *argument)
{
	char *name = words_next(&argument);

	for (size_t i = 0; name != NULL && i < sizeof options / sizeof options[0]; i++) {
		if (str_same(options[i].name, name)) {
			options[i].set(s, argument);
			return;
		}
	}
	reply(s, 501, "There are options of UTF8, MLST and HASH only.");
}

/* Eight names a line, without those that this session can never use. */
void
help_list(struct session *s, const struct verb *table, size_t count)
{
	char line[128] = "";
	struct piece p = { sizeof line, 0, line };

	for (size_t i = 0, told = 0; i < count; i++) {
		char tail[256];
		struct piece unused = { sizeof tail, 0, tail };

		if (!feat_useful(s, &table[i], &unused))
			continue;
		piece_add(&p, " %-10s", table[i].name);
		if (++told % 8 != 0)
			continue;
		reply_line(s, "%s", line);
		p.len = 0;
		line[0] = '\0';
	}
	if (p.len > 0)
		reply_line(s, "%s", line);
}

void
help_one(struct session *s, const char *before, const struct verb *v)
{
	if (v == NULL) {
		reply(s, 501, "There is no such command.");
		return;
	}
	reply_begin(s, 214, "Syntax: %s%s%s%s", before, v->name, *v->syntax == '\0' ? "" : " ", v->syntax);
	reply_line(s, " %s", v->doc);
	reply_end(s, "End");
}

void
verb_help(struct session *s, char *argument)
{
	char *word = words_next(&argument), *site = words_next(&argument);
	const struct verb *v = word == NULL ? NULL : verb_find(word, strlen(word));

	if (word == NULL) {
		reply_begin(s, 214, "Commands:");
		help_list(s, verb_table, VERB_COUNT);
		reply_end(s, "HELP with a command tells its syntax.");
	} else if (v == &verb_table[VERB_SITE] && site != NULL)
		help_one(s, "SITE ", site_find(site, strlen(site)));
	else
		help_one(s, "", v);
}

void
verb_syst(struct session *s, char *argument)
{
	(void)argument;
	reply(s, 215, "%s", s->set->identity == NULL ? "UNIX Type: L8" : s->set->identity);
}

void
verb_noop(struct session *s, char *argument)
{
	(void)argument;
	reply(s, 200, "Done.");
}

static void
note_client(struct session *s, const char *text)
{
	struct log_line l;

	(void)str_copy(s->client, sizeof s->client, text);
	log_begin(&l, EVENT_CLIENT_PROGRAM);
	log_str(&l, FIELD_PROGRAM, s->client);
	log_end(&l);
}

void
verb_clnt(struct session *s, char *argument)
{
	note_client(s, argument);
	reply(s, 200, "Noted.");
}

void
verb_csid(struct session *s, char *argument)
{
	note_client(s, argument);
	reply(s, 200, "Name=FTP server;");
}

/* RFC 2640, 4.1: without an argument back to the default; there is one language. */
void
verb_lang(struct session *s, char *argument)
{
	if (*argument == '\0' || (strncasecmp(argument, "en", 2) == 0 && (argument[2] == '\0' || argument[2] == '-')))
		reply(s, 200, "Replies are in English.");
	else
		reply(s, 504, "Replies are in English only.");
}

void
verb_unavailable(struct session *s, char *argument)
{
	(void)argument;
	reply(s, 502, "%s is not available here.", s->verb->name);
}
