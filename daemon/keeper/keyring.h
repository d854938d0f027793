/*
 * The private keys, in the only process that has them.  Keys arrive as PEM
 * files from the listener (trusted) and leave never; signatures are made of
 * messages from workers (hostile).  A key is known by a number; a reload loads
 * new numbers and retires the old ones, which stay for as long as a channel that
 * was attached before may still ask for them.
 */
#ifndef DAEMON_KEEPER_KEYRING_H
#define DAEMON_KEEPER_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYRING_MAX	64	/* keys at once, retired ones included */
#define SIGNATURE_MAX	1024	/* bytes: RSA of 8192 bits */

struct evp_pkey_st;

/* What a certificate says of itself, for status and log. */
struct key_facts {
	int64_t not_before, not_after;	/* seconds since 1970 */
	char algorithm[64];		/* "RSA 2048" */
	char names[1024];		/* DNS names and addresses, separated by blanks */
	char fault[513];		/* weak, or no chain: why clients would not believe it; else "" */
};

struct key {
	uint32_t number;
	bool used, retired;
	uint64_t last_serial;		/* retired: the last channel that may use it */
	struct evp_pkey_st *pkey;
	char name[513];			/* path, for messages */
};

struct keyring {
	struct key key[KEYRING_MAX];
};

/* First use of everything that signing needs, before the sandbox: a key of each kind is made and tried. 0 or -EIO. */
int keyring_warm_up(void);

/*
 * Reads a PEM key from key_fd and checks that it signs what the first
 * certificate of cert_fd verifies.  *chain_fd becomes a sealed memory file with the
 * certificates, the caller's; name is for messages.  0, or a negative code
 * with an explanation for the administrator in why[size].
 */
int keyring_load(struct keyring *, uint32_t number, const char *name, int key_fd, int cert_fd, struct key_facts *,
    int *chain_fd, char *why, size_t size);

/*
 * Signs message with the key and the TLS scheme.  0; SP_EDENIED when scheme,
 * shape of the message, and key do not belong together; -ENOKEY; -EIO when
 * the library failed.  *len holds the room and then the length.
 */
int keyring_sign(const struct keyring *, uint32_t number, unsigned scheme, const uint8_t *message, size_t message_len,
    uint8_t *signature, size_t *len);

/* Retires keys with numbers below this one; channels up to last_serial may go on with them. */
void keyring_retire(struct keyring *, uint32_t below, uint64_t last_serial);
/* Frees retired keys that no channel from oldest_serial on may use. */
void keyring_collect(struct keyring *, uint64_t oldest_serial);
void keyring_clear(struct keyring *);

#endif
