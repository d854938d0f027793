/*
 * HASH and the X family: checksums over a file that the agent opened for
 * reading.  Long ones do not make the session deaf: between two parts the
 * control connection is looked at, and ABOR ends it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/digest.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/transfer.h"
#include "daemon/worker/words.h"

/* A file and the bytes of it that count: [first, end), end UINT64_MAX for all. */
struct part {
	char *path;
	uint64_t first, end;
};

/* 0; 1 for a refusal in s->answer; negative: the session is ending. */
static int
open_part(struct session *s, const char *path)
{
	struct msg_digest *const body = session_request(s);

	ask_path(body->path, sizeof body->path, path);
	return ask_agent(s, MSG_DIGEST, body, MSG_READING);
}

static int
compute(struct session *s, struct digest *d, int fd)
{
	enum transfer_end stop = TRANSFER_OK;
	int e = 1;

	s->busy = true;
	s->abort = false;
	while (e > 0 && stop == TRANSFER_OK) {
		e = digest_step(d, fd);
		stop = transfer_look(s);
	}
	s->busy = false;
	return stop == TRANSFER_OK ? e : -ECANCELED;
}

/* Replies unless all went well. True: text is the checksum. */
static bool
checksum(struct session *s, unsigned algorithm, struct part *p, char text[DIGEST_TEXT_MAX])
{
	int fd = msg_take_fd(&s->answer, 0), e;
	uint64_t size = s->answer.reading.size;
	struct digest d;

	if (p->end > size)
		p->end = size;
	if (p->first > p->end) {
		close(fd);
		reply(s, 501, "The file has %" PRIu64 " byte%s only.", size, str_plural(size));
		return false;
	}
	e = digest_start(&d, algorithm, p->first, p->end);
	if (e == 0)
		e = compute(s, &d, fd);
	if (e == 0)
		digest_finish(&d, text);
	digest_end(&d);
	close(fd);
	if (e == -ECANCELED) {
		reply(s, 451, "The checksum was aborted.");
		transfer_answer_aborts(s, "Abort successful.");
	} else if (e < 0)
		reply(s, 451, "The file could not be read to its end.");
	return e == 0;
}

void
verb_hash(struct session *s, char *argument)
{
	struct part p = { argument, (uint64_t)s->range_first, UINT64_MAX };
	char text[DIGEST_TEXT_MAX];
	int e = open_part(s, argument);

	if (s->range_last >= 0)
		p.end = (uint64_t)s->range_last + 1;
	s->range_first = 0;
	s->range_last = -1;
	if (e > 0)
		ask_refused(s, &s->answer.failed);
	if (e == 0 && checksum(s, s->hash, &p, text))
		reply_named(s, 213, "%s %" PRIu64 "-%" PRIu64 " %s %s", digest_name(s->hash), p.first,
		    p.end > p.first ? p.end - 1 : p.first, text, argument);
}

/* "path" start end, with quotes: no doubt about what is what. False: 501. */
static bool
parse_quoted(char *argument, struct part *p)
{
	char *word;

	p->path = words_next(&argument);
	word = words_next(&argument);
	if (word != NULL && !words_number(word, 10, INT64_MAX, &p->first))
		return false;
	word = words_next(&argument);
	if (word != NULL && !words_number(word, 10, INT64_MAX, &p->end))
		return false;
	return p->path != NULL && *p->path != '\0' && *argument == '\0' && p->first <= p->end;
}

/* path start [end] without quotes: numbers are taken off the end. */
static bool
parse_tail(char *argument, struct part *p)
{
	char *last = words_last(argument), *before;
	uint64_t n, m;

	p->path = argument;
	if (last == NULL || !words_number(last, 10, INT64_MAX, &n))
		return false;
	before = strrchr(argument, ' ');
	/* A name that begins with a blank is not empty. */
	if (before != NULL && before != argument && words_number(before + 1, 10, INT64_MAX, &m)) {
		*before = '\0';
		p->first = m;
		p->end = n;
	} else
		p->first = n;
	return p->first <= p->end;
}

static bool
is_missing(const struct session *s, int e)
{
	return e > 0 && s->answer.failed.reason == FAIL_SYSTEM && s->answer.failed.error == ENOENT;
}

/* Quotes around a path; or a name that has them itself, where nothing of the name between them is there. */
static int
open_quoted(struct session *s, char *argument, struct part *p)
{
	static char literal[LINE_MAX_BYTES + 1];
	int e, r;

	(void)str_copy(literal, sizeof literal, argument);
	e = parse_quoted(argument, p) ? open_part(s, p->path) : -EINVAL;
	if (e != -EINVAL && !is_missing(s, e))
		return e;
	*p = (struct part){ literal, 0, UINT64_MAX };
	r = open_part(s, literal);
	return is_missing(s, r) ? e : r;
}

/* 0: s->answer has the file; 1: a refusal; negative: the session is ending; -EINVAL: not understood. */
static int
open_named(struct session *s, char *argument, struct part *p)
{
	int e;

	if (*argument == '"')
		return open_quoted(s, argument, p);
	p->path = argument;
	e = open_part(s, argument);
	return is_missing(s, e) && parse_tail(argument, p) ? open_part(s, p->path) : e;
}

static void
x_checksum(struct session *s, char *argument, const char *algorithm)
{
	struct part p = { argument, 0, UINT64_MAX };
	char text[DIGEST_TEXT_MAX];
	int e = open_named(s, argument, &p);

	if (e == -EINVAL)
		reply(s, 501, "Usage: %s path [start end], with quotes around a path that has blanks", s->verb->name);
	else if (e > 0)
		ask_refused(s, &s->answer.failed);
	else if (e == 0 && checksum(s, (unsigned)digest_find(algorithm), &p, text))
		reply(s, 250, "%s", text);
}

void
verb_xcrc(struct session *s, char *argument)
{
	x_checksum(s, argument, "CRC32");
}

void
verb_xmd5(struct session *s, char *argument)
{
	x_checksum(s, argument, "MD5");
}

void
verb_xsha1(struct session *s, char *argument)
{
	x_checksum(s, argument, "SHA-1");
}

void
verb_xsha256(struct session *s, char *argument)
{
	x_checksum(s, argument, "SHA-256");
}

void
verb_xsha512(struct session *s, char *argument)
{
	x_checksum(s, argument, "SHA-512");
}
