/*
 * Certificates, private keys and client authorities as files: which ones the
 * configuration names, whether they changed, what the keeper said of them.
 * The listener opens them and parses nothing: the keeper looks at pairs and gives
 * the certificates back, the worker's template looks at the rest.  Files are the administrator's.
 */
#ifndef LISTENER_CERTS_H
#define LISTENER_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct conf;

#define CERTS_MAX	20	/* pairs; two generations of them fit the keeper */

/* What tells one state of a file from another. */
struct cert_mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct cert_pair {
	char cert[513], key[513];	/* paths; equal when one file holds both */
	struct cert_mark seen[2];	/* of the files as last tried */
	bool loaded;			/* the keeper has it under this number */
	uint32_t number;
	char *pem;			/* certificates that go with the number */
	size_t pem_len;
	uint64_t not_before, not_after;	/* seconds since 1970 */
	char algorithm[65], names[1025];
	int64_t told;			/* seconds of validity that were left at the last warning */
};

/* Authorities and revocation lists for client certificates. */
struct cert_extra {
	int kind;			/* enum tlsfile_kind */
	char path[513];
	struct cert_mark seen;
	char *pem;
	size_t pem_len;
};

struct certs {
	struct cert_pair pair[CERTS_MAX];
	size_t pairs;
	struct cert_extra extra[CERTS_MAX];
	size_t extras;
};

/* The files that the server and its listeners name, none of them read. 0 or SP_ERANGE: too many. */
int certs_collect(struct certs *, const struct conf *);
void certs_free(struct certs *);

/*
 * Opens key and certificate file of a pair, in this order, and notes their marks.  Nothing is read: a private
 * key is the keeper's only.  The fds are the caller's.  0, or a negative code and both are -1.
 */
int certs_open(struct cert_pair *, int fds[2]);
/* What the keeper made of it: takes over nothing. 0 or a negative code. */
int certs_take(struct cert_pair *, int chain_fd);
/* Reads the others' files. */
int certs_read(struct cert_extra *);

/* Does any file differ from what was last tried? */
bool certs_changed(const struct certs *);
/* The pair with these files, NULL: none. */
struct cert_pair *certs_find(struct certs *, const struct cert_pair *like);
/* The file of that kind and path, NULL: none. */
struct cert_extra *certs_find_extra(struct certs *, const struct cert_extra *like);

/* Are these the same certificates under the same numbers, and the same other files? */
bool certs_same(const struct certs *, const struct certs *);

/* What the worker's template gets: a sealed memory file, or -errno. */
int certs_seal(const struct certs *);

/* Logs what expires within warning seconds, at that time, a week and a day before, and every day after the end. */
void certs_warn(struct certs *, int64_t now, int64_t warning);

#endif
