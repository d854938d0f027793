/*
 * SITE and its commands (sites.def).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/auth.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/help.h"
#include "daemon/worker/session.h"
#include "daemon/worker/times.h"
#include "daemon/worker/words.h"

static void
usage(struct session *s)
{
	reply(s, 501, "Usage: SITE %s%s%s", s->verb->name, *s->verb->syntax == '\0' ? "" : " ", s->verb->syntax);
}

void
verb_site(struct session *s, char *argument)
{
	const struct verb *v;
	char *name;

	argument += strspn(argument, " ");
	name = words_plain(&argument);
	v = name == NULL ? NULL : site_find(name, strlen(name));
	if (v == NULL) {
		reply(s, 500, "Unknown command of SITE; SITE HELP lists what there is.");
		return;
	}
	s->verb = v;
	/* Numbers and names of commands, never names of files. */
	if (v->argument == ARG_OPTIONAL)
		for (size_t n = strlen(argument); n > 0 && argument[n - 1] == ' ';)
			argument[--n] = '\0';
	if (session_argument_fits(s, v, argument))
		v->handler(s, argument);
	else
		usage(s);
}

void
site_help(struct session *s, char *argument)
{
	char *word = words_next(&argument);

	if (word != NULL) {
		help_one(s, "SITE ", site_find(word, strlen(word)));
		return;
	}
	reply_begin(s, 214, "Commands of SITE:");
	help_list(s, site_table, SITE_COUNT);
	reply_end(s, "SITE HELP with a command tells its syntax.");
}

/* Asks for a TEXT and shows it, each line after a blank when there are several. */
static void
show_text(struct session *s, enum msg_type type, const void *body)
{
	const char *text = s->answer.text.text;

	if (!ask(s, type, body, MSG_TEXT))
		return;
	if (strchr(text, '\n') == NULL) {
		reply(s, 200, "%s", *text == '\0' ? "Done." : text);
		return;
	}
	reply_begin(s, 200, "%s:", s->verb->name);
	reply_lines(s, " ", text, strlen(text));
	reply_end(s, "End");
}

void
site_chmod(struct session *s, char *argument)
{
	struct msg_change_mode *const body = session_request(s);
	char *word = words_plain(&argument);
	uint64_t mode;

	if (word == NULL || *argument == '\0' || !words_number(word, 8, 07777, &mode)) {
		usage(s);
		return;
	}
	ask_path(body->path, sizeof body->path, argument);
	body->mode = (uint32_t)mode;
	if (!ask(s, MSG_CHANGE_MODE, body, MSG_OBJECT))
		return;
	if (s->answer.object.mode == mode)
		reply(s, 200, "Mode changed.");
	else
		reply(s, 200, "Mode changed to %04o: set-id and sticky bits cannot be changed here.", (unsigned)s->answer.object.mode);
}

#define UMASK_TELL UINT32_MAX	/* the mask that asks for the present one */

void
site_umask(struct session *s, char *argument)
{
	struct msg_set_umask *const body = session_request(s);
	uint64_t mask;

	body->mask = UMASK_TELL;
	if (*argument != '\0') {
		if (!words_number(argument, 8, 0777, &mask)) {
			usage(s);
			return;
		}
		body->mask = (uint32_t)mask;
	}
	show_text(s, MSG_SET_UMASK, body);
}

/* path accessed modified created UTC: what counts stands at the end. False: not of this form. */
static bool
parse_long_utime(char *argument, int64_t *when)
{
	char *zone = words_last(argument), *word[3];
	int64_t unused;

	if (zone == NULL || (!str_same(zone, "UTC") && !str_same(zone, "GMT")))
		return false;
	for (int i = 0; i < 3; i++) {
		word[i] = words_last(argument);
		if (word[i] == NULL || times_parse(word[i], &unused) == 0)
			return false;
	}
	return times_parse(word[1], when) > 0;
}

void
site_utime(struct session *s, char *argument)
{
	struct msg_set_time *const body = session_request(s);
	int64_t when;
	size_t n = times_parse(argument, &when);

	if (n > 0 && argument[n] == ' ' && argument[n + 1] != '\0')
		argument += n + 1;
	else if (!parse_long_utime(argument, &when)) {
		usage(s);
		return;
	}
	ask_path(body->path, sizeof body->path, argument);
	body->mtime = (uint64_t)when;
	if (ask(s, MSG_SET_TIME, body, MSG_OBJECT))
		reply(s, 200, "Time set.");
}

void
site_idle(struct session *s, char *argument)
{
	uint64_t seconds;

	if (*argument != '\0') {
		if (!words_number(argument, 10, (uint64_t)s->idle_max_ms / 1000, &seconds) || seconds == 0) {
			reply(s, 501, "From 1 to %" PRId64 " s are possible.", s->idle_max_ms / 1000);
			return;
		}
		s->idle_ms = (int64_t)seconds * 1000;
	}
	reply(s, 200, "The session may be silent for %" PRId64 " s, at most %" PRId64 " s.", s->idle_ms / 1000,
	    s->idle_max_ms / 1000);
}

void
site_symlink(struct session *s, char *argument)
{
	struct msg_make_link *const body = session_request(s);
	char *target = words_next(&argument), *path = words_next(&argument);

	if (target == NULL || path == NULL || *argument != '\0' || *target == '\0' || *path == '\0') {
		usage(s);
		return;
	}
	ask_path(body->path, sizeof body->path, path);
	ask_path(body->target, sizeof body->target, target);
	ask_done(s, MSG_MAKE_LINK, body, 200, "Link made.");
}

void
site_readlink(struct session *s, char *argument)
{
	struct msg_read_link *const body = session_request(s);

	ask_path(body->path, sizeof body->path, argument);
	show_text(s, MSG_READ_LINK, body);
}

/* ---------------------------------------------------------------------- owners and lists */

static void
give_to(struct session *s, const char *owner, const char *group, const char *path)
{
	struct msg_change_owner *const body = session_request(s);

	if (*path == '\0' || str_copy(body->owner, sizeof body->owner, owner) != 0 ||
	    str_copy(body->group, sizeof body->group, group) != 0) {
		usage(s);
		return;
	}
	ask_path(body->path, sizeof body->path, path);
	ask_done(s, MSG_CHANGE_OWNER, body, 200, "ok, owner changed");
}

void
site_chown(struct session *s, char *argument)
{
	char *owner = words_plain(&argument), *group;

	if (owner == NULL) {
		usage(s);
		return;
	}
	group = strchr(owner, ':');
	if (group != NULL)
		*group++ = '\0';
	give_to(s, owner, group == NULL ? "" : group, argument);
}

void
site_chgrp(struct session *s, char *argument)
{
	char *group = words_plain(&argument);

	if (group == NULL)
		usage(s);
	else
		give_to(s, "", group, argument);
}

/* Takes a fixed word and a blank off the front when more follows. */
static bool
take_flag(char **at, const char *flag)
{
	size_t n = strlen(flag);

	if (strncmp(*at, flag, n) != 0 || (*at)[n] != ' ' || (*at)[n + 1] == '\0')
		return false;
	*at += n + 1;
	return true;
}

void
site_getfacl(struct session *s, char *argument)
{
	struct msg_acl_get *const body = session_request(s);

	body->effective = take_flag(&argument, "-e");
	body->kind = take_flag(&argument, "default");
	ask_path(body->path, sizeof body->path, argument);
	show_text(s, MSG_ACL_GET, body);
}

void
site_setfacl(struct session *s, char *argument)
{
	struct msg_acl_set *const body = session_request(s);
	char *list;

	body->kind = take_flag(&argument, "default");
	list = words_plain(&argument);
	if (list == NULL || *argument == '\0' || str_copy(body->acl, sizeof body->acl, list) != 0) {
		usage(s);
		return;
	}
	ask_path(body->path, sizeof body->path, argument);
	ask_done(s, MSG_ACL_SET, body, 200, "Access control list set.");
}

void
site_deldefacl(struct session *s, char *argument)
{
	struct msg_acl_set *const body = session_request(s);

	body->kind = 1;
	body->acl[0] = '\0';
	ask_path(body->path, sizeof body->path, argument);
	ask_done(s, MSG_ACL_SET, body, 200, "Default access control list removed.");
}

/* ------------------------------------------------------------------------------ accounts */

void
site_useradd(struct session *s, char *argument)
{
	struct msg_add_account *const body = session_request(s);
	char *name = words_next(&argument), *password = words_next(&argument), *home = words_next(&argument);

	if (name == NULL || password == NULL || *argument != '\0' || str_copy(body->account, sizeof body->account, name) != 0 ||
	    str_copy(body->home, sizeof body->home, home == NULL ? "" : home) != 0 ||
	    secret_set(&body->password, password, strlen(password)) != 0) {
		usage(s);
		return;
	}
	show_text(s, MSG_ADD_ACCOUNT, body);
	secret_clear(&body->password);
}

static void
own_password(struct session *s, bool named, const char *password)
{
	struct msg_own_password *const body = session_request(s);

	if (*password == '\0' || secret_set(&body->password, password, strlen(password)) != 0) {
		usage(s);
		return;
	}
	body->named = named;
	show_text(s, MSG_OWN_PASSWORD, body);
	if (s->out.last_code == 200)
		auth_mark(s->password_mark, body->password.data, body->password.len);
	secret_clear(&body->password);
}

static void
others_password(struct session *s, const char *account, const char *password)
{
	struct msg_set_password *const body = session_request(s);

	if (str_copy(body->account, sizeof body->account, account) != 0 ||
	    secret_set(&body->password, password, strlen(password)) != 0) {
		usage(s);
		return;
	}
	show_text(s, MSG_SET_PASSWORD, body);
	secret_clear(&body->password);
}

void
site_passwd(struct session *s, char *argument)
{
	char *account, *password;

	switch (words_passwd(argument, s->user, &account, &password)) {
	case PASSWD_OWN:
		own_password(s, account != NULL, password);
		break;
	case PASSWD_OTHER:
		others_password(s, account, password);
		break;
	case PASSWD_WRONG:
		usage(s);
	}
}

/* The old password is compared with a keyed mark of the one that logged in: nobody keeps the password itself. */
void
site_pswd(struct session *s, char *argument)
{
	char *old = words_next(&argument), *new = words_next(&argument);
	static const uint8_t none[sizeof s->password_mark];
	uint8_t mark[sizeof s->password_mark];

	if (old == NULL || new == NULL || *argument != '\0') {
		usage(s);
		return;
	}
	if (memcmp(s->password_mark, none, sizeof none) == 0) {
		reply(s, 550, "This account may not change its password.");
		return;
	}
	auth_mark(mark, old, strlen(old));
	if (memcmp(mark, s->password_mark, sizeof mark) != 0)
		reply(s, 550, "The old password is wrong.");
	else
		own_password(s, true, new);
}

void
site_why(struct session *s, char *argument)
{
	struct msg_explain *const body = session_request(s);
	char *command = words_next(&argument), *path = words_next(&argument), *second = words_next(&argument);

	if (command == NULL || path == NULL || *path == '\0' || *argument != '\0' ||
	    str_copy(body->command, sizeof body->command, command) != 0) {
		usage(s);
		return;
	}
	ask_path(body->path, sizeof body->path, path);
	ask_path(body->path2, sizeof body->path2, second == NULL ? "" : second);
	show_text(s, MSG_EXPLAIN, body);
}
