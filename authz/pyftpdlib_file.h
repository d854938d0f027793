/*
 * A whole pyftpdlib set-up as text (dialects 2.1): users with passwords, homes
 * and letters, overrides, the system authorizers, hooks.  For moving a site
 * over and for tests; a running server keeps accounts in its own places and
 * uses the letters alone.
 */
#ifndef AUTHZ_PYFTPDLIB_FILE_H
#define AUTHZ_PYFTPDLIB_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "authz/authz.h"

/* What the text is checked against. Members may be NULL: then everything exists and no system user is known. */
struct pyftpdlib_world {
	void *context;
	/* Is there a folder at this real path? */
	bool (*is_folder)(void *context, const char *path);
	/* Password and shell of a system user; false: unknown. */
	bool (*system_user)(void *context, const char *name, const char **password, const char **shell);
	/* Is the shell one of the system's? */
	bool (*valid_shell)(void *context, const char *shell);
};

struct pyftpdlib_file;

/* An account, or what is set on top of a system user. Members that are not given are NULL. */
struct pyftpdlib_account {
	const char *name, *password, *home;
	const char *letters;
	const char *login_message, *quit_message;
	bool any_password;		/* anonymous */
};

struct pyftpdlib_names {
	const char *const *v;
	size_t n;
};

/* The system authorizers' settings. */
struct pyftpdlib_system {
	bool used;			/* accounts are those of the system */
	bool windows, valid_shell;
	const char *letters;		/* global_perm */
	const char *anonymous_user;	/* NULL: no anonymous clients */
	const char *login_message, *quit_message;	/* of those that have none of their own; NULL: not given */
	struct pyftpdlib_names allowed, rejected;
};

/* Reads the text. Never NULL but for lack of memory; mistakes are in problems (may be NULL) and in
 * pyftpdlib_file_errors(). */
struct pyftpdlib_file *pyftpdlib_file_read(const char *text, const char *name, const struct pyftpdlib_world *,
    struct authz_problems *);
void pyftpdlib_file_free(struct pyftpdlib_file *);
/* How many mistakes make the text unusable. */
unsigned pyftpdlib_file_errors(const struct pyftpdlib_file *);
/* Would this login succeed? */
bool pyftpdlib_file_login(const struct pyftpdlib_file *, const char *user, const char *password);
/* The user's rules as the text of a layer, in dst. False: there is no such user. */
bool pyftpdlib_file_layer(const struct pyftpdlib_file *, const char *user, char *dst, size_t size);
/* His home, or NULL. */
const char *pyftpdlib_file_home(const struct pyftpdlib_file *, const char *user);
/* The accounts in the order of the file; after NULL comes the first. */
const struct pyftpdlib_account *pyftpdlib_file_next(
    const struct pyftpdlib_file *, const struct pyftpdlib_account *after);
const struct pyftpdlib_system *pyftpdlib_file_system(const struct pyftpdlib_file *);

#endif
