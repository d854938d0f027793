/* What ledger.c and charge.c share: the two places of the total, and locks of ranges. */
#ifndef ACCOUNT_LEDGER_PRIVATE_H
#define ACCOUNT_LEDGER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LEDGER_PAGE	4096
#define LEDGER_SEED	0xcbf29ce484222325u

/* One of the two places. Each change has the next number; what is said to count from a number on counts with it. */
struct ledger_entry {
	uint64_t magic, number, bytes, files, sum;
	uint64_t records, record_count;	/* charge_record.c; 0 in ledgers of versions without them */
};

/* Goes on with a check sum (FNV-1a): against torn writes, not against people. */
uint64_t ledger_mix(uint64_t sum, uint64_t value);

/*
 * F_RDLCK, F_WRLCK or F_UNLCK of some bytes, by the open file, so that the kernel gives them back with it.  0, -errno;
 * -EAGAIN when somebody has them and wait is false.
 */
int ledger_lock_range(int fd, short how, off_t at, off_t len, bool wait);
/* Does anybody else have a lock of the file's first byte? */
bool ledger_is_locked(int fd);
/* The total's, for the moment in which it is read or written. */
int ledger_lock_total(int fd, short how);

/* The newer of the whole entries; an empty file says zero. *older: the place for the next. 0 or -errno. */
int ledger_read_entry(int fd, struct ledger_entry *newest, int *older);
/* Numbers it, writes it to that place and forces it to the disk. 0 or -errno. */
int ledger_write_entry(int fd, struct ledger_entry *, int place);

/* Adds and takes away within a limit, as ledger_change() does. 0 or -EDQUOT, and nothing has changed. */
int ledger_apply(struct ledger_entry *, uint64_t added_bytes, uint64_t removed_bytes, uint64_t added_files,
    uint64_t removed_files, uint64_t limit_bytes, uint64_t limit_files);

#endif
