/* An account on its way from a foreign file into a source. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
#include "common/str.h"
#include "ctl/account.h"

/* What is open there stays shut here. */
#define EMPTY_IMPORTED "its password is empty there; none is right here until sallyctl account passwd sets one"

void
imported_begin(struct imported *a)
{
	account_init(&a->a, "");
	a->verifier = NULL;
	a->elsewhere = false;
	a->why[0] = a->remark[0] = '\0';
}

void
imported_end(struct imported *a)
{
	account_free(&a->a);
}

int
imported_wrong(struct imported *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->why, sizeof(a->why), fmt, ap);
	va_end(ap);
	return -1;
}

void
imported_remark(struct imported *a, const char *fmt, ...)
{
	size_t n = strlen(a->remark);
	va_list ap;

	if (n > 0 && n + 3 < sizeof(a->remark))
		n += (size_t)snprintf(a->remark + n, sizeof(a->remark) - n, "; ");
	va_start(ap, fmt);
	(void)vsnprintf(a->remark + n, sizeof(a->remark) - n, fmt, ap);
	va_end(ap);
}

int
imported_name(struct imported *a, const char *name)
{
	(void)str_copy(a->a.name, sizeof(a->a.name), name);
	return manage_name_ok(name) ? 0 : imported_wrong(a, "an account cannot be called that");
}

void
imported_set(struct imported *a, const char *key, const char *fmt, ...)
{
	char *value;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0 || (n > 0 && account_add_pair(&a->a, key, value) != 0))
		(void)imported_wrong(a, "there is not enough memory");
	if (n >= 0)
		free(value);
}

/*
 * A hash of a kind that we do not know is kept: the log names it at a login.
 */
int
imported_hash(struct imported *a, const char *hash)
{
	if (hash[0] == '\0')
		imported_remark(a, EMPTY_IMPORTED);
	a->elsewhere = strcmp(hash, "x") == 0;
	if (hash[0] == '*' || hash[0] == '!' || strcmp(hash, "x") == 0 || hash[0] == '\0')
		return 0;
	if (hash[0] != '$' && hash[0] != '_' && password_kind(hash) == NULL)
		return imported_wrong(a, "the password field holds no hash");
	if (!secret_hash_whole(hash))
		imported_remark(a, "its hash is not complete, so no password fits it");
	a->verifier = account_keep(&a->a, hash);
	return a->verifier != NULL ? 0 : imported_wrong(a, "there is not enough memory");
}

int
imported_password(struct imported *a, const char *clear)
{
	char hash[PASSWORD_HASH_MAX];
	struct secret secret;
	int r = secret_set(&secret, clear, strlen(clear));

	if (r == 0 && !password_storable(&secret)) {
		imported_remark(a, EMPTY_IMPORTED);
		return 0;
	}
	if (r == 0)
		r = password_make(&secret, hash, sizeof(hash));
	secret_clear(&secret);
	if (r == 0 && (a->verifier = account_keep(&a->a, hash)) == NULL)
		r = -ENOMEM;
	explicit_bzero(hash, sizeof(hash));
	return r == 0 ? 0 : imported_wrong(a, "no hash can be made of the password");
}
