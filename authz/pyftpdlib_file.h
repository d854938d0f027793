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

#endif
