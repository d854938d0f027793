/*
 * ftpcluster's .passwd: lines name:password:number:home, and one line "_:-:NEXT"
 * that counts numbers.  Used by the source passwd_file; this is the only reader of that format.
 * The file belongs to an administrator but may be wrong in any line: such a line is no
 * account.  Texts end with NUL; nothing of them is copied but into what the functions below make.
 */
#ifndef ACCOUNT_CLUSTER_H
#define ACCOUNT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster_row {
	const char *name, *password, *home;	/* not ended: use the lengths */
	size_t name_len, password_len, home_len;
	int64_t number;
	unsigned line;
};

/*
 * The next account behind *at; its line is skipped. false: there is none any more. wrong: lines
 * that are no accounts, or NULL.
 */
bool cluster_next(const char **at, unsigned *line, struct cluster_row *, unsigned *wrong);
/* The first account of that name. */
bool cluster_find(const char *text, const char *name, struct cluster_row *);

/* A password of one character is how that system locks an account. */
bool cluster_is_locked(const struct cluster_row *);

/* Letters a to z, digits, dot, plus, minus; not the counter's name. */
bool cluster_name_ok(const char *);
/* Can the text stand in a field? */
bool cluster_field_ok(const char *);

/* The changed text of the file, malloc'ed, to be cleared and freed by the caller; NULL: no memory. */
char *cluster_with_password(const char *text, const struct cluster_row *, const char *password);
/*
 * With one more account, whose number is the counter's, or the next above 0 and above every number in the file; the
 * counter counts on from there.  NULL with *number beyond 4294967294 when there is no number left.
 */
char *cluster_with_account(const char *text, const char *name, const char *password, const char *home, int64_t *number);
/* Without an account. The counter is made or raised where its number could be given out again. */
char *cluster_without(const char *text, const struct cluster_row *);

#endif
