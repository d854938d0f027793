/*
 * Checksums over an open file, in steps, so that the control connection is
 * served meanwhile.  Algorithms are those of the registry of RFC drafts for HASH.
 */
#ifndef WORKER_DIGEST_H
#define WORKER_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_TEXT_MAX 129	/* hexadecimal, and NUL */
#define DIGEST_DEFAULT	0	/* SHA-256 */

/* Algorithm number i as HASH names it; NULL: there are no more. */
const char *digest_name(unsigned i);
/* Its number, in any case of letters; -1: unknown. */
int digest_find(const char *name);

/* First use of the library, once, before the sandbox. 0 or -ENOTSUP. */
int digest_warm_up(void);

struct digest {
	unsigned algorithm;
	uint64_t at, end;	/* bytes still to read: [at, end) */
	void *context;
	uint32_t crc;
	char *buffer;
};

/* 0 or -ENOMEM. */
int digest_start(struct digest *, unsigned algorithm, uint64_t first, uint64_t end);
/* Reads a part. 1: more to do; 0: all read; -errno; -EIO when the file has become shorter. */
int digest_step(struct digest *, int fd);
/* Lower-case hexadecimal, CRC-32 in upper case. */
void digest_finish(struct digest *, char text[DIGEST_TEXT_MAX]);
/* Frees; may be called at any time after digest_start(). */
void digest_end(struct digest *);

/* A keyed mark by which a secret is recognised without being kept. */
void digest_mark(uint8_t mark[32], const uint8_t key[16], const char *secret, size_t len);

#endif
