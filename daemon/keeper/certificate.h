/*
 * What the keeper reads from a certificate: the public key, to compare it with
 * the private one, and the facts that status and log report.  The file comes
 * from the administrator; it is parsed here because the listener parses nothing.
 */
#ifndef DAEMON_KEEPER_CERTIFICATE_H
#define DAEMON_KEEPER_CERTIFICATE_H

#include <stddef.h>

#include "daemon/keeper/keyring.h"

/*
 * Reads the certificates of a PEM file: the first one's public key and facts,
 * and all of them again as PEM in *chain_fd, a sealed memory file.  A private key in
 * the same file does not get there.  *public and *chain_fd are the caller's.  0, or
 * a negative code with an explanation in why[size].
 */
int certificate_read(int fd, struct evp_pkey_st **public, struct key_facts *, int *chain_fd, char *why, size_t size);

#endif
