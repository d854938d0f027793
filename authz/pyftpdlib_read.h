/*
 * Reading a pyftpdlib set-up: what the reader of lines (pyftpdlib_file.c) and
 * that of the system authorizers' settings (pyftpdlib_system.c) share.  Nobody
 * else includes it.
 */
#ifndef AUTHZ_PYFTPDLIB_READ_H
#define AUTHZ_PYFTPDLIB_READ_H

#include "authz/pyftpdlib.h"
#include "authz/pyftpdlib_file.h"

#define READ_LETTERS	"elr"
#define ALL_LETTERS	"elradfmwMT"

struct account {
	struct pyftpdlib_account pub;	/* must be first */
	bool given;			/* an override with at least one value */
	bool own;			/* it has a line of its own, user or anonymous; otherwise it is known by overrides only */
	unsigned line;			/* that line, from 0 */
	struct account *next;
};

struct rule {				/* an override of a folder */
	char *user, *text;
	struct rule *next;
};

struct pyftpdlib_file {
	struct authz_policy policy;	/* for complain(): arena and subject */
	struct layer layer;
	struct source source;
	struct compiler compiler;
	const struct pyftpdlib_world *world;
	struct account *accounts, **last_account;
	struct rule *rules, **last_rule;
	struct pyftpdlib_system system;
	unsigned system_line;
};

/* Notes a mistake in a line. */
#define WRONG(f, line, expected, ...) complain(&(f)->compiler, &(f)->source, (line)->number, 0, false, expected, __VA_ARGS__)

/* Copies into the file's memory; NULL when there is none left. */
char *pyftpdlib_keep(struct pyftpdlib_file *, struct span);
struct account *pyftpdlib_find_account(const struct pyftpdlib_file *, const char *name);
/* A new account, without checking whether there is one of that name. NULL: no memory. */
struct account *pyftpdlib_add_account(struct pyftpdlib_file *, struct span name);
bool pyftpdlib_folder_exists(const struct pyftpdlib_file *, const char *path);
/* Notes the first letter that is none; user: for the message. */
bool pyftpdlib_check_letters(struct pyftpdlib_file *, const struct lines *, struct span, const char *user);

/* ---- pyftpdlib_system.c ---- */

/* The lines "unix" and "windows". */
void pyftpdlib_line_system(struct pyftpdlib_file *, const struct lines *, struct span rest);
void pyftpdlib_line_windows(struct pyftpdlib_file *, const struct lines *, struct span rest);
/* What the original checks once everything is read. */
void pyftpdlib_check_system(struct pyftpdlib_file *);
/* With the system authorizers: is there such a user, and would the login succeed? */
bool pyftpdlib_user_known(const struct pyftpdlib_file *, const char *name);
bool pyftpdlib_system_login(const struct pyftpdlib_file *, const char *user, const char *password);

#endif
