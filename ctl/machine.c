/* check: users, addresses and sources of accounts that a configuration names, as this machine has them. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "account/account.h"
#include "account/db.h"
#include "common/addr.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/machine.h"
#include "ctl/policy.h"
#include "privsep/role.h"

struct look {
	struct conf *conf;
	const struct conf_resolved *r; /* the settings of a listener */
	bool running;                  /* a server answers on the control socket */
};

static void
complain(const struct look *k, enum conf_key_id key, enum conf_severity severity, const char *what, const char *hint)
{
	const struct conf_origin *o = &k->r->origin[key];

	if (!ctl_problem_known(k->conf, o->file, o->line, what))
		conf_problem_add(k->conf, severity, o->file, o->line, "", what, hint);	/* which names key and value */
}

/* Is the setting written down anywhere? What is only a default may suit another machine. */
static bool
is_set(const struct look *k, enum conf_key_id key)
{
	return k->r->origin[key].line > 0;
}

/* --------------------------------------------------------------------------- users */

static void
check_user(const struct look *k, enum conf_key_id key, const char *name, const char *user)
{
	struct role_id id;
	char what[400];
	int r = role_find_user(user, &id);

	if (r == 0 && id.uid != 0)
		return;
	(void)str_format(what, sizeof what, "%s = %.200s: %s", name, user,
	    r == 0         ? "a role that runs as root is not separated "
			     "from root"
	    : r == -ENOENT ? "there is no such user or group"
			   : sp_strerror(r));
	complain(k, key, is_set(k, key) ? CONF_ERROR : CONF_WARNING, what,
	    "sudo systemd-sysusers makes the users of a package; useradd --system NAME any other");
}

static void
check_users(const struct look *k)
{
	if (geteuid() != 0)
		return; /* a server without root needs none */
	check_user(k, K_worker_user, "worker_user", k->r->s.worker_user);
	check_user(k, K_monitor_user, "monitor_user", k->r->s.monitor_user);
	check_user(k, K_keeper_user, "keeper_user", k->r->s.keeper_user);
}

/* -------------------------------------------------------------- files and the group */

/* A directory that the server writes to, or that of a file (path_len bytes of path); nothing is made. */
static void
check_directory(const struct look *k, enum conf_key_id key, const char *name, const char *path, size_t path_len)
{
	char what[600], directory[PATH_MAX];
	struct stat st;
	int r = 0;

	if (str_format(directory, sizeof directory, "%.*s", (int)path_len, path) != 0)
		return;
	if (stat(directory, &st) < 0)
		r = -errno;
	else if (!S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	else if (access(directory, W_OK) < 0 && errno == EROFS)
		r = -EROFS;
	if (r == 0 || (r == -EACCES && geteuid() != 0))
		return;
	(void)str_format(what, sizeof what, "%s = %.300s: %.200s: %s", name, path, directory, sp_strerror(r));
	complain(k, key, CONF_ERROR, what, "make the directory, or name another one");
}

/* A file that the server may have to make; of logs, words such as stderr and syslog are none. */
static void
check_writable(const struct look *k, enum conf_key_id key, const char *name, const char *path)
{
	const char *slash = path == NULL || path[0] != '/' ? NULL : strrchr(path, '/');
	struct stat st;
	char what[600];

	if (slash == NULL || !is_set(k, key))
		return;
	check_directory(k, key, name, path, slash == path ? 1 : (size_t)(slash - path));
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	(void)str_format(what, sizeof what, "%s = %.400s: this is a directory", name, path);
	complain(k, key, CONF_ERROR, what, "name the file in it");
}

static void
check_places(const struct look *k)
{
	const struct settings *s = &k->r->s;
	char what[400];

	check_writable(k, K_log, "log", s->log);
	check_writable(k, K_xferlog, "xferlog", s->xferlog);
	for (size_t i = 0; i < s->accounts.n; i++)
		if (strcmp(s->accounts.v[i], "database") == 0)
			check_writable(k, K_accounts_database, "accounts_database", s->accounts_database);
	if (is_set(k, K_quota_directory))
		check_directory(k, K_quota_directory, "quota_directory", s->quota_directory, strlen(s->quota_directory));
	if (s->control_group == NULL || getgrnam(s->control_group) != NULL)
		return;
	(void)str_format(what, sizeof what, "control_group = %.200s: there is no such group", s->control_group);
	complain(k, K_control_group, CONF_ERROR, what, "groupadd --system NAME makes it");
}

/* ----------------------------------------------------------------------- addresses */

/* What binding the address gives; nothing ever listens there. */
static int
try_address(const struct addr *a)
{
	int on = 1, r = 0, fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &a->sa, addr_len(a)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static void
check_address(const struct look *k, const char *text)
{
	struct addr a;
	char what[300];
	int r = addr_parse(&a, text, k->r->s.implicit_tls ? 990 : 21) != 0 ? 0 : try_address(&a);

	/* Low ports are root's. What is in use is the running server's, or will be free when that other one ends. */
	if (r == 0 || r == -EACCES || (r == -EADDRINUSE && k->running))
		return;
	(void)str_format(what, sizeof what, "listen = %.200s: %s", text,
	    r == -EADDRINUSE      ? "in use by another program"
	    : r == -EADDRNOTAVAIL ? "this machine has no such address"
				  : sp_strerror(r));
	complain(k, K_listen, is_set(k, K_listen) ? CONF_ERROR : CONF_WARNING, what,
	    r == -EADDRINUSE ? "stop the other server (ss -ltnp tells which), or choose another port"
			     : "give the address to an interface, or listen on *");
}

static void
check_addresses(const struct look *k)
{
	for (size_t i = 0; i < k->r->s.listen.n; i++)
		check_address(k, k->r->s.listen.v[i]);
}

/* ------------------------------------------------------------------------- sources */

static void
check_file(const struct look *k, enum conf_key_id key, const char *name, const char *path)
{
	char what[600];

	/* Whether it is named at all is a rule of the configuration. */
	if (path == NULL || access(path, R_OK) == 0 || (errno == EACCES && geteuid() != 0))
		return;
	(void)str_format(what, sizeof what, "%s = %.400s: %s", name, path, strerror(errno));
	complain(k, key, CONF_ERROR, what, "");
}

static void
check_passwd_file(const struct look *k)
{
	check_file(k, K_passwd_file, "passwd_file", k->r->s.passwd_file);
}

/* Somebody must accept there; nothing is asked. */
static void
check_external(const struct look *k)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const char *path = k->r->s.external_socket;
	char what[600];
	int fd;

	if (path == NULL || str_copy(sun.sun_path, sizeof sun.sun_path, path) != 0 ||
	    (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return;
	if (connect(fd, (struct sockaddr *)&sun, sizeof sun) < 0 && errno != EAGAIN &&
	    !(errno == EACCES && geteuid() != 0)) {
		(void)str_format(what, sizeof what, "external_socket = %.400s: %s", path, strerror(errno));
		complain(k, K_external_socket, CONF_ERROR, what, "start the program, or correct external_socket");
	}
	close(fd);
}

static void
check_pam(const struct look *k)
{
	char path[PATH_MAX], what[300];
	const char *service = k->r->s.pam_service;

	if (!is_set(k, K_accounts) && !is_set(k, K_pam_service))
		return;
	(void)str_format(path, sizeof path, "/etc/pam.d/%s", service);
	if (access(path, F_OK) == 0)
		return;
	(void)str_format(path, sizeof path, "/usr/lib/pam.d/%s", service);
	if (access(path, F_OK) == 0)
		return;
	(void)str_format(what, sizeof what, "there is no PAM service %.200s: every login over PAM will fail", service);
	complain(k, is_set(k, K_pam_service) ? K_pam_service : K_accounts, CONF_ERROR, what,
	    "install /etc/pam.d/sallyport, set pam_service to one that exists, or take pam out of accounts");
}

/* Looks up a name that no account can have: that needs the connection, the tables, their columns, and the right to read
 * them. */
static void
check_tables(const struct look *k, const char *name, enum conf_key_id key, const char *where)
{
	const struct account_source *s = account_source_named(name);
	struct account_query q = { .user = "sallyctl-check", .base = &k->r->s, .tls = true };
	enum account_reason why = REASON_NONE;
	struct account a;
	void *state = NULL;
	char what[600];
	int r = s == NULL ? -ENOSYS : s->open == NULL ? 0 : s->open(k->conf, &state);
	bool answered = false;

	account_init(&a, q.user);
	ctl_hush_log(true);	/* db_said() has it in full */
	if (r == 0)
		answered = s->find(state, &q, &a, &why) != ACCOUNT_UNAVAILABLE;
	ctl_hush_log(false);
	account_free(&a);
	if (r == 0 && s->close != NULL)
		s->close(state);
	if (answered && db_said()[0] == '\0')
		return;
	(void)str_format(what, sizeof what, "%s in the source %s (%.200s): %s",
	    answered ? "there is no account" : "accounts cannot be looked up", name, where,
	    db_said()[0] != '\0' ? db_said() : r != 0 ? sp_strerror(r) : "it is not reachable");
	complain(k, key, answered ? CONF_WARNING : CONF_ERROR, what, "sallyctl account list asks it alone");
}

static void
check_database(const struct look *k)
{
	const char *path = k->r->s.accounts_database;

	/* One that is not there yet is made with the first account. */
	if (access(path, R_OK) == 0)
		check_tables(k, "database", K_accounts_database, path);
	else if (errno != ENOENT && !(errno == EACCES && geteuid() != 0))
		check_file(k, K_accounts_database, "accounts_database", path);
}

static void
check_postgresql(const struct look *k)
{
	/* The parameters may hold a password. */
	if (k->r->s.postgresql != NULL)
		check_tables(k, "postgresql", K_postgresql, "postgresql");
}

static void
check_sources(const struct look *k)
{
	static const struct {
		const char *name;
		void (*check)(const struct look *);
	} rows[] = {
		{ "passwd_file", check_passwd_file },
		{ "external", check_external },
		{ "pam", check_pam },
		{ "database", check_database },
		{ "postgresql", check_postgresql },
	};

	for (size_t i = 0; i < k->r->s.accounts.n; i++)
		for (size_t j = 0; j < sizeof rows / sizeof rows[0]; j++)
			if (strcmp(k->r->s.accounts.v[i], rows[j].name) == 0)
				rows[j].check(k);
}

/* ------------------------------------------------------------------------------ all */

static bool
server_answers(const struct conf *conf)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool answers = fd >= 0 && str_copy(sun.sun_path, sizeof sun.sun_path, conf_server(conf)->control_socket) == 0 &&
		       (connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0 || errno == EACCES);

	if (fd >= 0)
		close(fd);
	return answers;
}

/* At the settings of each listener; everything: not only at the places that the server writes to. */
static void
look_at_each(struct conf *conf, bool running, bool everything)
{
	const struct conf_section *l = conf_section_next(conf, SC_LISTENER, NULL);

	do {
		const struct conf_subject subject = { .listener = l == NULL ? NULL : conf_section_name(l) };
		struct conf_resolved r;
		struct look k = { conf, &r, running };

		if (conf_resolve(conf, &subject, &r) != 0)
			continue;
		check_places(&k);
		if (everything) {
			check_users(&k);
			check_addresses(&k);
			check_sources(&k);
		}
		conf_resolved_free(&r);
	} while (l != NULL && (l = conf_section_next(conf, SC_LISTENER, l)) != NULL);
}

void
machine_check(struct conf *conf)
{
	look_at_each(conf, server_answers(conf), true);
}

void
machine_check_places(struct conf *conf)
{
	look_at_each(conf, true, false);
}
