/* proftpd.conf: directives and blocks as Apache has them. */
#include "config.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/str.h"
#include "ctl/import.h"

#define INCLUDES_MAX	8

/* Where the reader stands. One file at a time is read, so there is one. */
static struct {
	unsigned closed;		/* blocks open whose content is not looked at */
	bool anonymous;			/* inside <Anonymous> */
	bool login;			/* inside <Limit LOGIN> of the server */
	unsigned includes;
} at;

/* What <Limit LOGIN> of the server says: lists of ours, each empty or "a, b". */
static struct {
	char allowed[2048], rejected[2048], from[1024], not_from[1024];
	bool deny_all, strange;
	unsigned line;			/* 0: there is none */
} login;

static void take_line(struct import *, char *, unsigned);

static bool
is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A file, a pattern, or a directory, all of whose files are meant. */
static void
include(struct import *im, const char *pattern, unsigned line)
{
	char within[PATH_MAX];
	glob_t found;

	if (is_directory(pattern) && str_format(within, sizeof within, "%s/*", pattern) == 0)
		pattern = within;

	/* What was not read may have kept somebody out; only a pattern may find nothing, as over there. */
	if (++at.includes > INCLUDES_MAX)
		import_closed(im, IMPORT_SERVER, line, "Include", pattern, "too many files include each other");
	else if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (is_directory(found.gl_pathv[i]) || import_lines(im, found.gl_pathv[i], take_line) != 0)
				import_closed(im, IMPORT_SERVER, line, "Include", found.gl_pathv[i], "the file cannot be read");
		globfree(&found);
	} else if (strpbrk(pattern, "*?[") == NULL)
		import_closed(im, IMPORT_SERVER, line, "Include", pattern, "there is no such file");
	else
		import_lost(im, line, "Include", pattern, "there is no such file");
	at.includes--;
}

/* Do these commands of a <Limit> change something, all of them? */
static bool
only_writes(const char *commands)
{
	static const char *const writes[] = { "WRITE", "STOR", "STOU", "APPE", "DELE", "RMD", "XRMD", "MKD", "XMKD",
		"RNFR", "RNTO", "SITE_CHMOD", "SITE_CHGRP" };
	char text[512], *rest = text, *word;

	if (str_copy(text, sizeof(text), commands) != 0)
		return false;
	while ((word = strsep(&rest, " \t")) != NULL) {
		bool found = *word == '\0';

		for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
			found |= strcasecmp(word, writes[i]) == 0;
		if (!found)
			return false;
	}
	return true;
}

/*
 * Adds the words of a value to a list. A list of several users is one condition, which nobody fulfils, unless OR stands
 * in front; and neither patterns nor what begins with ! are names.
 */
static void
add_words(char *list, size_t size, const char *value, const char *before, bool all)
{
	char text[1024], *rest = text, *word;
	bool any = all || strncasecmp(value, "OR ", 3) == 0;
	size_t n;

	value += !all && any ? 3 : 0;
	if (str_copy(text, sizeof(text), value) != 0 || strpbrk(value, "!*?[\"") != NULL ||
	    (!any && strpbrk(value, ", \t") != NULL)) {
		login.strange = true;
		return;
	}
	while ((word = strsep(&rest, ", \t")) != NULL) {
		n = strlen(list);
		if (*word != '\0' && str_format(list + n, size - n, "%s%s%s", n > 0 ? ", " : "", before, word) != 0)
			login.strange = true;
	}
}

/* Networks as both write them; names, "all" and "none" are left to be decided. */
static void
add_networks(char *list, size_t size, const char *value)
{
	value += strncasecmp(value, "from ", 5) == 0 ? 5 : 0;
	if (strspn(value, "0123456789abcdefABCDEF.:/, \t") != strlen(value) || strpbrk(value, "0123456789") == NULL ||
	    strstr(value, ". ") != NULL || value[strlen(value) - 1] == '.')
		login.strange = true;
	else
		add_words(list, size, value, "", true);
}

/* A line inside <Limit LOGIN>. Without Order, what is allowed counts before what is denied, and the rest is allowed. */
static void
take_login(const char *name, const char *value)
{
	if (strcasecmp(name, "AllowUser") == 0)
		add_words(login.allowed, sizeof(login.allowed), value, "", false);
	else if (strcasecmp(name, "AllowGroup") == 0)
		add_words(login.allowed, sizeof(login.allowed), value, "@", false);
	else if (strcasecmp(name, "DenyUser") == 0)
		add_words(login.rejected, sizeof(login.rejected), value, "", false);
	else if (strcasecmp(name, "DenyGroup") == 0)
		add_words(login.rejected, sizeof(login.rejected), value, "@", false);
	else if (strcasecmp(name, "Allow") == 0)
		add_networks(login.from, sizeof(login.from), value);
	else if (strcasecmp(name, "Deny") == 0)
		add_networks(login.not_from, sizeof(login.not_from), value);
	else if (strcasecmp(name, "DenyAll") == 0)
		login.deny_all = true;
	else if (strcasecmp(name, "AllowAll") != 0)
		login.strange = true;
}

/*
 * One list alone, closed by DenyAll or open behind it, is what a key of ours says. Everything else is left to be
 * decided; so are lists of users where users of files log in, to which ours do not apply.
 */
static void
finish_login(struct import *im)
{
	bool allowed = login.allowed[0] != '\0', rejected = login.rejected[0] != '\0', from = login.from[0] != '\0',
	     not_from = login.not_from[0] != '\0';
	bool users = allowed || rejected, anonymous = import_value(im, "Anonymous") != NULL;

	if (login.line == 0 || (!users && !from && !not_from && !login.deny_all && !login.strange))
		return;
	if (login.strange || allowed + rejected + from + not_from != 1 || (allowed || from) != login.deny_all ||
	    (users && import_value(im, "AuthUserFile") != NULL)) {
		import_closed(im, IMPORT_SERVER, login.line, "Limit", "LOGIN",
		    "write who may log in as allowed_users or rejected_users, and from where as allowed_networks or "
		    "rejected_networks");
		return;
	}
	import_set(im, IMPORT_SERVER,
	    allowed	       ? "allowed_users"
		: rejected ? "rejected_users"
		: from	       ? "allowed_networks"
			       : "rejected_networks",
	    "%s%s%s%s", login.allowed, login.rejected, login.from, login.not_from);
	if (anonymous && allowed)
		import_closed(
		    im, IMPORT_ANONYMOUS, login.line, "Limit", "LOGIN", "the list keeps anonymous clients out");
}

/* Blocks whose lines are for everybody. */
static bool
is_transparent(const char *name)
{
	static const char *const names[] = { "IfModule", "IfDefine", "IfVersion", "Global" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/* <Name argument>: what it means for the lines inside. */
static void
open_block(struct import *im, const char *name, const char *argument, unsigned line)
{
	static const struct { const char *name, *why;
	} blocks[] = {
		{ "Directory", "write it as a layer with that folder as prefix, or as rules of a layer sftpplus" },
		{ "Limit", "choose the letters of a layer instead; for LOGIN see allowed_users, rejected_users, "
			   "allowed_networks" },
		{ "VirtualHost", "write a [listener NAME] section" },
		{ "Class", "write the networks into allowed_networks, or as from of a class" },
		{ "IfUser", "write a class with members = USER" },
		{ "IfGroup", "write a class with members = @GROUP" },
	};
	const char *why = "the importer does not know this block";

	if (is_transparent(name))
		return;
	if (strcasecmp(name, "Anonymous") == 0 && at.closed == 0) {
		at.anonymous = true;
		import_directive(im, "Anonymous", argument, line);
		import_set(im, IMPORT_ANONYMOUS, "layer", "ups -* +rLC");
		if (argument[0] == '/')
			import_set(im, IMPORT_ANONYMOUS, "home", "%s", argument);
		return;
	}
	if (at.anonymous && at.closed == 0 && strcasecmp(name, "Limit") == 0 && only_writes(argument)) {
		import_useless(im, line, name, argument,
		    "anonymous clients may only read here: add letters to their layer");
		at.closed++;
		return;
	}
	if (!at.anonymous && at.closed == 0 && strcasecmp(name, "Limit") == 0 && strcasecmp(argument, "LOGIN") == 0) {
		/* A second one adds to the first there, in ways of its own. */
		login.strange |= login.line != 0;
		login.line = line;
		at.login = true;
		return;
	}
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if (strcasecmp(name, blocks[i].name) == 0)
			why = blocks[i].why;
	if (at.closed++ == 0)
		import_closed(im, at.anonymous ? IMPORT_ANONYMOUS : IMPORT_SERVER, line, name, argument, why);
}

static void
close_block(const char *name)
{
	if (is_transparent(name))
		return;
	if (at.closed > 0)
		at.closed--;
	else if (strcasecmp(name, "Anonymous") == 0)
		at.anonymous = false;
	else if (strcasecmp(name, "Limit") == 0)
		at.login = false;
}

static void
take_block(struct import *im, char *text, unsigned line)
{
	char *argument;

	text[strcspn(text, ">")] = '\0';
	if (text[1] == '/') {
		close_block(text + 2);
		return;
	}
	argument = text + strcspn(text, " \t");
	if (*argument != '\0')
		*argument++ = '\0';
	open_block(im, text + 1, argument + strspn(argument, " \t"), line);
}

static void
take_line(struct import *im, char *text, unsigned line)
{
	char *value;
	size_t n;

	if (*text == '<') {
		take_block(im, text, line);
		return;
	}
	if (at.closed > 0)
		return;
	value = text + strcspn(text, " \t");
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, " \t");
	n = strlen(value);
	if (n > 1 && value[0] == '"' && value[n - 1] == '"' && strchr(value + 1, '"') == value + n - 1) {
		value[n - 1] = '\0';
		value++;
	}
	if (at.login)
		take_login(text, value);
	else if (strcasecmp(text, "Include") == 0)
		include(im, value, line);
	else if (at.anonymous && strcasecmp(text, "User") == 0)
		import_set(im, IMPORT_SERVER, "anonymous_user", "%s", value);
	else if (at.anonymous && (strcasecmp(text, "Group") == 0 || strcasecmp(text, "UserAlias") == 0 ||
				     strcasecmp(text, "RequireValidShell") == 0))
		import_useless(im, line, text, value,
		    "anonymous clients log in as anonymous and ftp, with the identity of anonymous_user");
	else if (at.anonymous && strcasecmp(text, "MaxClients") == 0)
		import_set(im, IMPORT_ANONYMOUS, "max_sessions_per_user", "%.*s", (int)strcspn(value, " \t"), value);
	else if (at.anonymous && strncasecmp(text, "Display", 7) == 0)
		import_lost(im, line, text, value,
		    "set login_message or directory_message_file in [account anonymous]");
	else if (at.anonymous)
		import_closed(im, IMPORT_ANONYMOUS, line, text, value,
		    "inside <Anonymous>: see the keys that may stand in [account anonymous]");
	else
		import_directive(im, text, value, line);
}

static int
read_file(struct import *im, const char *path)
{
	memset(&at, 0, sizeof(at));
	memset(&login, 0, sizeof(login));
	return import_lines(im, path, take_line);
}

/*
 * Who is asked for users, and what asks here. Without AuthOrder all of these are asked that are set up. Modules such as
 * mod_sql have users of their own: system users, where the list shut them out, must not take their place.
 */
static void
finish_sources(struct import *im, bool anonymous)
{
	const char *order = import_value(im, "AuthOrder");
	bool file = import_value(im, "AuthUserFile") != NULL &&
	    (order == NULL || strstr(order, "mod_auth_file") != NULL),
	     pam = import_yes(im, "AuthPAM", true) && (order == NULL || strstr(order, "mod_auth_pam") != NULL),
	     shadow = !pam && (order == NULL || strstr(order, "mod_auth_unix") != NULL);
	char sources[128];

	(void)str_format(sources, sizeof(sources), "%s%s%s%s", file ? ", database" : "", pam ? ", pam" : "",
	    shadow ? ", shadow" : "", anonymous ? ", anonymous" : "");
	import_set(im, IMPORT_SERVER, "accounts", "%s", sources[0] != '\0' ? sources + 2 : "config");
	if (order != NULL && (strstr(order, "mod_sql") != NULL || strstr(order, "mod_ldap") != NULL ||
				 strstr(order, "mod_radius") != NULL))
		import_lost(im, import_line(im, "AuthOrder"), "AuthOrder", order,
		    "its users cannot log in here yet: sallyctl account import, pam, external, or postgresql");
}

static void
finish_accounts(struct import *im)
{
	const char *file = import_value(im, "AuthUserFile"), *users = import_value(im, "UseFtpUsers");

	finish_sources(im, import_value(im, "Anonymous") != NULL);
	if (file != NULL)
		import_lost(im, 0, "AuthUserFile", file, "sallyctl account import reads this file");
	if (users != NULL && !import_is_yes(users))
		import_set(im, IMPORT_SERVER, "ftpusers_file", "/nonexistent");
	/* Overwriting is off unless it is switched on. */
	if (import_yes(im, "AllowOverwrite", false))
		import_set(im, IMPORT_SERVER, "default_layer", "posix1e");
	else
		import_set(im, IMPORT_SERVER, "default_layer", "ups +* -ma");
}

static void
finish_root(struct import *im)
{
	const char *root = import_value(im, "DefaultRoot");
	size_t n = root != NULL ? strcspn(root, " \t") : 0;

	import_set(im, IMPORT_SERVER, "jail", root != NULL ? "yes" : "no");
	/* <Anonymous> is a root of its own. */
	if (import_value(im, "Anonymous") != NULL)
		import_set(im, IMPORT_ANONYMOUS, "jail", "yes");
	if (root != NULL && root[n] != '\0')
		import_lost(im, 0, "DefaultRoot", root,
		    "for some groups only: a class with members = @GROUP and its own jail does it");
	if (root != NULL && root[0] == '/')
		import_set(im, IMPORT_SERVER, "home", "%.*s", (int)n, root);
	else if (root != NULL && n > 1)
		import_set(im, IMPORT_SERVER, "home", "${OS_HOME}%.*s", (int)n - 1, root + 1);
}

static void
finish_network(struct import *im)
{
	const char *ports = import_value(im, "PassivePorts"), *clients = import_value(im, "MaxInstances"), *foreign;
	const char *address = import_value(im, "DefaultAddress");
	char low[16], high[16];

	if (address == NULL && import_value(im, "UseIPv6") != NULL && !import_yes(im, "UseIPv6", true))
		address = "0.0.0.0";
	import_listen(im, address, import_value(im, "Port"));
	if (ports != NULL && sscanf(ports, "%15s %15s", low, high) == 2)
		import_set(im, IMPORT_SERVER, "passive_ports", "%s-%s", low, high);
	if (clients == NULL || strcasecmp(clients, "none") == 0)
		clients = import_value(im, "MaxClients");
	if (clients != NULL && strcasecmp(clients, "none") != 0)
		import_set(im, IMPORT_SERVER, "max_sessions", "%.*s", (int)strcspn(clients, " \t"), clients);
	if ((foreign = import_value(im, "AllowForeignAddress")) != NULL && strcasecmp(foreign, "off") != 0)
		import_lost(im, 0, "AllowForeignAddress", foreign,
		    "name the networks that may take part in data_peer; open to all is a hole");
}

static void
finish_tls(struct import *im)
{
	const char *required = import_value(im, "TLSRequired"), *options = import_value(im, "TLSOptions");
	const char *protocol = import_value(im, "TLSProtocol");
	const char *mode = "offer";

	if (!import_yes(im, "TLSEngine", false)) {
		import_set(im, IMPORT_TLS, "tls", "off");
		return;
	}
	if (required != NULL && import_is_yes(required))
		mode = "full";
	else if (required != NULL && (strncasecmp(required, "ctrl", 4) == 0 || strncasecmp(required, "auth", 4) == 0))
		mode = "control";
	import_set(im, IMPORT_TLS, "tls", "%s", mode);
	import_set(im, IMPORT_TLS, "session_reuse", "%s",
	    options != NULL && strstr(options, "NoSessionReuseRequired") != NULL ? "never" : "strict");
	if (protocol != NULL && strstr(protocol, "1.3") != NULL && strstr(protocol, "1.2") == NULL)
		import_set(im, IMPORT_TLS, "tls_min", "1.3");
}

/* "RETR,STOR 500:1024 group ..." : commands, KB a second, and for whom. */
static void
finish_rates(struct import *im)
{
	const char *rate = import_value(im, "TransferRate"), *size = import_value(im, "MaxStoreFileSize");
	char commands[64], number[32] = "", unit[16] = "";
	double kilobytes;

	if (rate != NULL && sscanf(rate, "%63s %31[0-9.]", commands, number) == 2) {
		kilobytes = strtod(number, NULL);
		if (strcasestr(commands, "RETR") != NULL)
			import_set(im, IMPORT_SERVER, "rate_down", "%.0f", kilobytes * 1024);
		if (strcasestr(commands, "STOR") != NULL || strcasestr(commands, "APPE") != NULL)
			import_set(im, IMPORT_SERVER, "rate_up", "%.0f", kilobytes * 1024);
		if (strpbrk(rate, ":") != NULL || strstr(rate, "user") != NULL || strstr(rate, "group") != NULL)
			import_lost(im, 0, "TransferRate", rate,
			    "free bytes and rates for some users: put rate_up and rate_down into their class");
	}
	if (size != NULL && sscanf(size, "%31[0-9] %15s", number, unit) == 2)
		import_set(im, IMPORT_SERVER, "max_file_size", "%s%c", number, unit[0] & ~0x20);
}

static void
finish(struct import *im)
{
	static const struct {
		const char *theirs, *ours;
	} logs[] = { { "TransferLog", "xferlog" }, { "ServerLog", "log" }, { "SystemLog", "log" } };
	const char *umask_value = import_value(im, "Umask"), *ident = import_value(im, "ServerIdent"),
		   *stores = import_value(im, "HiddenStores");
	const char *value;
	char text[512], files[16], folders[16];
	unsigned long mask;

	finish_accounts(im);
	finish_login(im);
	finish_root(im);
	finish_network(im);
	finish_tls(im);
	finish_rates(im);
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		if ((value = import_value(im, logs[i].theirs)) != NULL && value[0] == '/')
			import_set(im, IMPORT_SERVER, logs[i].ours, "%s", value);
	if (umask_value != NULL && sscanf(umask_value, "%15s %15s", files, folders) == 2 &&
	    strcmp(files, folders) != 0) {
		import_set(im, IMPORT_SERVER, "umask", "000");
		if (import_mode(im, "Umask", files, &mask))
			import_set(im, IMPORT_SERVER, "file_mode", "%04lo", 0666 & ~mask);
		if (import_mode(im, "Umask", folders, &mask))
			import_set(im, IMPORT_SERVER, "dir_mode", "%04lo", 0777 & ~mask);
	} else if (umask_value != NULL)
		import_set(im, IMPORT_SERVER, "umask", "%.*s", (int)strcspn(umask_value, " \t"), umask_value);
	if (ident != NULL && sscanf(ident, "on \"%511[^\"]", text) == 1)
		import_set(im, IMPORT_SERVER, "banner", "%s", text);
	/* ListOptions "-a" shows them. */
	value = import_value(im, "ListOptions");
	import_set(im, IMPORT_SERVER, "hide_dot_files", "%s",
	    value != NULL && strpbrk(value, "aA") != NULL && value[0] != '+' ? "no" : "yes");
	if (stores != NULL)
		import_set(im, IMPORT_SERVER, "atomic_uploads", strcasecmp(stores, "off") == 0 ? "no" : "yes");
	if (import_value(im, "CreateHome") != NULL)
		import_set(im, IMPORT_SERVER, "create_home", import_yes(im, "CreateHome", false) ? "yes" : "no");
}

const struct import_server import_proftpd = { "proftpd", read_file, finish };
