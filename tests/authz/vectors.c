/*
 * vectors FILE...: runs the rows of vector files (tab-separated: dialect, id,
 * policy, user, command, path, expected, source, note; \n \t \\ are escapes)
 * through the engine.  Prints the ids that fail with what the engine said, and
 * last "N passed, N failed, N skipped".  Exit status 0 when none failed.
 */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/cluster.h"
#include "authz/authz.h"
#include "authz/kernel.h"
#include "authz/pyftpdlib_file.h"
#include "common/log.h"
#include "common/str.h"
#include "tests/authz/posix1e.h"
#include "tests/authz/world.h"

struct row {
	const char *dialect, *id, *policy, *user, *command, *path, *expected;
};

struct run {
	const struct row *row;
	struct world world;
	struct authz_policy *policy;
	char why[1024];
};

enum { DENY, ALLOW, SKIP = -1 };

/* -------------------------------------------------------------- one question */

/* Operations that act on a link itself. */
static bool
follows(enum authz_op op)
{
	return op != AUTHZ_OP_DELE && op != AUTHZ_OP_RNFR && op != AUTHZ_OP_RNTO && op != AUTHZ_OP_RMD &&
	    op != AUTHZ_OP_READLINK && op != AUTHZ_OP_SYMLINK && op != AUTHZ_OP_MKD;
}

static bool
ask(struct run *r, enum authz_op op, const char *typed)
{
	char path[4096], resolved[4096];
	struct authz_object o = { .path = path };
	struct authz_verdict v;
	bool allow;

	o.kind = world_walk(&r->world, typed, follows(op), path, resolved);
	if (strcmp(path, resolved) != 0)
		o.resolved = resolved;
	allow = authz_decide(r->policy, op, &o, &v);
	authz_reason(r->policy, &o, &v, r->why, sizeof(r->why));
	return allow;
}

/* "a -> b" */
static bool
split_pair(const char *path, char *first, char *second)
{
	const char *arrow = strstr(path, " -> ");

	if (!arrow)
		return false;
	snprintf(first, 4096, "%.*s", (int)(arrow - path), path);
	snprintf(second, 4096, "%s", arrow + 4);
	return true;
}

/* Every member of a folder is judged on its own path. */
static bool
ask_recursive(struct run *r, const char *path)
{
	for (size_t i = 0; i < r->world.object_count; i++) {
		const struct world_object *o = &r->world.objects[i];
		size_t n = strlen(path);

		if (strncmp(o->path, path, n) == 0 && (o->path[n] == '/' || o->path[n] == '\0') &&
		    !ask(r, o->kind == AUTHZ_FOLDER ? AUTHZ_OP_RMD : AUTHZ_OP_DELE, o->path))
			return false;
	}
	return true;
}

/* The operation of a command that may carry arguments: "SITE CHMOD 600". */
static int
find_op(const char *command)
{
	char copy[256];
	int op;

	str_copy(copy, sizeof(copy), command);
	while ((op = authz_command(copy)) == AUTHZ_UNKNOWN_COMMAND) {
		char *cut = strrchr(copy, ' ');

		if (!cut)
			break;
		*cut = '\0';
	}
	return op;
}

static int
ask_command(struct run *r, const char *command, const char *path)
{
	char first[4096], second[4096];
	int op = find_op(command);
	bool pair = split_pair(path, first, second);

	if (strcmp(command, "RNFR+RNTO") == 0)
		return pair && ask(r, AUTHZ_OP_RNFR, first) && ask(r, AUTHZ_OP_RNTO, second);
	if (strcmp(command, "SITE COPY") == 0 || strcmp(command, "CPFR+CPTO") == 0)
		return pair && ask(r, AUTHZ_OP_RETR, first) && ask(r, AUTHZ_OP_STOR, second);
	if (strcmp(command, "RMDA") == 0 || strcmp(command, "SITE RMDIR") == 0)
		return ask_recursive(r, path);
	if (op == AUTHZ_UNKNOWN_COMMAND) {
		snprintf(r->why, sizeof(r->why), "unknown command");
		return SKIP;
	}
	/* pyftpdlib's STAT takes no wild cards (dialects 2.3). */
	if (strcmp(command, "STAT") == 0 && strcmp(r->row->dialect, "pyftpdlib") == 0 && strpbrk(path, "*?["))
		return DENY;
	/* STAT without a path tells the server's state. */
	if (op == AUTHZ_NEVER_GATED || (strcmp(command, "STAT") == 0 && strcmp(path, "-") == 0))
		return ALLOW;
	if (strcmp(command, "CDUP") == 0 || strcmp(command, "XCUP") == 0) {
		snprintf(first, sizeof(first), "%s/..", path);
		return ask(r, op, strcmp(path, "-") == 0 ? "/" : first);
	}
	if (op == AUTHZ_OP_STOU && strcmp(path, "-") == 0)
		return ask(r, op, "/sallyport.1");
	return ask(r, op, pair ? second : path);
}

/* ------------------------------------------------------------------ policies */

static int
compile(struct run *r, const struct authz_source *sources, size_t n, uint32_t dialect_uid, const char *home)
{
	struct authz_problems problems = { 0 };
	struct authz_subject who = {
		.user = r->row->user, .dialect_uid = dialect_uid, .may_change_password = true, .home = home
	};
	struct authz_tree tree;
	int errors;

	who.group_names = (const char *const *)r->world.groups;
	who.group_name_count = r->world.group_count;
	world_tree(&r->world, &tree);
	r->policy = authz_compile(sources, n, &who, &tree, &problems);
	if (!r->policy)
		exit(2);
	if (r->world.uploaded)
		authz_set_last_upload(r->policy, r->world.uploaded);
	errors = (int)problems.errors;
	if (errors)
		snprintf(r->why, sizeof(r->why), "%s:%u:%u: %.190s", problems.list[0].file, problems.list[0].line,
		    problems.list[0].column, problems.list[0].text);
	authz_problems_clear(&problems);
	return errors;
}

static int
decide(struct run *r, int errors)
{
	if (strcmp(r->row->command, "LOAD") == 0)
		return errors == 0;
	if (errors)
		return DENY;
	return ask_command(r, r->row->command, r->row->path);
}

/* ----------------------------------------------------------------- pyftpdlib */

/* Homes of the rows stand below /home; what a fixture names stands below each of them. */
static bool
home_exists(const char *path)
{
	static const char *const absent[] = { "missing", "nonexist", "nosuch", "no-such", "nowhere", "absent", "nope" };

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (strcasestr(path, absent[i]))
			return false;
	return strncmp(path, "/home/", 6) == 0 || strncmp(path, "/srv/", 5) == 0;
}

static bool
py_is_folder(void *context, const char *path)
{
	const struct run *r = context;
	const char *below = path;
	const struct world_object *o;

	if (!home_exists(path))
		return false;
	for (int slashes = 0; *below && slashes < 3; below++)
		slashes += *below == '/';
	if (*below == '\0')
		return true;
	o = world_find(&r->world, below - 1);
	return o && o->kind == AUTHZ_FOLDER;
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

	if (strncmp(r->row->command, "PASS ", 5) == 0)
		answer = pyftpdlib_file_login(f, r->row->user, r->row->command + 5);
	else if (errors || strcmp(r->row->command, "LOAD") == 0)
		answer = decide(r, errors);
	else if (!pyftpdlib_file_layer(f, r->row->user, layer, sizeof(layer)))
		answer = DENY;
	else {
		source.text = layer;
		answer = decide(r, compile(r, &source, 1, AUTHZ_NOBODY, pyftpdlib_file_home(f, r->row->user)));
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
	return decide(r, compile(r, sources, n, AUTHZ_NOBODY, NULL));
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

static int
cluster_account_command(struct run *r, const char *command, const char *passwd)
{
	char args[3][256] = { "", "", "" };
	struct cluster_row other;
	struct authz_verdict v;
	int count = sscanf(r->row->path, "%255s %255s %255s", args[0], args[1], args[2]);
	bool known = cluster_find(passwd, args[0], &other);

	if (strcmp(command, "SITE USERADD") == 0)
		return authz_decide(r->policy, AUTHZ_OP_USERADM, NULL, &v) && count >= 2 && !known &&
		    cluster_name_ok(args[0]);
	if (count < 2 || strcmp(args[0], r->row->user) == 0)
		return authz_decide(r->policy, AUTHZ_OP_PASSWD, NULL, &v);
	return authz_decide(r->policy, AUTHZ_OP_USERADM, NULL, &v) && known;
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
		return known && cluster_login(&me, command[4] ? command + 5 : "");
	if (!known && strcmp(command, "LOAD") != 0)
		return DENY;
	if (compile(r, &source, 1, known ? (uint32_t)me.number : AUTHZ_NOBODY, NULL))
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
		       ask_command(r, command, last + 1) == ALLOW;
	}
	return ask_command(r, command, r->row->path);
}

/* ------------------------------------------------------------------------ ups */

/* A row about a real file of this machine: the kernel is asked as an unprivileged user. */
static int
kernel_too(struct run *r, int answer)
{
	struct authz_subject nobody = { .user = "nobody", .uid = 65534, .gid = 65534 };
	char path[4096], resolved[4096];
	int op = find_op(r->row->command);

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

	return kernel_too(r, decide(r, compile(r, &source, 1, AUTHZ_NOBODY, NULL)));
}

/* -------------------------------------------------------------------- the file */

static const struct runner {
	const char *dialect;
	int (*run)(struct run *);
} runners[] = {
	{ "pyftpdlib", run_pyftpdlib },
	{ "sftpplus", run_sftpplus },
	{ "ftpcluster", run_ftpcluster },
	{ "ups", run_ups },
};

static int
run_row(const struct row *row, char *why, size_t size)
{
	struct run r = { .row = row };
	int answer = SKIP;

	if (strcmp(row->dialect, "posix1e") == 0)
		return posix1e_row(row->policy, row->user, row->command, row->path, why, size);
	world_read(&r.world, row->policy);
	snprintf(r.why, sizeof(r.why), "unknown dialect");
	for (size_t i = 0; i < sizeof(runners) / sizeof(runners[0]); i++)
		if (strcmp(row->dialect, runners[i].dialect) == 0) {
			r.why[0] = '\0';
			answer = runners[i].run(&r);
		}
	snprintf(why, size, "%s", r.why);
	authz_free(r.policy);
	world_free(&r.world);
	return answer;
}

/* \n, \t and \\ in place. */
static void
unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1]) {
			s++;
			*out++ = (char)(*s == 'n' ? '\n' : *s == 't' ? '\t' : *s);
		} else
			*out++ = *s;
	}
	*out = '\0';
}

static bool
read_row(char *line, struct row *row)
{
	const char **fields[] = { &row->dialect, &row->id, &row->policy, &row->user, &row->command, &row->path,
		&row->expected };
	char *rest = line;

	line[strcspn(line, "\r\n")] = '\0';
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char *field = strsep(&rest, "\t");

		if (!field)
			return false;
		unescape(field);
		*fields[i] = field;
	}
	return true;
}

struct count {
	unsigned passed, failed, skipped;
};

static void
run_line(char *line, struct count *count)
{
	struct row row;
	char why[1024] = "";
	int answer;

	if (*line == '#' || *line == '\n' || *line == '\0')
		return;
	if (!read_row(line, &row)) {
		printf("malformed line: %.60s\n", line);
		count->failed++;
		return;
	}
	answer = run_row(&row, why, sizeof(why));
	if (answer == SKIP) {
		count->skipped++;
		printf("%s: skipped: %s\n", row.id, why);
	} else if ((answer == ALLOW) == (strcmp(row.expected, "allow") == 0)) {
		count->passed++;
		if (getenv("VECTORS_VERBOSE"))
			printf("%s: %s: %s\n", row.id, row.expected, why);
	} else {
		count->failed++;
		printf("%s: failed: %s %s %s: expected %s: %s\n", row.id, row.user, row.command, row.path, row.expected,
		    why);
	}
}

static void
silent(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	(void)level;
	(void)text;
	(void)len;
}

static int
run_file(const char *name, struct count *count)
{
	FILE *in = fopen(name, "r");
	char *line = NULL;
	size_t size = 0;

	if (!in) {
		perror(name);
		return -1;
	}
	while (getline(&line, &size, in) >= 0)
		run_line(line, count);
	free(line);
	fclose(in);
	return 0;
}

int
main(int argc, char **argv)
{
	struct count count = { 0, 0, 0 };
	const char *top = getenv("top_srcdir");
	char name[4096];
	int bad = 0;

	log_set_sink(silent, NULL);
	if (argc < 2) {
		snprintf(name, sizeof(name), "%s/tests/authz/vectors.tsv", top ? top : ".");
		bad = run_file(name, &count);
	}
	for (int i = 1; i < argc; i++)
		bad |= run_file(argv[i], &count);
	posix1e_end();
	printf("%u passed, %u failed, %u skipped\n", count.passed, count.failed, count.skipped);
	return bad || count.failed ? 1 : 0;
}
