/*
 * Accounts whose password is empty, or a hash that nothing here can compute, in those sources of the configuration
 * that can be listed: for check and lint.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/account.h"
#include "account/cluster.h"
#include "account/password.h"
#include "common/fdutil.h"
#include "common/str.h"
#include "ctl/policy.h"

#define PASSWD_SIZE_MAX	(64u << 20)
#define FILES_MAX	32	/* password files of listeners; more are not looked at */

static const char clear[] = "{CLEAR}";

struct search {
	empty_found *found;
	void *context;
	const char *database;
	char *files[FILES_MAX];	/* looked into already */
	size_t file_count;
};

bool
empty_password(const struct account *a)
{
	if (a->verifier != NULL)
		return strcmp(a->verifier, clear) == 0 || (a->verifier_kind == VERIFY_CLEAR && a->verifier[0] == '\0');
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, "password") == 0 && strcmp(a->pairs[i].value, clear) == 0)
			return true;
	return false;
}

/* Of the text of a key password: a hash, or in clear behind {CLEAR}; a star or an exclamation mark locks. */
static enum password_fault
fault_of(const char *password)
{
	if (strcmp(password, clear) == 0)
		return FAULT_EMPTY;
	if (password[0] == '\0' || password[0] == '!' || password[0] == '*' || strncmp(password, clear, strlen(clear)) == 0)
		return FAULT_NONE;
	return password_computable(password) ? FAULT_NONE : FAULT_UNUSABLE;
}

/* ------------------------------------------------------------------- ftpcluster's files */

/* There everything else is a password in clear. */
static enum password_fault
fault_of_row(const struct cluster_row *row)
{
	char text[PASSWORD_HASH_MAX];
	bool hash = str_format(text, sizeof text, "%.*s", (int)row->password_len, row->password) == 0 &&
	    password_is_hash(text);
	enum password_fault fault = row->password_len == 0 ? FAULT_EMPTY : hash ? fault_of(text) : FAULT_NONE;

	explicit_bzero(text, sizeof text);
	return fault;
}

static void
look_at_text(const struct search *s, const char *path, const char *text)
{
	struct cluster_row row;
	unsigned line = 0;
	char name[ACCOUNT_NAME_MAX + 1];

	while (cluster_next(&text, &line, &row, NULL))
		if (fault_of_row(&row) != FAULT_NONE && str_format(name, sizeof name, "%.*s", (int)row.name_len, row.name) == 0)
			s->found(s->context, path, row.line, name, fault_of_row(&row));
}

/* A file that cannot be read is no business of ours: the server's start tells of it. */
static void
look_at_file(struct search *s, const char *path)
{
	char *text = NULL;
	size_t len;
	int fd;

	for (size_t i = 0; i < s->file_count; i++)
		if (strcmp(s->files[i], path) == 0)
			return;
	if (s->file_count == FILES_MAX)
		return;
	s->files[s->file_count] = strdup(path);
	if (s->files[s->file_count] == NULL)
		return;
	s->file_count++;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fd_read_file(fd, PASSWD_SIZE_MAX, &text, &len) == 0) {
		look_at_text(s, path, text);
		explicit_bzero(text, len);
	}
	free(text);
	if (fd >= 0)
		close(fd);
}

/* -------------------------------------------------------------------------- databases */

static int
look_at_account(void *context, const struct account *a)
{
	const struct search *s = context;

	enum password_fault fault = empty_password(a) ? FAULT_EMPTY : a->verifier == NULL ? FAULT_NONE : fault_of(a->verifier);

	if (fault != FAULT_NONE)
		s->found(s->context, s->database, 0, a->name, fault);
	return 0;
}

static void
look_at_database(struct search *s, const struct conf *conf)
{
	const struct account_source *source = account_source_named("database");
	void *state = NULL;

	s->database = conf_server(conf)->accounts_database;
	if (source == NULL || access(s->database, R_OK) != 0 || source->open(conf, &state) != 0)
		return;
	(void)source->list(state, look_at_account, s);
	source->close(state);
}

/* Sections: empty passwords there are found with the configuration's other mistakes. */
static void
look_at_sections(const struct search *s, const struct conf *conf)
{
	for (const struct conf_section *a = NULL; (a = conf_section_next(conf, SC_ACCOUNT, a)) != NULL;) {
		const struct conf_subject subject = { .user = conf_section_name(a) };
		struct conf_resolved r;

		if (!conf_section_sets(a, K_password) || conf_resolve(conf, &subject, &r) != 0)
			continue;
		if (r.s.password != NULL && fault_of(r.s.password) == FAULT_UNUSABLE)
			s->found(s->context, r.origin[K_password].file, r.origin[K_password].line, subject.user, FAULT_UNUSABLE);
		conf_resolved_free(&r);
	}
}

static bool
has(const struct settings *set, const char *source)
{
	for (size_t i = 0; i < set->accounts.n; i++)
		if (str_same(set->accounts.v[i], source))
			return true;
	return false;
}

static void
look_at_settings(struct search *s, const struct settings *set, bool *database)
{
	*database |= has(set, "database");
	if (has(set, "passwd_file") && set->passwd_file != NULL)
		look_at_file(s, set->passwd_file);
}

void
empty_passwords(const struct conf *conf, empty_found *found, void *context)
{
	struct search s = { .found = found, .context = context };
	bool database = false;

	look_at_settings(&s, conf_server(conf), &database);
	for (const struct conf_section *l = NULL; (l = conf_section_next(conf, SC_LISTENER, l)) != NULL;) {
		const struct conf_subject subject = { .listener = conf_section_name(l) };
		struct conf_resolved r;

		if (conf_resolve(conf, &subject, &r) != 0)
			continue;
		look_at_settings(&s, &r.s, &database);
		conf_resolved_free(&r);
	}
	look_at_sections(&s, conf);
	if (database)
		look_at_database(&s, conf);
	while (s.file_count > 0)
		free(s.files[--s.file_count]);
}

static void
add_problem(void *context, const char *file, unsigned line, const char *name, enum password_fault fault)
{
	bool empty = fault == FAULT_EMPTY;
	char what[600];

	(void)str_format(what, sizeof what, "%.400s has %s", name, empty ? "an empty password" EMPTY_MEANS
	    : "a hash of no kind that can be computed here: no password fits");
	conf_problem_add(context, CONF_WARNING, file == NULL ? "" : file, line, "account", what,
	    empty ? EMPTY_REMEDY : "sallyctl passwd-hash makes one; a star locks the account");
}

void
empty_passwords_check(struct conf *conf)
{
	empty_passwords(conf, add_problem, conf);
}
