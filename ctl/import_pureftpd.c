/* pure-ftpd: pure-ftpd.conf with a directive a line, or Debian's folder with a file a directive. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/str.h"
#include "ctl/import.h"

static void
take_line(struct import *im, char *text, unsigned number)
{
	char *value = text + strcspn(text, " \t");

	if (*value != '\0')
		*value++ = '\0';
	import_directive(im, text, value + strspn(value, " \t"), number);
}

/* The file's name is the directive, its first line the value. */
static void
take_file(struct import *im, const char *folder, const char *name)
{
	char path[4096], value[1024] = "";
	FILE *in;

	if (name[0] == '.' || str_format(path, sizeof(path), "%s/%s", folder, name) != 0)
		return;
	if ((in = fopen(path, "re")) == NULL) {
		import_closed(im, IMPORT_SERVER, 0, name, "", "its file cannot be read");
		return;
	}
	if (fgets(value, sizeof(value), in) == NULL)
		value[0] = '\0';
	value[strcspn(value, "\r\n")] = '\0';
	for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
		value[n - 1] = '\0';
	import_directive(im, name, value + strspn(value, " \t"), 1);
	fclose(in);
}

static int
read_place(struct import *im, const char *path)
{
	struct dirent **list;
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return import_lines(im, path, take_line);
	if ((n = scandir(path, &list, NULL, alphasort)) < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		take_file(im, path, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}

/* Two numbers of a directive, separated by any of these. */
static bool
pair(const struct import *im, const char *name, const char *separators, char a[32], char b[32])
{
	const char *value = import_value(im, name);
	size_t n;

	a[0] = b[0] = '\0';
	if (value == NULL)
		return false;
	n = strcspn(value, separators);
	(void)str_format(a, 32, "%.*s", (int)n, value);
	value += n + strspn(value + n, separators);
	(void)str_format(b, 32, "%.*s", (int)strcspn(value, separators), value);
	return true;
}

/*
 * What switches take away: letters of a user permission string. KeepAllFiles is about files and deleting only, so
 * folders and overwriting stay; AutoRename gives an upload another name instead of overwriting.
 */
static const struct {
	const char *name, *letters;
} taken[] = { { "NoRename", "n" }, { "NoChmod", "o" }, { "KeepAllFiles", "d" }, { "AutoRename", "m" } };

static void
finish_layer(struct import *im)
{
	char letters[32] = "";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (import_yes(im, taken[i].name, false))
			n += (size_t)snprintf(letters + n, sizeof(letters) - n, "%s", taken[i].letters);
	if (n == 0)
		import_set(im, IMPORT_SERVER, "default_layer", "posix1e");
	else
		import_set(im, IMPORT_SERVER, "default_layer", "ups +* -%s", letters);
	if (import_yes(im, "AutoRename", false))
		import_useless(im, import_line(im, "AutoRename"), "AutoRename", "yes",
		    "uploads to a name that is taken are refused; clients may use STOU");
}

/* They are always in a root of their own, and names that begin with a dot are not for them. */
static void
finish_anonymous(struct import *im)
{
	bool upload = !import_yes(im, "AnonymousCantUpload", false),
	     folders = upload && import_yes(im, "AnonymousCanCreateDirs", false);

	import_set(im, IMPORT_ANONYMOUS, "jail", "yes");
	import_anonymous(im, folders ? "cM" : upload ? "c" : "", "");
	import_add(im, IMPORT_ANONYMOUS, "layer", "sftpplus allow-full-control\n\tm/.*\\/\\..*/, deny-full-control");
}

static void
finish_accounts(struct import *im)
{
	const char *external = import_value(im, "ExtAuth"), *base = import_value(im, "PureDB");
	bool anonymous = !import_yes(im, "NoAnonymous", false), only = import_yes(im, "AnonymousOnly", false);
	bool pam = !only && import_yes(im, "PAMAuthentication", false),
	     unix_users = !only && import_yes(im, "UnixAuthentication", false);
	char sources[128];

	(void)str_format(sources, sizeof(sources), "%s%s%s%s%s", base != NULL ? ", database" : "",
	    external != NULL ? ", external" : "", pam ? ", pam" : "", unix_users ? ", shadow" : "",
	    anonymous ? ", anonymous" : "");
	import_set(im, IMPORT_SERVER, "accounts", "%s", sources[0] != '\0' ? sources + 2 : "config");
	finish_layer(im);
	import_set(im, IMPORT_SERVER, "jail", "%s", import_yes(im, "ChrootEveryone", false) ? "yes" : "no");
	import_set(im, IMPORT_SERVER, "hide_dot_files", "%s", import_yes(im, "DisplayDotFiles", false) ? "no" : "yes");
	if (external != NULL)
		import_set(im, IMPORT_SERVER, "external_socket", "%s", external);
	if (base != NULL)
		import_lost(
		    im, 0, "PureDB", base, "sallyctl account import reads the pureftpd.passwd that it was made from");
	if (anonymous)
		finish_anonymous(im);
}

static void
finish_limits(struct import *im)
{
	const char *clients = import_value(im, "MaxClientsNumber");
	char a[32], b[32];

	import_set(im, IMPORT_SERVER, "max_sessions", "%s", clients != NULL ? clients : "50");
	if (pair(im, "LimitRecursion", " \t", a, b)) {
		import_set(im, IMPORT_SERVER, "list_max_entries", "%s", a);
		if (b[0] != '\0')
			import_set(im, IMPORT_SERVER, "list_max_depth", "%s", b);
	}
	if (pair(im, "PerUserLimits", ":", a, b)) {
		import_set(im, IMPORT_SERVER, "max_sessions_per_user", "%s", a);
		import_set(im, IMPORT_ANONYMOUS, "max_sessions_per_user", "%s", b);
	}
	if (pair(im, "Quota", ":", a, b)) {
		import_set(im, IMPORT_EVERYBODY, "members", "all");
		import_set(im, IMPORT_EVERYBODY, "quota_files", "%s", a);
		import_set(im, IMPORT_EVERYBODY, "quota_bytes", "%sM", b);
	}
	/* "up:down", which together are the ratio of everybody or of anonymous clients. */
	for (int i = 0; i < 2; i++)
		if (pair(im, i == 0 ? "UserRatio" : "AnonymousRatio", " \t:", a, b)) {
			import_set(im, i == 0 ? IMPORT_EVERYBODY : IMPORT_ANONYMOUS, "ratio_up", "%s", a);
			import_set(im, i == 0 ? IMPORT_EVERYBODY : IMPORT_ANONYMOUS, "ratio_down", "%s", b);
		}
	/* KB a second: "up:down", an empty one is no limit, one number is for both. */
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "UserBandwidth" : "AnonymousBandwidth", *value = import_value(im, name);
		enum import_place place = i == 0 ? IMPORT_SERVER : IMPORT_ANONYMOUS;

		if (!pair(im, name, ":", a, b))
			continue;
		if (a[0] != '\0')
			import_set(im, place, "rate_up", "%sK", a);
		if (b[0] != '\0' || strchr(value, ':') == NULL)
			import_set(im, place, "rate_down", "%sK", b[0] != '\0' ? b : a);
	}
}

static void
finish_network(struct import *im)
{
	char a[32], b[32];
	bool bound = pair(im, "Bind", ",", a, b);

	import_listen(im,
	    bound && a[0] != '\0'               ? a
	    : import_yes(im, "IPV4Only", false) ? "0.0.0.0"
						: NULL,
	    bound && b[0] != '\0' ? b : NULL);
	if (import_yes(im, "IPV6Only", false))
		import_lost(im, 0, "IPV6Only", "yes", "listen on the IPv6 addresses themselves");
	if (pair(im, "PassivePortRange", " \t:", a, b))
		import_set(im, IMPORT_SERVER, "passive_ports", "%s-%s", a, b);
}

static void
finish_tls(struct import *im)
{
	static const char *const modes[] = { "off", "offer", "control", "full" };
	const char *mode = import_value(im, "TLS"), *cert = import_value(im, "CertFile");
	char a[32], b[32];
	unsigned n = mode != NULL && strspn(mode, "0123") == 1 ? (unsigned)(mode[0] - '0') : 0;

	import_set(im, IMPORT_TLS, "tls", "%s", modes[n]);
	if (n == 0)
		return;
	if (pair(im, "CertFileAndKey", " \t,", a, b) && b[0] != '\0')
		import_lost(im, 0, "CertFileAndKey", import_value(im, "CertFileAndKey"),
		    "write them as certificate and private_key in [tls]");
	cert = cert != NULL ? cert : "/etc/ssl/private/pure-ftpd.pem";
	import_set(im, IMPORT_TLS, "certificate", "%s", cert);
	import_set(im, IMPORT_TLS, "private_key", "%s", cert);
}

static void
finish(struct import *im)
{
	const char *log = import_value(im, "AltLog");
	char files[32], folders[32];
	unsigned long mask;

	finish_accounts(im);
	finish_limits(im);
	finish_network(im);
	finish_tls(im);
	if (pair(im, "Umask", " \t:", files, folders)) {
		/* It makes files as others make folders: executable unless the mask says no. */
		const char *both[] = { files, folders[0] != '\0' ? folders : files };

		import_set(im, IMPORT_SERVER, "umask", "000");
		for (int i = 0; i < 2; i++)
			if (import_mode(im, "Umask", both[i], &mask))
				import_set(im, IMPORT_SERVER, i == 0 ? "file_mode" : "dir_mode", "%04lo", 0777 & ~mask);
	}
	if (log != NULL && strncmp(log, "xferlog:", 8) == 0)
		import_set(im, IMPORT_SERVER, "xferlog", "%s", log + 8);
	else if (log != NULL)
		import_lost(im, 0, "AltLog", log, "the format of xferlog and the audit log are written");
}

const struct import_server import_pureftpd = { "pureftpd", read_place, finish };
