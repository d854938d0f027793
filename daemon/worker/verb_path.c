/*
 * CWD CDUP PWD MKD RMD DELE RNFR RNTO SIZE MDTM MFMT MFF AVBL: one question
 * to the agent each.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/feat.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/times.h"
#include "daemon/worker/words.h"

/* A request that is a path and perhaps more, in the session's buffer for requests. */
#define PATH_ONLY(type, b, p)	\
	struct type *const b = session_request(s);	\
	ask_path(b->path, sizeof b->path, p)

static void
change_dir(struct session *s, const char *path)
{
	PATH_ONLY(msg_change_dir, body, path);

	if (!ask(s, MSG_CHANGE_DIR, body, MSG_WHERE))
		return;
	(void)str_copy(s->cwd, sizeof s->cwd, s->answer.where.path);
	reply_message(s, 250, s->answer.where.message, "Done.");
}

void
verb_cwd(struct session *s, char *argument)
{
	change_dir(s, argument);
}

void
verb_cdup(struct session *s, char *argument)
{
	(void)argument;
	change_dir(s, "..");
}

/* A path in quotes: static, because a large array on the stack is cleared at each call. */
static const char *
quoted(const char *path)
{
	static char text[2 * 4096 + 3];

	return reply_quoted(text, sizeof text, path);
}

void
verb_pwd(struct session *s, char *argument)
{
	(void)argument;
	reply_named(s, 257, "%s is the working directory.", quoted(s->cwd));
}

void
verb_mkd(struct session *s, char *argument)
{
	PATH_ONLY(msg_make_dir, body, argument);

	if (ask(s, MSG_MAKE_DIR, body, MSG_WHERE))
		reply_named(s, 257, "%s is made.", quoted(s->answer.where.path));
}

void
verb_rmd(struct session *s, char *argument)
{
	PATH_ONLY(msg_remove_dir, body, argument);

	ask_done(s, MSG_REMOVE_DIR, body, 250, "Removed.");
}

void
verb_dele(struct session *s, char *argument)
{
	PATH_ONLY(msg_delete, body, argument);

	ask_done(s, MSG_DELETE, body, 250, "Deleted.");
}

void
verb_rnfr(struct session *s, char *argument)
{
	PATH_ONLY(msg_rename_from, body, argument);

	s->rename_from = ask(s, MSG_RENAME_FROM, body, MSG_DONE);
	if (s->rename_from)
		reply(s, 350, "Now the new name, with RNTO.");
}

void
verb_rnto(struct session *s, char *argument)
{
	PATH_ONLY(msg_rename_to, body, argument);

	if (!s->rename_from) {
		reply(s, 503, "Send RNFR first.");
		return;
	}
	s->rename_from = false;
	ask_done(s, MSG_RENAME_TO, body, 250, "Renamed.");
}

/* ------------------------------------------------------------------- facts, RFC 3659 */

void
verb_size(struct session *s, char *argument)
{
	PATH_ONLY(msg_facts, body, argument);

	if (s->convert && s->type == REP_ASCII) {
		reply(s, 550, "SIZE is not available in ASCII mode.");
		return;
	}
	if (!ask(s, MSG_FACTS, body, MSG_OBJECT))
		return;
	if (s->answer.object.file)
		reply(s, 213, "%" PRIu64, s->answer.object.size);
	else
		reply(s, 550, "Not a plain file.");
}

/* The time that the object has afterwards is in s->answer.object. As ask_agent(). */
static int
set_time(struct session *s, const char *path, int64_t when)
{
	PATH_ONLY(msg_set_time, body, path);

	body->mtime = (uint64_t)when;
	return ask_agent(s, MSG_SET_TIME, body, MSG_OBJECT);
}

/* RFC draft-somers-ftp-mfxx, 3.1: the fact as it is now. */
static void
tell_set_time(struct session *s, const char *path)
{
	char text[TIMES_TEXT];

	reply_named(s, 213, "Modify=%s; %s", times_text(text, (int64_t)s->answer.object.mtime), path);
}

static void
tell_time(struct session *s, const char *path)
{
	PATH_ONLY(msg_facts, body, path);
	char text[TIMES_TEXT];

	if (ask(s, MSG_FACTS, body, MSG_OBJECT))
		reply(s, 213, "%s", times_text(text, (int64_t)s->answer.object.mtime));
}

/* Minutes east of UTC after the time, as old clients write it: +60, -300. */
static size_t
take_zone(const char *text, int64_t *minutes)
{
	size_t n = 1;
	int64_t m = 0;

	*minutes = 0;
	if (*text != '+' && *text != '-')
		return 0;
	for (; text[n] >= '0' && text[n] <= '9' && n < 5; n++)
		m = m * 10 + (text[n] - '0');
	if (n == 1)
		return 0;
	*minutes = *text == '-' ? -m : m;
	return n;
}

/*
 * "YYYYMMDDHHMMSS path" may be an order to set the time or a file of that
 * whole name.  It is an order when there is such a path.
 */
void
verb_mdtm(struct session *s, char *argument)
{
	int64_t when, zone;
	size_t n = times_parse(argument, &when);
	int e;

	if (n >= 14)
		n += take_zone(argument + n, &zone);
	if (n < 14 || argument[n] != ' ' || argument[n + 1] == '\0') {
		tell_time(s, argument);
		return;
	}
	when -= zone * 60;
	e = set_time(s, argument + n + 1, when);
	if (e == 0)
		tell_set_time(s, argument + n + 1);
	else if (e > 0 && s->answer.failed.reason == FAIL_SYSTEM && s->answer.failed.error == ENOENT)
		tell_time(s, argument);
	else if (e > 0)
		ask_refused(s, &s->answer.failed);
}

void
verb_mfmt(struct session *s, char *argument)
{
	int64_t when;
	size_t n = times_parse(argument, &when);
	int e;

	if (n < 14 || argument[n] != ' ' || argument[n + 1] == '\0') {
		reply(s, 501, "Usage: MFMT YYYYMMDDHHMMSS path");
		return;
	}
	e = set_time(s, argument + n + 1, when);
	if (e == 0)
		tell_set_time(s, argument + n + 1);
	else if (e > 0)
		ask_refused(s, &s->answer.failed);
}

/* ------------------------------------------------------------------------------- MFF */

/*
 * Each sets one fact and adds it to told as it is on the disk then.  0; 1 refused, in s->answer; negative: the
 * session is ending; -EINVAL: the value is wrong.
 */
typedef int mff_fn(struct session *, const char *value, const char *path, struct piece *told);

static int
mff_modify(struct session *s, const char *value, const char *path, struct piece *told)
{
	char text[TIMES_TEXT];
	int64_t when;
	size_t n = times_parse(value, &when);
	int e = n < 14 || value[n] != '\0' ? -EINVAL : set_time(s, path, when);

	if (e == 0)
		piece_add(told, "Modify=%s;", times_text(text, (int64_t)s->answer.object.mtime));
	return e;
}

static int
mff_mode(struct session *s, const char *value, const char *path, struct piece *told)
{
	PATH_ONLY(msg_change_mode, body, path);
	uint64_t mode;
	int e;

	if (!words_number(value, 8, 07777, &mode))
		return -EINVAL;
	body->mode = (uint32_t)mode;
	e = ask_agent(s, MSG_CHANGE_MODE, body, MSG_OBJECT);
	if (e == 0)
		piece_add(told, "UNIX.mode=%04o;", (unsigned)s->answer.object.mode);
	return e;
}

static int
change_owner(struct session *s, const char *owner, const char *group, const char *path)
{
	PATH_ONLY(msg_change_owner, body, path);

	if (str_copy(body->owner, sizeof body->owner, owner) != 0 || str_copy(body->group, sizeof body->group, group) != 0)
		return -EINVAL;
	return ask_agent(s, MSG_CHANGE_OWNER, body, MSG_DONE);
}

static int
mff_owner(struct session *s, const char *value, const char *path, struct piece *told)
{
	int e = *value == '\0' ? -EINVAL : change_owner(s, value, "", path);

	if (e == 0)
		piece_add(told, "UNIX.owner=%s;", value);
	return e;
}

static int
mff_group(struct session *s, const char *value, const char *path, struct piece *told)
{
	int e = *value == '\0' ? -EINVAL : change_owner(s, "", value, path);

	if (e == 0)
		piece_add(told, "UNIX.group=%s;", value);
	return e;
}

static const struct {
	const char *name;
	mff_fn *set;
} mff_rows[] = {
	{ "Modify", mff_modify }, { "UNIX.mode", mff_mode }, { "UNIX.owner", mff_owner }, { "UNIX.group", mff_group },
};

/* One "name=value". As the rows; -ENOENT: no such fact. */
static int
mff_set(struct session *s, char *fact, const char *path, struct piece *told)
{
	char *value = strchr(fact, '=');
	int e = -ENOENT;

	if (value == NULL)
		return -EINVAL;
	*value = '\0';
	for (size_t i = 0; e == -ENOENT && i < sizeof mff_rows / sizeof mff_rows[0]; i++)
		if (strcasecmp(fact, mff_rows[i].name) == 0)
			e = mff_rows[i].set(s, value + 1, path, told);
	*value = '=';
	return e;
}

void
verb_mff(struct session *s, char *argument)
{
	char done[1024] = "", *facts = words_plain(&argument), *next;
	struct piece told = { sizeof done, 0, done };
	int e = -EINVAL;

	if (*argument == '\0' || facts == NULL) {
		reply(s, 501, "Usage: MFF fact=value;... path");
		return;
	}
	for (; *facts != '\0'; facts = next) {
		next = facts + strcspn(facts, ";");
		if (*next == ';')
			*next++ = '\0';
		e = mff_set(s, facts, argument, &told);
		if (e != 0)
			break;
	}
	if (e == 0)
		reply_named(s, 213, "%s %s", done, argument);
	else if (e > 0)
		ask_refused(s, &s->answer.failed);
	else if (e == -EINVAL || e == -ENOENT)
		reply(s, e == -EINVAL ? 501 : 504, "%s: %s", facts,
		    e == -EINVAL ? "not a value that this fact can have." : "this fact cannot be set.");
}

void
verb_avbl(struct session *s, char *argument)
{
	PATH_ONLY(msg_space, body, *argument == '\0' ? "." : argument);

	if (ask(s, MSG_SPACE, body, MSG_OBJECT))
		reply(s, 213, "%" PRIu64, s->answer.object.size);
}
