/*
 * The public half of TLS on its way to the worker template: certificate
 * chains with the number of the key that the keeper holds for each, the
 * authorities for client certificates, and their revocation lists.  The
 * listener packs the files without reading them; the worker, which has no file
 * system, parses them.  One sealed memory file carries all of it, so that what
 * the keeper compared with its key is what the worker shows.
 */
#ifndef PRIVSEP_TLSFILES_H
#define PRIVSEP_TLSFILES_H

#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"

#define TLSFILES_ONE_MAX	(256 * 1024)	/* bytes of one file */
#define TLSFILES_MAX		(4 * 1024 * 1024)

enum tlsfile_kind {
	TLSFILE_CHAIN,		/* PEM: the certificate, then its intermediates; key is its key's number */
	TLSFILE_CLIENT_CA,	/* PEM: authorities that may sign client certificates */
	TLSFILE_CLIENT_CRL,	/* PEM: revocation lists of those */
	TLSFILE_KINDS
};

struct tlsfile {
	enum tlsfile_kind kind;
	uint32_t key;
	char name[513];		/* path, for messages */
	const uint8_t *data;	/* into the memory that is read */
	size_t len;
};

/* Appends one file. The error is w->error. */
void tlsfiles_put(struct wr *, const struct tlsfile *);
/* Takes the next one; 1, 0 at the end, or SP_E*. */
int tlsfiles_get(struct rd *, struct tlsfile *);

/*
 * Maps a sealed memory file for reading; munmap(*data, *len) is the caller's, unless *len is 0: an empty file is one.
 * 0, -errno, SP_ERANGE when it is larger than max, SP_EFORMAT when it is not sealed.
 */
int tlsfiles_map(int fd, size_t max, const void **data, size_t *len);

#endif
