/*
 * What the agent may ask for after the login.  It has decided by its policy
 * that the client may; here it is decided, from the account alone, what an agent that lies could reach.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/unix.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"

#define AGAIN_MS 125	/* until it is tried again to tell the listener what is beyond the ration of notes */

static const struct settings *
settings(const struct monitor *s)
{
	return &s->account.resolved->s;
}

bool
monitor_is_administrator(const struct monitor *s)
{
	return settings(s)->administrator || (s->account.flags & ACCOUNT_ADMIN) != 0;
}

/* ---------------------------------------------------------------------- CHOWN_FILE */

/* Whose uid may own what a client gives away or gets: that of an account, never one of the system's own. */
static bool
is_account_uid(const struct monitor *s, uid_t uid)
{
	return uid != 0 && uid != ACCOUNT_ID_NONE && uid >= (uint64_t)s->base->uid_min;
}

static int
find_owner(struct monitor *s, const char *name, uid_t *uid, uint32_t *dialect_uid)
{
	struct clerk_answer answer;
	int r = clerk_ask(s, CLERK_LOOK_UP, name, NULL, "", &answer);

	*uid = answer.uid;
	*dialect_uid = answer.id >= 0 ? (uint32_t)answer.id : *uid;
	return r != 0 ? r : is_account_uid(s, *uid) ? 0 : -EPERM;
}

/* A group that the account is a member of; an administrator may name any that is not privileged. */
static int
find_group(const struct monitor *s, const char *name, gid_t *gid)
{
	const struct account *a = &s->account;
	int r = unix_group_id(name, gid);

	if (r != 0)
		return r;
	if (unix_group_forbidden(*gid))
		return -EPERM;
	if (monitor_is_administrator(s) || *gid == a->gid)
		return 0;
	for (unsigned i = 0; i < a->group_count; i++)
		if (a->groups[i] == *gid)
			return 0;
	return -EPERM;
}

/*
 * Files and folders only, of the account itself (for an administrator: of any account), that grant
 * nobody's identity.
 */
static int
may_be_given(const struct monitor *s, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return -EINVAL;
	if (st->st_uid != s->account.uid && !(monitor_is_administrator(s) && is_account_uid(s, st->st_uid)))
		return -EPERM;
	/* The kernel clears these bits of programs; of others it does not, and nobody gives them away with reason. */
	if (S_ISREG(st->st_mode) && (st->st_mode & (S_ISUID | S_ISGID)) != 0)
		return -EPERM;
	return 0;
}

static void
log_chown(const struct monitor *s, const struct msg_chown_file *c, int code)
{
	struct log_line l;

	(void)s;
	log_begin_at(&l, code == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, EVENT_CHOWN);
	log_str(&l, FIELD_OWNER, c->owner);
	log_str(&l, FIELD_GROUP, c->group);
	if (code != 0)
		log_code(&l, code);
	log_end(&l);
}

int
monitor_chown(struct monitor *s, struct msg *m)
{
	const struct msg_chown_file *c = &m->chown_file;
	struct msg_given given = { .dialect_uid = UINT32_MAX };
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	struct stat st;
	int r = settings(s)->chown ? 0 : -EPERM;

	ration_agent(s, r == 0 ? RATION_RECORD : RATION_REFUSAL);
	if (r == 0 && fstat(m->fd[0], &st) < 0)
		r = -errno;
	if (r == 0)
		r = may_be_given(s, &st);
	if (r == 0 && c->owner[0] != '\0')
		r = find_owner(s, c->owner, &uid, &given.dialect_uid);
	if (r == 0 && c->group[0] != '\0')
		r = find_group(s, c->group, &gid);
	/*
	 * By descriptor, with AT_EMPTY_PATH because the agent may hold no more than a place in the tree (O_PATH).
	 * Accounts that share a Unix user are told apart beside the tree only: nothing changes here.
	 */
	if (r == 0 && uid == st.st_uid && c->group[0] == '\0')
		;
	else if (r == 0 && fchownat(m->fd[0], "", uid, gid, AT_EMPTY_PATH) < 0)
		r = -errno;
	log_chown(s, c, r);
	if (r == 0)
		return chan_answer(&s->agent, m, MSG_GIVEN, &given, NULL, 0);
	if (r == -ENOENT || r == -EINVAL)
		return chan_refuse(&s->agent, m, FAIL_ARGUMENT, -r, r == -ENOENT
		    ? "There is no account of that name." : NULL);
	return chan_refuse(&s->agent, m, FAIL_SYSTEM, -r > 4095 ? EINVAL : -r, NULL);
}

/* --------------------------------------------------------------- ADMIN, notes */

/*
 * The home of a new account, as its source wants it: ftpcluster's are paths
 * that clients see; others' are paths of the system, which begin with what the
 * administrator sees as /.
 */
static int
place_home(const struct monitor *s, const char *home, char *out, size_t size)
{
	const char *root = s->root_path[0] != '\0' && s->root_path[1] == '\0' ? "" : s->root_path;
	size_t n = strlen(home);

	if (n > 0 && (home[0] != '/' || strstr(home, "/../") != NULL || (n >= 3 && strcmp(home + n - 3, "/..") == 0)))
		return -EINVAL;
	return str_format(out, size, "%s%s", n == 0 || s->account.dialect_uid >= 0 ? "" : root, home) == 0 ? 0
	    : -EINVAL;
}

/*
 * An administrator changes passwords of others, and always has to name the account: "SITE PASSWD name", the password
 * forgotten, would otherwise make the name their own password.
 */
static bool
lacks_account(struct monitor *s, const struct msg_admin *a)
{
	return a->operation == ADMIN_OWN_PASSWORD && a->account[0] == '\0' && monitor_is_administrator(s);
}

/* The source that an account's own password is changed in, and new accounts are made in: that of this session. */
static int
administer(struct monitor *s, const struct msg_admin *a, char *text, size_t size)
{
	const struct account_source *source = s->account.source;
	bool own = a->operation == ADMIN_OWN_PASSWORD;
	struct clerk_answer answer;
	char home[sizeof a->home + sizeof s->root_path];
	int r;

	if (own ? !settings(s)->change_password : !monitor_is_administrator(s))
		return -EPERM;
	if (!own && !account_name_ok(a->account))
		return -EINVAL;
	if (lacks_account(s, a))
		return -ENODATA;
	if (a->operation == ADMIN_ADD ? source->add == NULL : source->set_password == NULL)
		return -EOPNOTSUPP;
	if (a->operation != ADMIN_ADD) {
		(void)str_copy(text, size, "password changed");
		return clerk_ask(s, CLERK_PASSWORD, own ? s->account.name : a->account, &a->password, "", &answer);
	}
	r = place_home(s, a->home, home, sizeof home);
	if (r == 0)
		r = clerk_ask(s, CLERK_ADD, a->account, &a->password, home, &answer);
	if (r == 0 && answer.id >= 0)
		(void)str_format(text, size, "user created: %lld", (long long)answer.id);
	else if (r == 0)
		(void)str_copy(text, size, "user created");
	return r;
}

/* What the client is told of a failure. */
static const struct {
	int code;
	const char *text;
} admin_failures[] = {
	{ -EPERM,	"This account may not do that." },
	{ -EINVAL,	"That name, password or directory cannot be used." },
	{ -EEXIST,	"There is an account of that name already." },
	{ -ENOENT,	"There is no account of that name." },
	{ -ENODATA,	"An administrator names the account: SITE PASSWD account password." },
	{ -EOVERFLOW,	"No user number is left." },
	{ -EOPNOTSUPP,	"Accounts of this kind cannot be changed over FTP." }
};

static const enum log_event admin_events[] = {
	[ADMIN_ADD] = EVENT_ACCOUNT_ADD,
	[ADMIN_OWN_PASSWORD] = EVENT_OWN_PASSWORD,
	[ADMIN_SET_PASSWORD] = EVENT_ACCOUNT_PASSWORD
};

int
monitor_admin(struct monitor *s, struct msg *m)
{
	static struct msg_admin_ok ok;
	const char *text = "It could not be done.";
	struct log_line l;
	int r;

	if (m->admin.operation > ADMIN_SET_PASSWORD)
		return SP_ERANGE;
	ration_agent(s, RATION_ADMIN);
	ok.text[0] = '\0';
	r = administer(s, &m->admin, ok.text, sizeof ok.text);
	secret_clear(&m->admin.password);
	log_begin_at(&l, r == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, admin_events[m->admin.operation]);
	log_str(&l, FIELD_ACCOUNT, m->admin.operation == ADMIN_OWN_PASSWORD ? s->account.name : m->admin.account);
	if (r != 0)
		log_code(&l, r);
	log_end(&l);
	if (r == 0)
		return chan_answer(&s->agent, m, MSG_ADMIN_OK, &ok, NULL, 0);
	for (size_t i = 0; i < sizeof admin_failures / sizeof *admin_failures; i++)
		if (admin_failures[i].code == r)
			text = admin_failures[i].text;
	return chan_refuse(&s->agent, m, FAIL_ARGUMENT, -r > 4095 ? EINVAL : -r, text);
}

int
monitor_note(struct monitor *s, struct msg *m)
{
	const struct msg_agent_note *n = &m->agent_note;

	s->moved = n->moved;
	(void)str_copy(s->activity, sizeof s->activity, n->what);
	s->noted_in = n->bytes_in;
	s->noted_out = n->bytes_out;
	monitor_tell_activity(s, clock_ms());
	return 0;
}

void
monitor_tell_activity(struct monitor *s, int64_t now)
{
	static struct msg_activity a;

	s->activity_at = 0;
	/* The last of many is the one that stays true: it is told later, not dropped. */
	if (!ration_spend(s, RATION_NOTE)) {
		monitor_activity_by(s, now + AGAIN_MS);
		return;
	}
	(void)str_copy(a.what, sizeof a.what, s->activity);
	/* Short transfers end without a note, and are recorded all the same. */
	a.bytes_in = s->noted_in > s->bytes_in ? s->noted_in : s->bytes_in;
	a.bytes_out = s->noted_out > s->bytes_out ? s->noted_out : s->bytes_out;
	(void)chan_tell(&s->listener, MSG_ACTIVITY, &a);
}

void
monitor_activity_by(struct monitor *s, int64_t when)
{
	if (s->activity_at == 0 || when < s->activity_at)
		s->activity_at = when;
}
