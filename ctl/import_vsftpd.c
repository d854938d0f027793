/* vsftpd.conf: key=value lines. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/import.h"

static void
take_line(struct import *im, char *text, unsigned number)
{
	char *value = strchr(text, '=');

	if (value == NULL) {
		import_lost(im, number, text, "", "not a setting");
		return;
	}
	*value++ = '\0';
	text[strcspn(text, " \t")] = '\0';
	import_directive(im, text, value + strspn(value, " \t"), number);
}

/* Settings that count although nobody has written them, where ours are others. vsftpd.conf(5), version 3.0.3. */
static const struct {
	const char *name, *value;
} defaults[] = {
	{ "max_clients", "2000" },
	{ "max_per_ip", "50" },
	{ "pam_service_name", "ftp" },
	{ "local_umask", "077" },
	{ "anon_umask", "077" },
	{ "file_open_mode", "0666" },
};

static const char *
default_of(const char *name)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (strcmp(defaults[i].name, name) == 0)
			return defaults[i].value;
	return "";
}

static int
read_file(struct import *im, const char *path)
{
	/* A line of the file takes its place. */
	import_set(im, IMPORT_SERVER, "pam_service", "%s", default_of("pam_service_name"));
	return import_lines(im, path, take_line);
}

/* Modes are octal with a 0 in front only. */
static void
set_mode(struct import *im, enum import_place place, const char *name, const char *key)
{
	const char *value = import_value(im, name);

	value = value != NULL ? value : default_of(name);
	/* What is no number is for the check to refuse. */
	if (value[0] == '0' || value[0] == '\0' || strspn(value, "0123456789") != strlen(value))
		import_set(im, place, key, "%s", value);
	else
		import_set(im, place, key, "0%lo", strtoul(value, NULL, 10));
}

/* A limit; 0 is none there. */
static void
set_limit(struct import *im, const char *name, const char *key, const char *none)
{
	const char *value = import_value(im, name);

	value = value != NULL ? value : default_of(name);
	import_set(im, IMPORT_SERVER, key, "%s", strcmp(value, "0") == 0 ? none : value);
}

static void
finish_defaults(struct import *im)
{
	set_mode(im, IMPORT_SERVER, "local_umask", "umask");
	set_mode(im, IMPORT_SERVER, "file_open_mode", "file_mode");
	import_set(im, IMPORT_SERVER, "hide_dot_files", "%s", import_yes(im, "force_dot_files", false) ? "no" : "yes");
	set_limit(im, "max_clients", "max_sessions", "100000");
	set_limit(im, "max_per_ip", "max_sessions_per_address", "0");
}

/* Letters of a user permission string that switches take away from everybody. */
static const char *
denied_letters(const struct import *im, bool anonymous)
{
	static char letters[16];

	(void)snprintf(letters, sizeof(letters), "%s%s%s", import_yes(im, "download_enable", true) ? "" : "r",
	    import_yes(im, "dirlist_enable", true) ? "" : "L",
	    anonymous || import_yes(im, "chmod_enable", true) ? "" : "o");
	return letters;
}

static void
finish_anonymous(struct import *im)
{
	bool writes = import_yes(im, "write_enable", false);
	bool upload = writes && import_yes(im, "anon_upload_enable", false),
	     mkdir = writes && import_yes(im, "anon_mkdir_write_enable", false),
	     other = writes && import_yes(im, "anon_other_write_enable", false);
	const char *rate = import_value(im, "anon_max_rate"), *root = import_value(im, "anon_root");
	char added[16];

	if (!import_yes(im, "anonymous_enable", false)) {
		import_drop(im, IMPORT_ANONYMOUS);
		return;
	}
	(void)snprintf(added, sizeof(added), "%s%s%s%s", upload ? "c" : "", mkdir ? "M" : "", other ? "dDnt" : "",
	    upload && other ? "ma" : "");
	import_anonymous(im, added, denied_letters(im, true));
	set_mode(im, IMPORT_ANONYMOUS, "anon_umask", "umask");
	if (import_yes(im, "anon_world_readable_only", true))
		import_set(im, IMPORT_ANONYMOUS, "download_only", "world_readable");
	if (root != NULL)
		import_set(im, IMPORT_ANONYMOUS, "home", "%s", root);
	if (rate != NULL) {
		import_set(im, IMPORT_ANONYMOUS, "rate_up", "%s", rate);
		import_set(im, IMPORT_ANONYMOUS, "rate_down", "%s", rate);
	}
	if (import_yes(im, "chown_uploads", false))
		import_closed(im, IMPORT_ANONYMOUS, import_line(im, "chown_uploads"), "chown_uploads",
		    import_value(im, "chown_uploads"),
		    "uploads belong to the session's identity: download_only = not_own keeps them from being fetched");
}

/* Lists of names that may or may not log in. One that cannot be read, or is empty, must not let everybody in. */
static void
finish_userlist(struct import *im)
{
	bool deny = import_yes(im, "userlist_deny", true);
	const char *file = import_value(im, "userlist_file");
	char *names;

	if (!import_yes(im, "userlist_enable", false))
		return;
	file = file != NULL ? file : "/etc/vsftpd.user_list";
	names = import_names(im, file, "userlist_file");
	if (names != NULL)
		import_set(im, IMPORT_SERVER, deny ? "rejected_users" : "allowed_users", "%s", names);
	else if (import_yes(im, "local_enable", false) && (!deny || access(file, R_OK) != 0))
		import_closed(im, IMPORT_SERVER, import_line(im, "userlist_enable"), "userlist_enable", file,
		    "no name can be read there: set allowed_users or rejected_users");
	if (import_yes(im, "anonymous_enable", false) &&
	    (names == NULL || strstr(names, "anonymous") == NULL ? !deny : deny))
		import_closed(im, IMPORT_ANONYMOUS, import_line(im, "userlist_enable"), "userlist_enable", file,
		    "the list keeps anonymous clients out");
	free(names);
}

/* Who may log in, and what they may do. */
static void
finish_accounts(struct import *im)
{
	bool anonymous = import_yes(im, "anonymous_enable", false), local = import_yes(im, "local_enable", false);
	const char *denied = denied_letters(im, false);

	import_set(im, IMPORT_SERVER, "accounts", "%s%s%s", local ? "pam" : "", local && anonymous ? ", " : "",
	    anonymous ? "anonymous" : local ? "" : "config");
	if (local && import_yes(im, "write_enable", false) && denied[0] == '\0')
		import_set(im, IMPORT_SERVER, "default_layer", "posix1e");
	else if (local && import_yes(im, "write_enable", false))
		import_set(im, IMPORT_SERVER, "default_layer", "ups +* -%s", denied);
	else if (local)
		import_set(
		    im, IMPORT_SERVER, "default_layer", "ups -* +rLC%s%s", denied[0] != '\0' ? " -" : "", denied);
	finish_anonymous(im);
	finish_userlist(im);
	if (import_value(im, "anonymous_enable") == NULL)
		import_useless(im, 0, "anonymous_enable", "NO",
		    "as Debian has it where nothing is said; other systems' vsftpd lets anonymous clients in: say so");
	if (import_yes(im, "guest_enable", false))
		import_closed(im, IMPORT_SERVER, import_line(im, "guest_enable"), "guest_enable",
		    import_value(im, "guest_username") != NULL ? import_value(im, "guest_username") : "ftp",
		    "virtual users: sallyctl account add with run_as, or the source external, instead of pam");
}

static void
finish_jail(struct import *im)
{
	bool all = import_yes(im, "chroot_local_user", false);
	const char *root = import_value(im, "local_root"), *token = import_value(im, "user_sub_token");
	const char *file = import_value(im, "chroot_list_file"), *at;
	char *names;

	import_set(im, IMPORT_SERVER, "jail", all ? "yes" : "no");
	if (!all && import_yes(im, "anonymous_enable", false))
		import_set(im, IMPORT_ANONYMOUS, "jail", "yes");
	if (import_yes(im, "chroot_list_enable", false) &&
	    (names = import_names(im, file != NULL ? file : "/etc/vsftpd.chroot_list", "chroot_list_file")) != NULL) {
		import_set(im, IMPORT_JAIL, "members", "%s", names);
		import_set(im, IMPORT_JAIL, "jail", all ? "no" : "yes");
		free(names);
	} else if (!all && import_yes(im, "chroot_list_enable", false))
		import_closed(im, IMPORT_SERVER, import_line(im, "chroot_list_enable"), "chroot_list_enable", "YES",
		    "no name can be read: set members of [class jail-exceptions] and jail there");
	if (root == NULL)
		return;
	at = token != NULL && *token != '\0' ? strstr(root, token) : NULL;
	if (at == NULL)
		import_set(im, IMPORT_SERVER, "home", "%s", root);
	else
		import_set(im, IMPORT_SERVER, "home", "%.*s${USER}%s", (int)(at - root), root, at + strlen(token));
}

static void
finish_tls(struct import *im)
{
	const char *cert = import_value(im, "rsa_cert_file"), *key = import_value(im, "rsa_private_key_file");
	bool logins = import_yes(im, "force_local_logins_ssl", true),
	     data = import_yes(im, "force_local_data_ssl", true);

	if (!import_yes(im, "ssl_enable", false)) {
		import_set(im, IMPORT_TLS, "tls", "off");
		return;
	}
	cert = cert != NULL ? cert : "/usr/share/ssl/certs/vsftpd.pem";
	import_set(im, IMPORT_TLS, "certificate", "%s", cert);
	import_set(im, IMPORT_TLS, "private_key", "%s", key != NULL ? key : cert);
	import_set(im, IMPORT_TLS, "tls", "%s", logins && data ? "full" : logins ? "control" : "offer");
	import_set(
	    im, IMPORT_TLS, "session_reuse", "%s", import_yes(im, "require_ssl_reuse", true) ? "strict" : "never");
}

static void
finish_network(struct import *im)
{
	const char *low = import_value(im, "pasv_min_port"), *high = import_value(im, "pasv_max_port");
	const char *address = import_value(im, "listen_address");
	const char *port = import_value(im, "ftp_data_port");

	if (address == NULL)
		address = import_value(im, "listen_address6");
	import_listen(im, address, import_value(im, "listen_port"));
	if (low != NULL && high != NULL && strcmp(low, "0") != 0)
		import_set(im, IMPORT_SERVER, "passive_ports", "%s-%s", low, high);
	else if (low != NULL || high != NULL)
		import_lost(im, 0, "pasv_min_port", low != NULL ? low : "",
		    "both ends of the range are needed: passive_ports = LOW-HIGH");
	if (import_yes(im, "connect_from_port_20", false))
		import_set(im, IMPORT_SERVER, "active_port", "%s", port != NULL ? port : "20");
}

static void
finish_rest(struct import *im)
{
	const char *file = import_value(im, "xferlog_file"), *message = import_value(im, "message_file");

	if (import_yes(im, "xferlog_enable", false) && import_yes(im, "xferlog_std_format", false))
		import_set(im, IMPORT_SERVER, "xferlog", "%s", file != NULL ? file : "/var/log/xferlog");
	if (import_yes(im, "dirmessage_enable", false))
		import_set(im, IMPORT_SERVER, "directory_message_file", "%s", message != NULL ? message : ".message");
	if (import_yes(im, "ascii_upload_enable", false) || import_yes(im, "ascii_download_enable", false))
		import_set(im, IMPORT_SERVER, "ascii", "on");
	import_set(im, IMPORT_SERVER, "list_owner", "%s", import_yes(im, "hide_ids", false) ? "session" :
	    import_yes(im, "text_userdb_names", false) ? "names" : "numbers");
}

static void
finish(struct import *im)
{
	finish_defaults(im);
	finish_accounts(im);
	finish_jail(im);
	finish_tls(im);
	finish_network(im);
	finish_rest(im);
}

const struct import_server import_vsftpd = { "vsftpd", read_file, finish };
