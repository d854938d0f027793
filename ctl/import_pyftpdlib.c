/* pyftpdlib: the text form of its authorizers (sallyport-migration(7)) becomes accounts with their letters. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
#include "authz/pyftpdlib_file.h"
#include "common/secret.h"
#include "common/str.h"
#include "ctl/ctl.h"

#define LAYER_MAX 65536

static FILE *out;			/* where the configuration goes: memory */

/* Control bytes have no place in a configuration. */
static void
put(const char *text)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, out);
}

/* A key with a value of one line. */
static void
say(const char *key, const char *value)
{
	if (value != NULL && *value != '\0') {
		fprintf(out, "%s = ", key);
		put(value);
		fputc('\n', out);
	}
}

static void
say_list(const char *key, const struct pyftpdlib_names *l)
{
	if (l->n > 0)
		fprintf(out, "%s =", key);
	for (size_t i = 0; i < l->n; i++) {
		fprintf(out, "%s ", i > 0 ? "," : "");
		put(l->v[i]);
	}
	if (l->n > 0)
		fputc('\n', out);
}

/* The letters, and the overrides on lines below. */
static void
say_layer(const struct pyftpdlib_file *f, const char *user)
{
	static char text[LAYER_MAX];
	char *rest = text, *line;

	if (!pyftpdlib_file_layer(f, user, text, sizeof(text)))
		return;
	fprintf(out, "layer = pyftpdlib ");
	for (bool first = true; (line = strsep(&rest, "\n")) != NULL; first = false)
		if (*line != '\0') {
			fputs(first ? "" : "    ", out);
			put(line);
			fputc('\n', out);
		}
}

/* Passwords stand in clear there, and are hashed here. */
static int
say_password(const char *clear)
{
	char hash[PASSWORD_HASH_MAX];
	struct secret s;
	int r = secret_set(&s, clear, strlen(clear));

	if (r == 0 && !password_storable(&s)) {
		fputs("# The password is empty there; none is right here until sallyctl passwd-hash has made one.\n"
		      "password = *\n",
		    out);
		return 0;
	}
	if (r == 0)
		r = password_make(&s, hash, sizeof(hash));
	secret_clear(&s);
	if (r == 0)
		fprintf(out, "password = %s\n", hash);
	return r;
}

static int
say_account(const struct pyftpdlib_file *f, const struct pyftpdlib_account *a, bool system)
{
	int r = 0;

	fprintf(out, "\n[account ");
	put(a->name);
	fputs("]\n", out);
	if (a->password != NULL && !a->any_password)
		r = say_password(a->password);
	say("home", a->home);
	if (!system)
		fputs("# pyftpdlib did everything as its own user: name the one this account shall be.\nrun_as = ftp\n",
		    out);
	say("login_message", a->login_message);
	say("goodbye_message", a->quit_message);
	say_layer(f, a->name);
	return r;
}

static void
say_server(const struct pyftpdlib_file *f)
{
	const struct pyftpdlib_system *s = pyftpdlib_file_system(f);
	const struct pyftpdlib_account *a = NULL;
	bool anonymous = s->anonymous_user != NULL;

	while ((a = pyftpdlib_file_next(f, a)) != NULL)
		anonymous |= a->any_password;
	fprintf(out, "[server]\naccounts = config%s%s\n", s->used ? ", pam" : "", anonymous ? ", anonymous" : "");
	if (!s->used)
		return;
	fprintf(out, "require_valid_shell = %s\n", s->valid_shell && !s->windows ? "yes" : "no");
	say_list("allowed_users", &s->allowed);
	say_list("rejected_users", &s->rejected);
	say("anonymous_user", s->anonymous_user);
	say("login_message", s->login_message);
	say("goodbye_message", s->quit_message);
	fprintf(out, "default_layer = pyftpdlib ");
	put(s->letters != NULL && *s->letters != '\0' ? s->letters : s->letters != NULL ? "-" : "elradfmwMT");
	fputc('\n', out);
}

static int
say_all(const struct pyftpdlib_file *f, char **text)
{
	const struct pyftpdlib_account *a = NULL;
	size_t size;
	int r = 0;

	*text = NULL;
	if ((out = open_memstream(text, &size)) == NULL)
		return -ENOMEM;
	say_server(f);
	while ((a = pyftpdlib_file_next(f, a)) != NULL && r == 0)
		r = say_account(f, a, pyftpdlib_file_system(f)->used);
	return fclose(out) != 0 && r == 0 ? -ENOMEM : r;
}

/* As the other imports print it. */
static int
print(const struct invocation *inv, const struct pyftpdlib_file *f)
{
	struct json j;
	char *text;
	int r = say_all(f, &text), code = CTL_OK;

	if (r != 0)
		code = ctl_fail_code(inv, CTL_FAILED, inv->argv[0], r);
	else if (!inv->json)
		fputs(text, stdout);
	else {
		json_init(&j);
		json_open(&j, NULL, '{');
		json_str(&j, "configuration", text);
		json_open(&j, "lost", '[');
		json_close(&j);
		json_close(&j);
		code = ctl_print_json(inv, &j);
	}
	free(text);
	return code;
}

static char *
read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (in != NULL && getdelim(&text, &size, '\0', in) < 0 && ferror(in)) {
		free(text);
		text = NULL;
	}
	if (in != NULL)
		fclose(in);
	return text;
}

/* Is it Python instead of what was asked for? */
static bool
is_program(const char *text)
{
	return strncmp(text, "#!", 2) == 0 || strncmp(text, "import ", 7) == 0 || strncmp(text, "from ", 5) == 0 ||
	    strstr(text, "\nimport ") != NULL || strstr(text, "\nfrom ") != NULL ||
	    strstr(text, ".add_user(") != NULL || strstr(text, ".add_anonymous(") != NULL;
}

int
import_pyftpdlib_command(struct invocation *inv)
{
	struct authz_problems problems = { 0 };
	struct pyftpdlib_file *f;
	char *text = read_file(inv->argv[0]);
	int code = CTL_CONFIG;

	if (text == NULL)
		return ctl_fail_code(inv, CTL_FAILED, inv->argv[0], errno != 0 ? -errno : -ENODATA);
	if (is_program(text)) {
		free(text);
		return ctl_fail(inv, CTL_CONFIG,
		    "%s is a program, which is not run here: write its calls down, a line each, such as "
		    "\"user NAME PASSWORD HOME LETTERS\" for add_user; see PYFTPDLIB in sallyport-migration(7)",
		    inv->argv[0]);
	}
	f = pyftpdlib_file_read(text, inv->argv[0], NULL, &problems);
	for (size_t i = 0; i < problems.count && i < AUTHZ_PROBLEMS_MAX; i++)
		(void)ctl_fail(inv, CTL_CONFIG, "%s:%u: %s%s", problems.list[i].file, problems.list[i].line,
		    problems.list[i].warning ? "warning: " : "", problems.list[i].text);
	if (f != NULL && pyftpdlib_file_errors(f) == 0)
		code = print(inv, f);
	pyftpdlib_file_free(f);
	authz_problems_clear(&problems);
	free(text);
	return code;
}
