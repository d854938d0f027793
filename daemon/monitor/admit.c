/*
 * From a right password to a live session: the folder, the limits, the PAM
 * session, the agent under the account's identity, and root given up.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/unix.h"
#include "authz/settings.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/drop.h"
#include "privsep/verify.h"

#define LOW_PORTS 1024

/* Bodies of this exchange, one after the other in the same memory, which is given back afterwards. */
static union {
	struct msg_claim claim;
	struct msg_layer layer;
	struct msg_profile profile;
	struct msg_login_ok login_ok;
} body __attribute__((aligned(4096)));

static char start[4096];	/* where the session begins */

static struct msg answer;

/* ------------------------------------------------------------------ the system */

static int
verify_agent(const struct monitor *s)
{
	const struct account *a = &s->account;
	const struct role_row *row = role_row(ROLE_AGENT);
	struct verify_want want = {
		.uid = a->uid, .gid = a->gid, .groups = a->groups, .group_count = a->group_count,
		.filters = monitor_prepared.lax ? 0 : role_filters(row, PHASE_LIVE)
	};
	char why[256] = "";
	struct log_line l;
	int r = verify_process(s->agent_pid, &want, why, sizeof why);

	if (r == 0)
		return 0;
	log_begin(&l, LOG_LEVEL_ERROR, "agent-not-as-claimed");
	log_str(&l, "why", why);
	log_code(&l, r);
	log_end(&l);
	return r;
}

static int
leave_root(uint64_t caps)
{
	return drop_monitor(&monitor_prepared.id, caps);
}

static const struct monitor_system real_system = { verify_agent, leave_root };
const struct monitor_system *monitor_system = &real_system;

/* ------------------------------------------------------------------ the folder */

/* Looks at the file system with the account's eyes for the time of one call; own: with our own again. */
static void
see_as(const struct account *a, bool own)
{
	static const gid_t none;

	if (geteuid() != 0)
		return;
	(void)setgroups(own ? 0 : a->group_count, own ? &none : a->groups);
	setfsgid(own ? 0 : a->gid);
	setfsuid(own ? 0 : a->uid);
}

static int
open_as(const struct account *a, const char *path)
{
	int fd, error;

	see_as(a, false);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	error = errno;
	see_as(a, true);
	return fd < 0 ? -error : fd;
}

/* Makes a missing home, parents must be there. The name is made by root, who owns the parent; then it is given away. */
static int
make_home(const struct account *a, const char *path)
{
	int fd, r = 0;

	if (mkdir(path, 0700) < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && fchown(fd, a->uid, a->gid) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, 0755 & ~(mode_t)a->resolved->s.umask) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void
log_home(const char *path, int code)
{
	struct log_line l;

	log_begin(&l, LOG_LEVEL_ERROR, "home-unusable");
	log_str(&l, "path", path);
	log_code(&l, code);
	log_end(&l);
}

/* A jail's root is the home; without one it is the system's, and the home is where the session starts. */
static int
place_root(struct monitor *s, int home_fd)
{
	const struct settings *set = &s->account.resolved->s;
	bool own_start = set->start != NULL && strcmp(set->start, "/") != 0;
	int r = str_copy(start, sizeof start, own_start ? set->start : set->jail ? "/" : s->root_path);

	if (r != 0 || set->jail)
		return r != 0 ? SP_ERANGE : home_fd;
	(void)str_copy(s->root_path, sizeof s->root_path, "/");
	home_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return home_fd < 0 ? -errno : home_fd;
}

/* Opens what the client will see as /. A descriptor or a negative code. */
static int
open_root(struct monitor *s)
{
	const struct account *a = &s->account;
	const struct settings *set = &a->resolved->s;
	const char *text = set->home != NULL ? set->home : a->home;
	char *home = s->root_path;
	int r = text == NULL ? -ENOENT : account_expand(a, text, home, sizeof s->root_path), fd, root_fd;

	if (r != 0 || home[0] != '/') {
		log_home(text == NULL ? "(none is set)" : text, r != 0 ? r : SP_EFORMAT);
		return -ENOENT;
	}
	fd = open_as(a, home);
	if (fd == -ENOENT && set->create_home)
		fd = (r = make_home(a, home)) == 0 ? open_as(a, home) : r;
	if (fd < 0) {
		log_home(home, fd);
		return fd;
	}
	root_fd = place_root(s, fd);
	if (root_fd != fd)
		close(fd);
	return root_fd;
}

/* ------------------------------------------------------------------- the limits */

static bool
claim(struct monitor *s, enum account_reason *why)
{
	const struct settings *set = &s->account.resolved->s;
	const struct conf_section *class = s->account.resolved->class;

	(void)str_copy(body.claim.user, sizeof body.claim.user, s->account.name);
	(void)str_copy(body.claim.class, sizeof body.claim.class, class == NULL ? "" : conf_section_name(class));
	body.claim.max_per_user = (uint32_t)set->max_sessions_per_user;
	body.claim.max_per_class = (uint32_t)set->max_sessions_per_class;
	body.claim.rate_up = set->account_rate_up;
	body.claim.rate_down = set->account_rate_down;
	if (monitor_call(s, &s->listener, MSG_CLAIM, &body.claim, NULL, 0, &answer, MSG_CLAIMED) != 0)
		return false;
	if (answer.type == MSG_CLAIMED && answer.claimed.verdict == 0) {
		s->rate_fd = msg_take_fd(&answer, 0);
		msg_close(&answer);
		return true;
	}
	*why = answer.type == MSG_CLAIMED && answer.claimed.verdict < 3 ? REASON_LIMIT : REASON_UNAVAILABLE;
	msg_close(&answer);
	return false;
}

/* -------------------------------------------------------------------- the agent */

/* One layer, in as many messages as its text needs. */
static int
send_layer(struct monitor *s, const struct conf_layer *l)
{
	size_t left = strlen(l->text);
	const char *text = l->text;
	int r;

	r = str_copy(body.layer.dialect, sizeof body.layer.dialect, l->dialect);
	if (r == 0)
		r = str_copy(body.layer.prefix, sizeof body.layer.prefix, l->prefix);
	(void)str_copy(body.layer.origin, sizeof body.layer.origin, l->file);
	body.layer.line = l->line;
	body.layer.scope = (uint8_t)authz_scope_of(l, &s->account.resolved->s);
	(void)str_copy(body.layer.section, sizeof body.layer.section, l->section);
	do {
		size_t n = left > sizeof body.layer.text ? sizeof body.layer.text : left;

		memcpy(body.layer.text, text, body.layer.text_len = n);
		left -= n;
		text += n;
		body.layer.more = left > 0;
		if (r == 0)
			r = chan_tell(&s->agent, MSG_LAYER, &body.layer);
	} while (r == 0 && left > 0);
	return r;
}

/* Anonymous clients read, whatever the server's layers say, unless somebody wrote a policy for them. */
static bool
needs_guest_layer(const struct account *a)
{
	const struct conf_section *section = conf_section_find(monitor_prepared.conf, SC_ACCOUNT, a->name);

	return (a->flags & ACCOUNT_ANONYMOUS) && (section == NULL || !conf_section_sets(section, K_layer));
}

static int
send_layers(struct monitor *s)
{
	static const struct conf_layer guest = {
		.dialect = "pyftpdlib", .prefix = "", .text = "elr", .file = "anonymous", .scope = SC_SERVER, .section = ""
	};
	const struct conf_layers *layers = &s->account.resolved->s.layer;
	int r = needs_guest_layer(&s->account) ? send_layer(s, &guest) : 0;

	for (size_t i = 0; r == 0 && i < layers->n; i++)
		r = send_layer(s, &layers->v[i]);
	return r;
}

/* Does the value stand in the agent's own configuration, as that of the server? */
static bool
agent_knows(const struct conf_origin *o)
{
	return o->section == NULL || o->section[0] == '\0' || strcmp(o->section, "server") == 0 || strcmp(o->section, "tls") == 0;
}

/* What listener, class, groups and account say for the agent, as key=value lines. */
static int
list_settings(const struct conf_resolved *own, char *out, size_t size)
{
	static char value[4096];
	size_t n = 0;

	out[0] = '\0';
	for (int k = 0; k < K_COUNT; k++) {
		const struct conf_key *key = &conf_keys[k];

		if ((key->audience & TO_AGENT) == 0 || (key->scopes & (SC_LISTENER | SC_USER)) == 0 ||
		    agent_knows(&own->origin[k]))
			continue;
		conf_value_text(&own->s, (enum conf_key_id)k, value, sizeof value);
		if (str_format(out + n, size - n, "%s=%s\n", key->name, value) != 0)
			return SP_ERANGE;
		n += strlen(out + n);
	}
	return 0;
}

static uint8_t
profile_flags(const struct monitor *s)
{
	const struct account *a = &s->account;
	const struct settings *set = &a->resolved->s;
	const struct { bool on; enum profile_flag flag; } flags[] = {
		{ set->jail,						PROFILE_JAIL },
		{ a->flags & ACCOUNT_ANONYMOUS,				PROFILE_ANONYMOUS },
		{ set->quota_bytes != 0 || set->quota_files != 0,	PROFILE_QUOTA },
		{ set->chown,						PROFILE_CHOWN },
		{ set->active_port > 0 && set->active_port < LOW_PORTS,	PROFILE_BIND_LOW },
		{ set->administrator || a->flags & ACCOUNT_ADMIN,	PROFILE_ADMIN },
		{ set->change_password,					PROFILE_OWN_PASSWORD },
		{ true,							PROFILE_RECORDS }
	};
	unsigned all = 0;

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		all |= flags[i].on ? (unsigned)flags[i].flag : 0;
	return (uint8_t)all;
}

/* Group sections first, then Unix groups: the dialects ask for either by name. */
static void
list_groups(const struct account *a, char *out, size_t size)
{
	const struct conf_list *groups = &a->resolved->s.groups;

	out[0] = '\0';
	for (size_t i = 0; i < groups->n; i++) {
		size_t n = strlen(out);

		(void)str_format(out + n, size - n, "%s%s", n == 0 ? "" : ",", groups->v[i]);
	}
	unix_group_names(a, out, size);
}

static void
copy_addr(uint8_t *out, size_t *len, const struct addr *a)
{
	*len = addr_len(a);
	memcpy(out, &a->sa, *len);
}

static int
send_profile(struct monitor *s, int root_fd)
{
	const struct account *a = &s->account;
	struct msg_profile *p = &body.profile;
	int64_t dialect_uid = a->dialect_uid >= 0 ? a->dialect_uid : a->resolved->s.cluster_uid;
	int r;

	if (a->group_count * sizeof *a->groups > sizeof p->groups)
		return SP_ERANGE;
	p->session = s->session;
	p->uid = a->uid;
	p->gid = a->gid;
	p->groups_len = a->group_count * sizeof *a->groups;
	if (p->groups_len > 0)
		memcpy(p->groups, a->groups, p->groups_len);
	p->dialect_uid = dialect_uid >= 0 ? (uint32_t)dialect_uid : a->uid;
	p->umask = a->resolved->s.umask;
	p->flags = profile_flags(s);
	(void)str_copy(p->user, sizeof p->user, a->name);
	(void)str_copy(p->home, sizeof p->home, s->root_path);
	(void)str_copy(p->start, sizeof p->start, start);
	list_groups(a, p->group_names, sizeof p->group_names);
	copy_addr(p->peer, &p->peer_len, &s->peer);
	copy_addr(p->local, &p->local_len, &s->local);
	r = list_settings(a->resolved, p->settings, sizeof p->settings);
	return r != 0 ? r : monitor_call(s, &s->agent, MSG_PROFILE, p, &root_fd, 1, &answer, MSG_PROFILE_OK);
}

/* The agent becomes the account. True, with the answer in `answer`. */
static bool
make_agent(struct monitor *s, int root_fd)
{
	int r = send_layers(s);

	if (r == 0)
		r = send_profile(s, root_fd);
	if (r == 0 && answer.type != MSG_PROFILE_OK) {
		log_problem(LOG_LEVEL_ERROR, "profile-refused", answer.failed.text, answer.failed.error == 0 ? 0
		    : -(int)answer.failed.error);
		msg_close(&answer);
		return false;
	}
	if (r != 0 && !s->ended)
		log_problem(LOG_LEVEL_ERROR, "profile-not-sent", NULL, r);
	return r == 0 && monitor_system->verify_agent(s) == 0;
}

/* ------------------------------------------------------------------ living on */

static uint64_t
needed_caps(const struct settings *set)
{
	uint64_t caps = 0;

	if (set->chown)
		caps |= UINT64_C(1) << CAP_CHOWN;
	if (set->active_port > 0 && set->active_port < LOW_PORTS)
		caps |= UINT64_C(1) << CAP_NET_BIND_SERVICE;
	return caps;
}

static void
expand_text(const struct account *a, const char *text, char *out, size_t size)
{
	if (text == NULL || account_expand(a, text, out, size) != 0)
		(void)str_copy(out, size, text == NULL ? "" : text);
}

static unsigned
login_flags(const struct monitor *s)
{
	static const unsigned denial[] = {
		[CONF_DENIAL_AUTO] = 0, [CONF_DENIAL_550] = LOGIN_DENY_550, [CONF_DENIAL_553] = LOGIN_DENY_553
	};

	return (s->account.flags & ACCOUNT_ANONYMOUS ? LOGIN_ANONYMOUS : 0) | denial[s->account.resolved->s.denial_code];
}

static int
tell_worker(struct monitor *s, const struct msg *login)
{
	const struct settings *set = &s->account.resolved->s;
	struct msg_login_ok *ok = &body.login_ok;
	int r;

	(void)str_copy(ok->user, sizeof ok->user, s->account.name);
	(void)str_copy(ok->start, sizeof ok->start, answer.profile_ok.start);
	ok->rights = answer.profile_ok.rights;
	expand_text(&s->account, set->login_message, ok->message, sizeof ok->message);
	expand_text(&s->account, set->goodbye_message, ok->goodbye, sizeof ok->goodbye);
	ok->idle_timeout = set->idle_timeout;
	ok->stall_timeout = set->stall_timeout;
	ok->rate_up = set->rate_up;
	ok->rate_down = set->rate_down;
	ok->tls_data = set->tls >= CONF_TLS_FULL;
	ok->ascii = (uint8_t)set->ascii;
	ok->flags = login_flags(s);
	r = chan_answer(&s->login, login, MSG_LOGIN_OK, ok, &s->rate_fd, s->rate_fd >= 0 ? 1 : 0);
	if (s->rate_fd >= 0)
		close(s->rate_fd);
	s->rate_fd = -1;
	return r;
}

static void
log_login(const struct monitor *s, bool tls)
{
	const struct account *a = &s->account;
	struct log_line l;

	log_begin(&l, LOG_LEVEL_NOTICE, "login");
	log_str(&l, "rhost", s->peer_text);
	log_num(&l, "uid", a->uid);
	log_str(&l, "source", a->source == NULL ? "-" : a->source->name);
	log_num(&l, "tls", tls);
	log_str(&l, "root", s->root_path);
	log_end(&l);
}

/* Every further line names the user. */
static void
set_context(struct monitor *s)
{
	char user[4 * ACCOUNT_NAME_MAX + 1];
	bool quote = strpbrk(s->account.name, " =\\\"") != NULL;
	size_t n = strlen(s->context);

	str_escape(user, sizeof user, s->account.name, strlen(s->account.name));
	(void)str_format(s->context + n, sizeof s->context - n, quote ? " user=\"%s\"" : " user=%s", user);
}

static bool
go_live(struct monitor *s, const struct msg *login)
{
	const struct settings *set = &s->account.resolved->s;
	int r = s->pam_session ? 0 : monitor_system->leave_root(needed_caps(set));

	if (r != 0) {
		log_problem(LOG_LEVEL_ERROR, "privileges-not-dropped", NULL, r);
		monitor_end(s, SP_EXIT_SANDBOX);
		return false;
	}
	set_context(s);
	log_login(s, login->login.tls != 0);
	r = tell_worker(s, login);
	if (r != 0) {
		monitor_end(s, r == SP_ECLOSED ? SP_EXIT_NOAUTH : SP_EXIT_OS);
		return false;
	}
	chan_close(&s->login);
	s->stage = STAGE_LIVE;
	if (set->session_timeout != 0)
		s->deadline = clock_ms() + (int64_t)set->session_timeout * 1000;
	/* What only a login needs is given back: a session may idle for hours. */
	(void)madvise(&body, sizeof body, MADV_DONTNEED);
	return true;
}

static bool
open_pam_session(struct monitor *s)
{
	struct account *a = &s->account;

	if ((a->flags & ACCOUNT_PAM_SESSION) == 0 || a->source->session_open == NULL)
		return true;
	if (a->source->session_open(a->source_state, a) != 0)
		return false;
	s->pam_session = true;
	return true;
}

bool
monitor_admit(struct monitor *s, const struct msg *login, enum account_reason *why, bool *final)
{
	int root_fd = open_root(s);
	bool ok;

	if (root_fd < 0) {
		*why = REASON_HOME;
		return false;
	}
	ok = claim(s, why);
	if (ok) {
		*final = true;		/* the agent can be made somebody only once */
		*why = REASON_PAM;
		ok = open_pam_session(s);
	}
	if (ok) {
		*why = REASON_PROFILE;
		ok = make_agent(s, root_fd);
	}
	close(root_fd);
	if (ok) {
		grace_stop();
		ok = go_live(s, login);
		msg_close(&answer);
	}
	return ok;
}

void
monitor_forget_account(struct monitor *s)
{
	struct account *a = &s->account;

	if (!s->have_account)
		return;
	if (a->login_state != NULL && a->source->session_close != NULL)
		a->source->session_close(a->source_state, a);
	account_free(a);
	s->have_account = false;
	s->pam_session = false;
}
