/*
 * sallyportd serve DIR: a folder shared by whoever calls it, without root and
 * without a configuration file.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "daemon/listener/commands.h"

#define DEFAULT_PORT "2121"

struct share {
	char root[PATH_MAX];
	const char *port, *address;
	const char *certificate, *key;	/* NULL: no TLS; the certificate's file may hold the key too */
	char user[64], password[256];	/* user "": anonymous */
	bool read_only;
};

static int
complain(const char *what, const char *about)
{
	fprintf(stderr, "sallyportd serve: %s%s%s\n", what, about == NULL ? "" : ": ", about == NULL ? "" : about);
	return SP_EXIT_USAGE;
}

static int
take_user(struct share *x, char *text)
{
	char *colon = strchr(text, ':');

	if (colon == NULL || colon == text || colon[1] == '\0' || (size_t)(colon - text) >= sizeof x->user)
		return complain("--user wants NAME:PASSWORD", NULL);
	memcpy(x->user, text, (size_t)(colon - text));
	if (str_copy(x->password, sizeof x->password, colon + 1) != 0)
		return complain("the password is too long", NULL);
	/* Others see the command line of a process. */
	explicit_bzero(colon + 1, strlen(colon + 1));
	return 0;
}

static int
take_folder(struct share *x, const char *text)
{
	struct stat st;

	if (realpath(text, x->root) == NULL || stat(x->root, &st) < 0)
		return complain(text, strerror(errno));
	return S_ISDIR(st.st_mode) ? 0 : complain(text, "not a folder");
}

static bool
is_port(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= 1 && n <= 65535;
}

static int
parse(struct share *x, int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' }, { "address", required_argument, NULL, 'a' }, { "user", required_argument, NULL, 'u' },
		{ "read-only", no_argument, NULL, 'r' }, { "certificate", required_argument, NULL, 'c' },
		{ "private-key", required_argument, NULL, 'k' }, { NULL, 0, NULL, 0 },
	};
	int c, r = 0;

	optind = 0;
	while (r == 0 && (c = getopt_long(argc, argv, "p:a:u:rc:k:", options, NULL)) != -1)
		if (c == 'p')
			x->port = optarg;
		else if (c == 'a')
			x->address = optarg;
		else if (c == 'r')
			x->read_only = true;
		else if (c == 'c')
			x->certificate = optarg;
		else if (c == 'k')
			x->key = optarg;
		else
			r = c == 'u' ? take_user(x, optarg) : SP_EXIT_USAGE;
	if (r == 0 && optind != argc - 1)
		r = complain("one folder is wanted", NULL);
	if (r == 0 && !is_port(x->port))
		r = complain("--port wants a number from 1 to 65535", x->port);
	return r != 0 ? r : take_folder(x, argv[optind]);
}

struct setting {
	enum conf_scope kind;
	const char *name, *key, *value;
};

static int
set_all(struct conf *c, const struct setting *all, size_t n)
{
	char why[256];

	for (size_t i = 0; i < n; i++)
		if (all[i].value != NULL &&
		    conf_set(c, all[i].kind, all[i].name, all[i].key, all[i].value, why, sizeof why) != 0)
			return complain(all[i].key, why);
	return 0;
}

/* root serves as the folder's owner, or as the ordinary user nobody when that is root too; never with root's group. */
static void
find_runner(char *text, size_t size, const char *root)
{
	struct stat st = { 0 };
	const struct passwd *user;
	gid_t gid;

	(void)stat(root, &st);
	user = st.st_uid == 0 ? getpwnam("nobody") : getpwuid(st.st_uid);
	gid = user != NULL ? user->pw_gid : st.st_gid;
	if (st.st_uid != 0 && gid == 0)
		gid = (gid_t)st.st_uid;
	if (st.st_uid != 0 || user != NULL)
		(void)str_format(text, size, "%lu:%lu", (unsigned long)(st.st_uid != 0 ? st.st_uid : user->pw_uid),
		    (unsigned long)gid);
}

int
serve_configuration(struct conf *c, int argc, char **argv)
{
	struct share x = { .port = DEFAULT_PORT, .address = "*" };
	char listen[128], password[300] = "", runner[64] = "";
	const char *account = "anonymous";
	int r = parse(&x, argc, argv);

	if (r != 0)
		return r;
	if (str_format(listen, sizeof listen, strchr(x.address, ':') == NULL || x.address[0] == '[' ? "%s:%s" : "[%s]:%s",
	    x.address, x.port) != 0)
		return complain("not an address", x.address);
	if (x.user[0] != '\0') {
		account = x.user;
		(void)str_format(password, sizeof password, "{CLEAR}%s", x.password);
	}
	if (geteuid() == 0)
		find_runner(runner, sizeof runner, x.root);
	const struct setting all[] = {
		{ SC_SERVER, NULL, "listen", listen },
		{ SC_SERVER, NULL, "accounts", x.user[0] == '\0' ? "anonymous" : "config" },
		{ SC_SERVER, NULL, "sandbox", "best_effort" },
		{ SC_SERVER, NULL, "uid_min", "1" },
		{ SC_SERVER, NULL, "spare_sessions_min", "2" },
		{ SC_TLS, NULL, "certificate", x.certificate },
		{ SC_TLS, NULL, "private_key", x.key },
		{ SC_ACCOUNT, account, "home", x.root },
		{ SC_ACCOUNT, account, "password", password[0] == '\0' ? NULL : password },
		{ SC_ACCOUNT, account, "run_as", runner[0] == '\0' ? NULL : runner },
		{ SC_ACCOUNT, account, "layer", x.read_only || x.user[0] == '\0' ? "pyftpdlib elr" : "pyftpdlib elradfmwMT" },
	};
	r = set_all(c, all, sizeof all / sizeof all[0]);
	explicit_bzero(x.password, sizeof x.password);
	explicit_bzero(password, sizeof password);
	return r;
}

/* An address to connect to, also where the server listens on all of this machine's. */
static void
find_url(char *url, size_t size, const char *listen)
{
	const char *port = strrchr(listen, ':');
	const bool any = listen[0] == '*' || strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0;

	if (any)
		(void)str_format(url, size, "ftp://localhost%s/", port == NULL ? "" : port);
	else
		(void)str_format(url, size, "ftp://%s/", listen);
}

void
serve_say(const struct conf *c)
{
	const struct conf_section *account = conf_section_next(c, SC_ACCOUNT, NULL);
	const struct settings *s = conf_server(c);
	char url[160] = "", user[100] = "";

	find_url(url, sizeof url, s->listen.v[0]);
	if (account != NULL && strcmp(conf_section_name(account), "anonymous") != 0)
		(void)str_format(user, sizeof user, "--user %s ", conf_section_name(account));
	fprintf(stderr, "sallyportd: serving on %s; stop with Ctrl-C. Try it from another terminal:\n    curl %s%s\n",
	    s->listen.v[0], user, url);
	if (s->certificate.n > 0)
		fprintf(stderr, "    curl %s--ssl-reqd --cacert %s %s\n"
		    "    lftp -e 'set ssl:ca-file %s; set ftp:ssl-force yes; open %s%s; ls'\n", user, s->certificate.v[0], url,
		    s->certificate.v[0], user, url);	/* open last: lftp connects to an URL of its own before -e */
	if (geteuid() != 0)
		fprintf(stderr, "sallyportd: without root every process runs as uid %lu: system call filters, and Landlock where it works, "
		    "separate them, users do not\n", (unsigned long)geteuid());
}
