/* The policies of vector rows: the native text of five systems; see run.h. */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/cluster.h"
#include "authz/kernel.h"
#include "authz/pyftpdlib_file.h"
#include "daemon/worker/words.h"
#include "tests/authz/run.h"

/* "PASS secret"; nothing behind it is the empty password. */
static const char *
password_of(const char *command)
{
	return command[4] ? command + 5 : "";
}

/* ----------------------------------------------------------------- pyftpdlib */

/*
 * A row cannot say which homes exist: those that stand where homes stand do,
 * unless their name says the contrary.
 */
static bool
home_exists(const char *path)
{
	static const char *const roots[] = { "/home/", "/srv/", "/var/", "/data/", "/export/", "/u/" };
	static const char *const absent[] = { "missing", "nonexist", "no-such", "nosuch", "no_such", "nowhere",
		"absent", "nope", "ghost", "gone", "notthere", "not-there", "invalid" };

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (strcasestr(path, absent[i]))
			return false;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (strncmp(path, roots[i], strlen(roots[i])) == 0)
			return true;
	return false;
}

/* The home in a line of the policy: "user NAME PASSWORD HOME ...", "anonymous HOME ..."; false: none there. */
static bool
home_of_line(const char *line, char home[512])
{
	return sscanf(line, "user %*[^ \n] %*[^ \n] %511[^ \r\n]", home) == 1 ||
	       sscanf(line, "anonymous %511[^ \r\n]", home) == 1;
}

/* What a fixture names stands below each home. */
static bool
py_is_folder(void *context, const char *path)
{
	const struct run *r = context;
	char home[512], typed[4096], resolved[4096];

	for (const char *line = r->world.policy; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		size_t n;

		if (!home_of_line(line, home))
			continue;
		n = strlen(home);
		if (strncmp(path, home, n) == 0 && path[n] == '/' && strspn(path + n, "/") != strlen(path + n))
			return world_walk(&r->world, path + n, true, typed, resolved) == AUTHZ_FOLDER;
	}
	return home_exists(path);
}

static bool
py_system_user(void *context, const char *name, const char **password, const char **shell)
{
	const struct run *r = context;

	for (size_t i = 0; i < r->world.user_count; i++)
		if (strcmp(r->world.users[i].name, name) == 0) {
			*password = r->world.users[i].password;
			*shell = r->world.users[i].shell;
			return true;
		}
	return false;
}

static bool
py_valid_shell(void *context, const char *shell)
{
	const char *name = strrchr(shell, '/');

	(void)context;
	return name && strcmp(name, "/nologin") != 0 && strcmp(name, "/false") != 0;
}

static int
run_pyftpdlib(struct run *r)
{
	struct pyftpdlib_world world = { r, py_is_folder, py_system_user, py_valid_shell };
	struct pyftpdlib_file *f = pyftpdlib_file_read(r->world.policy, "policy", &world, NULL);
	struct authz_source source = {
		.dialect = "pyftpdlib", .file = "policy", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT
	};
	char layer[8192];
	int errors = (int)pyftpdlib_file_errors(f), answer;

	if (strncmp(r->row->command, "PASS", 4) == 0)
		answer = pyftpdlib_file_login(f, r->row->user, password_of(r->row->command));
	else if (errors || strcmp(r->row->command, "LOAD") == 0)
		answer = run_decide(r, errors);
	else if (!pyftpdlib_file_layer(f, r->row->user, layer, sizeof(layer)))
		answer = DENY;
	else {
		source.text = layer;
		answer = run_decide(r, run_compile(r, &source, 1, AUTHZ_NOBODY, pyftpdlib_file_home(f, r->row->user)));
	}
	pyftpdlib_file_free(f);
	return answer;
}

/* ------------------------------------------------------------------ sftpplus */

/*
 * "account permissions = ...", "group NAME permissions = ..."; lines of a value
 * are separated by ';' or follow on lines of their own.
 */
static size_t
read_sections(char *text, struct authz_source *out, size_t max)
{
	size_t n = 0;
	unsigned groups = 0;
	char *rest = text, *line, *value = NULL, *end = text;

	while ((line = strsep(&rest, "\n"))) {
		bool account = strncmp(line, "account", 7) == 0, group = strncmp(line, "group ", 6) == 0;
		char *eq = strchr(line, '=');

		groups += group;
		if ((account || group) && (!eq || n == max || eq[1 + strspn(eq + 1, " ")] == '\0')) {
			value = NULL;
			continue;
		}
		if (account || group) {
			value = eq + 1;
			end = value + strlen(value);
			for (char *p = value; *p; p++)
				if (*p == ';')
					*p = '\n';
			out[n++] = (struct authz_source){ .dialect = "sftpplus",
				.text = value,
				.file = "policy",
				.line = 1,
				.section = account ? "account" : "group",
				.scope = account       ? AUTHZ_SCOPE_ACCOUNT
					 : groups == 1 ? AUTHZ_SCOPE_GROUP
						       : AUTHZ_SCOPE_OTHER_GROUP };
		} else if (value) {
			*end = '\n';
			end = line + strlen(line);
		}
	}
	return n;
}

static int
run_sftpplus(struct run *r)
{
	struct authz_source sources[16] = { { .dialect = "sftpplus",
	    .text = r->world.policy,
	    .file = "policy",
	    .line = 1,
	    .scope = AUTHZ_SCOPE_ACCOUNT } };
	size_t n = 1;

	if (strncmp(r->world.policy, "account", 7) == 0 || strncmp(r->world.policy, "group ", 6) == 0)
		n = read_sections(r->world.policy, sources, 16);
	if (n == 0)
		sources[n++].text = "inherit";
	return run_decide(r, run_compile(r, sources, n, AUTHZ_NOBODY, NULL));
}

/* ---------------------------------------------------------------- ftpcluster */

/* Hashed fields are accepted beside clear ones. */
static bool
cluster_login(const struct cluster_row *e, const char *password)
{
	static struct crypt_data work;
	char stored[256];
	const char *hash;

	if (e->password_len < 4 || e->password[0] != '$')
		return !cluster_is_locked(e) && strlen(password) == e->password_len &&
		       memcmp(password, e->password, e->password_len) == 0;
	snprintf(stored, sizeof(stored), "%.*s", (int)e->password_len, e->password);
	hash = crypt_rn(password, stored, &work, sizeof(work));
	return hash && strcmp(hash, stored) == 0;
}

/* SITE USERADD name password [home] */
static int
cluster_add(struct run *r, const char *passwd)
{
	char args[3][256] = { "", "", "" };
	struct cluster_row other;
	struct authz_verdict v;
	int count = sscanf(r->row->path, "%255s %255s %255s", args[0], args[1], args[2]);

	return authz_decide(r->policy, AUTHZ_OP_USERADM, NULL, &v) && count >= 2 &&
	       !cluster_find(passwd, args[0], &other) && cluster_name_ok(args[0]);
}

/* The words are those that the server finds in the command, and its operations. */
static int
cluster_password(struct run *r, const char *passwd)
{
	char *words = strdup(r->row->path), *account, *password;
	struct cluster_row other;
	struct authz_verdict v;
	int answer = DENY;
	enum passwd_form form = words_passwd(words, r->row->user, &account, &password);
	bool administrator = authz_session_rights(r->policy) & AUTHZ_USERADM;

	if (form == PASSWD_OTHER)
		answer = authz_decide(r->policy, AUTHZ_OP_USERADM, NULL, &v) && cluster_find(passwd, account, &other);
	else if (form == PASSWD_OWN) /* a name alone lacks its password */
		answer = authz_decide(r->policy, AUTHZ_OP_PASSWD, NULL, &v) &&
			 (account || !administrator || !cluster_find(passwd, password, &other));
	free(words);
	return answer;
}

static int
cluster_account_command(struct run *r, const char *command, const char *passwd)
{
	return strcmp(command, "SITE USERADD") == 0 ? cluster_add(r, passwd) : cluster_password(r, passwd);
}

static int
run_ftpcluster(struct run *r)
{
	struct authz_source source = { .dialect = "ftpcluster", .text = r->world.policy, .file = "policy", .line = 1 };
	const char *passwd = r->world.passwd ? r->world.passwd : "", *command = r->row->command;
	struct cluster_row me, other;
	char name[256];
	bool known = cluster_find(passwd, r->row->user, &me);
	const char *last = strrchr(r->row->path, ' ');

	if (strncmp(command, "PASS", 4) == 0)
		return known && cluster_login(&me, password_of(command));
	if (!known && strcmp(command, "LOAD") != 0)
		return DENY;
	if (run_compile(r, &source, 1, known ? (uint32_t)me.number : AUTHZ_NOBODY, NULL))
		return DENY;
	if (strcmp(command, "LOAD") == 0)
		return ALLOW;
	if (strcmp(command, "SITE USERADD") == 0 || strncmp(command, "SITE PASSW", 10) == 0 ||
	    strcmp(command, "SITE PSWD") == 0)
		return cluster_account_command(r, command, passwd);
	/* SITE CHOWN name path */
	if (strncmp(command, "SITE CHOWN", 10) == 0 && last && last[1] == '/' && !strstr(r->row->path, " -> ")) {
		snprintf(name, sizeof(name), "%.*s", (int)(last - r->row->path), r->row->path);
		return cluster_find(passwd, name, &other) &&
		       run_ask(r, command, last + 1) == ALLOW;
	}
	return run_ask(r, command, r->row->path);
}

/* ------------------------------------------------------------------------ ups */

/* A row about a real file of this machine: the kernel is asked as an unprivileged user. */
static int
kernel_too(struct run *r, int answer)
{
	struct authz_subject nobody = { .user = "nobody", .uid = 65534, .gid = 65534 };
	char path[4096], resolved[4096];
	int op = run_op(r->row->command);

	if (answer != ALLOW || op < 0 || r->world.object_count || r->row->path[0] != '/' ||
	    strstr(r->row->path, " -> "))
		return answer;
	world_walk(&r->world, r->row->path, true, path, resolved);
	return kernel_predict(&nobody, "/", op, path, NULL, NULL, r->why, sizeof(r->why)) == 1;
}

static int
run_ups(struct run *r)
{
	struct authz_source source = {
		.dialect = "ups", .text = r->world.policy, .file = "policy", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT
	};

	return kernel_too(r, run_decide(r, run_compile(r, &source, 1, AUTHZ_NOBODY, NULL)));
}

/* ------------------------------------------------------------------ several */

#define LAYERS_MAX 16

static const struct {
	const char *line;
	uint32_t choice;
} choices[] = {
#define CHOICE(name, bit, key, value, other, text) { "set " #key " = " other, AUTHZ_##name },
#include "authz/choices.def"
#undef CHOICE
};

static bool
is_choice(struct run *r, const char *line)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (strcmp(line, choices[i].line) == 0) {
			r->choices |= choices[i].choice;
			return true;
		}
	return false;
}

/* "[PREFIX] LANGUAGE RULES", the rules on any number of lines. */
static struct authz_source
layer_of(char *value)
{
	const char *prefix = *value == '/' ? strsep(&value, " ") : NULL;
	const char *language = value ? strsep(&value, " \n") : "";

	return (struct authz_source){ .dialect = language,
		.text = value ? value : "",
		.prefix = prefix,
		.file = "policy",
		.line = 1,
		.scope = AUTHZ_SCOPE_ACCOUNT };
}

/* Layers of any language, one below the other; the lines that follow "layer = ..." are part of it. */
static size_t
read_layers(struct run *r, struct authz_source *out)
{
	char *rest = r->world.policy, *line, *end = NULL, *begin[LAYERS_MAX];
	size_t n = 0;

	while ((line = strsep(&rest, "\n"))) {
		if (is_choice(r, line)) {
			end = NULL;
			continue;
		}
		if (strncmp(line, "layer = ", 8) == 0 && n < LAYERS_MAX)
			begin[n++] = line + 8;
		else if (end)
			*end = '\n';
		end = line + strlen(line);
	}
	for (size_t i = 0; i < n; i++)
		out[i] = layer_of(begin[i]);
	return n;
}

static int
run_layers(struct run *r)
{
	struct authz_source sources[LAYERS_MAX];
	size_t n = read_layers(r, sources);
	struct cluster_row me;
	const char *passwd = r->world.passwd ? r->world.passwd : "";
	bool known = cluster_find(passwd, r->row->user, &me);

	return run_decide(r, run_compile(r, sources, n, known ? (uint32_t)me.number : AUTHZ_NOBODY, NULL));
}

static const struct runner {
	const char *dialect;
	int (*run)(struct run *);
} runners[] = {
	{ "pyftpdlib", run_pyftpdlib }, { "sftpplus", run_sftpplus }, { "ftpcluster", run_ftpcluster },
	{ "ups", run_ups }, { "layers", run_layers }, /* not one of the five: any of them together */
};

int
run_language(struct run *r)
{
	for (size_t i = 0; i < sizeof(runners) / sizeof(runners[0]); i++)
		if (strcmp(r->row->dialect, runners[i].dialect) == 0)
			return runners[i].run(r);
	snprintf(r->why, sizeof(r->why), "unknown dialect");
	return SKIP;
}
