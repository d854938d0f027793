/*
 * What an account with a quota has stored: bytes and files, a small file for
 * each account in quota_directory.  The monitor of a session opens it before
 * it leaves root; sallyctl quota uses it too.  All processes of an account
 * write the same file, each change under a lock.
 *
 * The file has two places, a page each, and a change goes to the one that is
 * older, with a number and a check sum, and to the disk before it counts:
 * whatever is killed or loses power in between, one of the two is whole.  Their
 * room is taken when the file is made, so that a full disk keeps no change from being noted.
 */
#ifndef ACCOUNT_LEDGER_H
#define ACCOUNT_LEDGER_H

#include <stdint.h>

struct ledger {
	uint64_t bytes, files;
};

/*
 * Opens the account's ledger, and makes folder (mode 0700) and file (0600) when they are not there.
 * A descriptor or -errno.
 */
int ledger_open(const char *directory, const char *account);

/*
 * Opens an empty file beside the ledger, for reading only: whoever has the descriptor can keep a lock of it and do
 * nothing else.  A descriptor or -errno.
 */
int ledger_open_witness(const char *directory, const char *account);

/*
 * Every ledger of the directory, in no particular order, until each() returns non-zero.  The names of accounts are
 * those of their files; of one that was too long for a file, only its beginning.  0, -errno, or what each() returned.
 */
int ledger_list(const char *directory, int (*each)(void *context, const char *account, const struct ledger *),
    void *context);

/*
 * What the account's ledger says, without making or changing anything.  0; -ENOENT: the account has none yet, or
 * there is no such directory; another -errno: a link (-ELOOP) or not to be read.
 */
int ledger_peek(const char *directory, const char *account, struct ledger *);

/* What it says. 0 or a negative code. */
int ledger_read(int fd, struct ledger *);
/* Sets it. */
int ledger_set(int fd, const struct ledger *);

/*
 * Takes removed away and adds added; below zero is zero.  A limit of 0 is none.  -EDQUOT, and nothing has changed, when
 * something grows and would be beyond its limit.  now receives what it says afterwards.
 */
int ledger_change(int fd, const struct ledger *added, const struct ledger *removed, const struct ledger *limit,
    struct ledger *now);

#endif
