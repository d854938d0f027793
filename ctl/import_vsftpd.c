/* vsftpd.conf: key=value lines. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int
read_file(struct import *im, const char *path)
{
	return import_lines(im, path, take_line);
}

/* Who may log in, and what they may do. */
static void
finish_accounts(struct import *im)
{
	bool anonymous = import_yes(im, "anonymous_enable", true), local = import_yes(im, "local_enable", false);
	bool writes = import_yes(im, "write_enable", false), deny = import_yes(im, "userlist_deny", true);
	const char *file = import_value(im, "userlist_file");
	char *names;

	import_set(im, IMPORT_SERVER, "accounts", "%s%s%s", local ? "pam" : "", local && anonymous ? ", " : "",
	    anonymous ? "anonymous" : local ? "" : "config");
	if (local && writes)
		import_set(im, IMPORT_SERVER, "default_layer", "posix1e");
	if (anonymous)
		import_anonymous(im, writes && import_yes(im, "anon_upload_enable", false),
		    writes && import_yes(im, "anon_mkdir_write_enable", false),
		    writes && import_yes(im, "anon_other_write_enable", false));
	if (import_yes(im, "userlist_enable", false) &&
	    (names = import_names(im, file != NULL ? file : "/etc/vsftpd.user_list", "userlist_file")) != NULL) {
		import_set(im, IMPORT_SERVER, deny ? "rejected_users" : "allowed_users", "%s", names);
		free(names);
	}
	if (import_yes(im, "guest_enable", false))
		import_lost(im, 0, "guest_enable",
		    import_value(im, "guest_username") != NULL ? import_value(im, "guest_username") : "ftp",
		    "virtual users: sallyctl account add with run_as, or an external source");
}

static void
finish_jail(struct import *im)
{
	bool all = import_yes(im, "chroot_local_user", false);
	const char *root = import_value(im, "local_root"), *token = import_value(im, "user_sub_token");
	const char *file = import_value(im, "chroot_list_file"), *at;
	char *names;

	import_set(im, IMPORT_SERVER, "jail", all ? "yes" : "no");
	if (!all && import_yes(im, "anonymous_enable", true))
		import_set(im, IMPORT_ANONYMOUS, "jail", "yes");
	if (import_yes(im, "chroot_list_enable", false) &&
	    (names = import_names(im, file != NULL ? file : "/etc/vsftpd.chroot_list", "chroot_list_file")) != NULL) {
		import_set(im, IMPORT_JAIL, "members", "%s", names);
		import_set(im, IMPORT_JAIL, "jail", all ? "no" : "yes");
		free(names);
	}
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
	const char *address = import_value(im, "listen_address"), *clients = import_value(im, "max_clients");
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
	if (clients != NULL && strcmp(clients, "0") != 0)
		import_set(im, IMPORT_SERVER, "max_sessions", "%s", clients);
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
	finish_accounts(im);
	finish_jail(im);
	finish_tls(im);
	finish_network(im);
	finish_rest(im);
}

const struct import_server import_vsftpd = { "vsftpd", read_file, finish };
